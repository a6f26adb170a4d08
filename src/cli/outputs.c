/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/outputs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "sys/files.h"

static bool is_below(const char *path, const char *dir)
{
	const char *rest = path ? str_after(path, dir) : NULL;

	return rest && (*rest == '\0' || *rest == '/');
}

/* Here and not at the end, when what is in the way would cost the results. */
static int open_output(const struct launch *l, const char *source, struct err *e)
{
	char path[PATH_MAX];
	int fd, r;

	if (source[0] == '.' && snprintf(path, sizeof(path), "%s%s",
					 l->workspace ? l->workspace : "", source + 1) >= PATH_MAX)
		return err_set(e, ENAMETOOLONG, "outputs", "%s", source);
	if (source[0] == '.')
		source = path;
	fd = sys_open_canonical(source, O_RDONLY | O_DIRECTORY);
	if (fd < 0) {
		err_set(e, fd, "outputs", "open %s, where filesystem.output_paths are collected",
			source);
		err_remedy(e, "it has to be a directory, with no link on the way to it");
		return fd;
	}
	r = (int)sys_call(SYS_faccessat2, fd, "", W_OK | X_OK, AT_EMPTY_PATH | AT_EACCESS);
	if (r == 0)
		return fd;
	sys_close(fd);
	return err_set(e, r, "outputs", "write in %s, where filesystem.output_paths are collected",
		       source);
}

int outputs_prepare(const struct launch *l, const struct plan *p, struct run_outputs *o,
		    struct run_request *request, struct err *e)
{
	const struct plan_mount *m = plan_items(p, mounts, struct plan_mount);

	o->count = 0;
	for (uint32_t i = 0; i < p->mounts.count; i++) {
		const char *source = plan_string(p, m[i].source);
		int fd;

		if (m[i].kind != PM_OUTPUT)
			continue;
		if (is_below(l->workspace, plan_string(p, m[i].target)))
			return err_set(e, EPROTO, "outputs",
				       "the workspace %s would be in the box %s", l->workspace,
				       plan_string(p, m[i].target));
		fd = open_output(l, source, e);
		if (fd < 0)
			return fd;
		request->outputs = o;
		o->paths[o->count] = source;
		o->fds[o->count++] = fd;
	}
	return 0;
}

void outputs_drop(struct run_request *request)
{
	struct run_outputs *o = request->outputs;

	for (unsigned i = 0; o && i < o->count; i++)
		sys_close(TAKE_FD(o->fds[i]));
}
