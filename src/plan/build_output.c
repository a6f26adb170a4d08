/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boxes for results: what is created in one cannot be read or listed inside. Landlock holds
 * that, whose rules reach down from wherever they are: so a box lies in nothing that has
 * other rights.
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "plan/builder.h"
#include "sys/landlock.h"

/* To write under another name first, as many programs do, takes REMOVE_FILE. */
enum { LL_BOX = LL_WRITE_FILE | LL_TRUNCATE | LL_MAKE_REG | LL_MAKE_DIR | LL_REMOVE_FILE };

static const char *text(const struct builder *b, struct plan_str s)
{
	return s.off ? b->strings.data + (s.off - sizeof(struct plan)) : "";
}

int build_outputs(struct builder *b, size_t from)
{
	struct plan_mount *m = (struct plan_mount *)(void *)b->mounts.data;
	size_t count = b->mounts.len / sizeof(*m);

	if (b->mounts.failed)
		return 0; /* assemble() says so */
	if (count - from > PLAN_OUTPUTS_MAX)
		return err_set(b->e, E2BIG, "plan", "filesystem.output_paths: more than %d",
			       PLAN_OUTPUTS_MAX);
	for (size_t i = from; i < count; i++) {
		if (m[i].flags & PMF_IS_FILE) {
			err_set(b->e, ENOTDIR, "plan",
				"filesystem.output_paths: %s is a file, and results are collected "
				"into a directory",
				text(b, m[i].source));
			err_remedy(b->e, "name the directory that it is in");
			return -ENOTDIR;
		}
		m[i].kind = PM_OUTPUT;
		m[i].mode = b->host->root ? 01733 : 0333;
		m[i].flags = PMF_NOSUID | PMF_NODEV | PMF_NOEXEC;
		m[i].landlock = LL_BOX & b->head.landlock_fs;
	}
	if (count > from)
		b->head.output_bytes = b->policy->filesystem.output_bytes.v;
	return 0;
}

static bool lies_in(const char *path, const char *dir)
{
	const char *rest = str_after(path, dir);

	return rest && (*rest == '\0' || *rest == '/');
}

int build_outputs_check(struct builder *b)
{
	const struct plan_mount *m = (const struct plan_mount *)(const void *)b->mounts.data;
	size_t count = b->mounts.failed ? 0 : b->mounts.len / sizeof(*m);

	for (size_t i = 0; i < count; i++) {
		const char *box = text(b, m[i].target);

		for (size_t k = 0; m[i].kind == PM_OUTPUT && k < count; k++) {
			const char *at = text(b, m[k].target);

			if (k == i || m[k].kind == PM_SYMLINK || *at == '\0')
				continue;
			if (lies_in(at, box))
				return err_set(b->e, EPROTO, "plan",
					       "filesystem.output_paths: %s would be in the box %s",
					       at, box);
			if (!lies_in(box, at) || !(m[k].landlock & ~(uint64_t)LL_BOX))
				continue;
			err_set(b->e, EPROTO, "plan",
				"filesystem.output_paths: the box %s lies in %s, which may be read",
				box, at);
			err_remedy(b->e, "{host_path: %s, sandbox_path: /out}",
				   text(b, m[i].source));
			return -EPROTO;
		}
	}
	return 0;
}
