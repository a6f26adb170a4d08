/* SPDX-License-Identifier: Apache-2.0 */
/* Directories of the host that are written elsewhere, as the workspace is in review. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "plan/builder.h"

static const char *text(const struct builder *b, struct plan_str s)
{
	return s.off ? b->strings.data + (s.off - sizeof(struct plan)) : "";
}

static bool lies_in(const char *path, const char *dir)
{
	const char *rest = str_after(path, dir);

	return rest && (*rest == '\0' || *rest == '/');
}

int build_overlays(struct builder *b, size_t from)
{
	const struct policy_overlay *o = b->policy->filesystem.overlays.items;
	struct plan_mount *m = (struct plan_mount *)(void *)b->mounts.data;
	size_t count = b->mounts.len / sizeof(*m);

	if (b->mounts.failed)
		return 0; /* assemble() says so */
	if (count - from > PLAN_OVERLAYS_MAX)
		return err_set(b->e, E2BIG, "plan", "filesystem.overlays: more than %d",
			       PLAN_OVERLAYS_MAX);
	for (size_t i = from; i < count; i++) {
		bool review = o[i - from].mode == WS_REVIEW;

		if (m[i].flags & PMF_IS_FILE) {
			err_set(b->e, ENOTDIR, "plan", "filesystem.overlays: %s is a file",
				text(b, m[i].source));
			err_remedy(b->e, "name the directory that it is in");
			return -ENOTDIR;
		}
		if (!streq(text(b, m[i].source), text(b, m[i].target))) {
			err_set(b->e, EPROTO, "plan", "filesystem.overlays: %s is at %s",
				text(b, m[i].target), text(b, m[i].source));
			err_remedy(b->e, "write that, where no link is in the way");
			return -EPROTO;
		}
		m[i].kind = PM_OVERLAY;
		m[i].flags |= review ? PMF_REVIEW : PMF_DISCARD;
		if (!review && b->host->memory_layers)
			m[i].flags |= PMF_MEMORY;
	}
	return 0;
}

static int refuse(struct builder *b, const char *at, const char *why, const char *overlay)
{
	return err_set(b->e, EPROTO, "plan", "filesystem.overlays: %s %s %s", at, why, overlay);
}

/* What lies in one would be in the way, and what gives it at another place would give it away. */
int build_overlays_check(struct builder *b)
{
	const struct plan_mount *m = (const struct plan_mount *)(const void *)b->mounts.data;
	size_t count = b->mounts.failed ? 0 : b->mounts.len / sizeof(*m);

	for (size_t i = 0; i < count; i++) {
		const char *overlay = text(b, m[i].target);

		for (size_t k = 0; m[i].kind == PM_OVERLAY && k < count; k++) {
			const char *at = text(b, m[k].target), *source = text(b, m[k].source);
			bool writes = m[k].kind == PM_BIND && !(m[k].flags & PMF_RDONLY);

			if (k == i || m[k].kind == PM_SYMLINK || *at == '\0')
				continue;
			/* The system's own may be covered as a whole. */
			if (k < i && m[k].kind == PM_BIND && !writes && streq(at, overlay))
				continue;
			if (streq(at, overlay) && m[k].kind == PM_OVERLAY)
				return err_set(b->e, EPROTO, "plan",
					       "filesystem.overlays: %s is there twice", at);
			if (lies_in(at, overlay))
				return refuse(b, at, "lies in", overlay);
			if (writes && (lies_in(source, overlay) || lies_in(overlay, source)))
				return refuse(b, at, "makes writable what is in", overlay);
		}
	}
	return 0;
}
