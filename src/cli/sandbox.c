/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sandbox.h"

#include <errno.h>

#include "cli/dirs.h"
#include "supervisor/state.h"
#include "sys/files.h"

int sandbox_connect(const char *name, struct err *e)
{
	static _cold_data_ struct dirs dirs;
	int all, dir = -ENOENT, fd, r = dirs_init(&dirs);

	if (r < 0)
		return err_set(e, r, "start", "find Purple's own files");
	all = dirs.runtime ? state_open_all(dirs.runtime, false) : -ENOENT;
	if (all < 0 && all != -ENOENT)
		return err_set(e, all, "state", "%s/sandboxes", dirs.runtime);
	if (all >= 0)
		dir = state_open(all, name);
	sys_close(all);
	if (dir < 0) {
		r = dir == -ENOENT || dir == -EINVAL
			    ? err_set(e, EPROTO, "state", "there is no sandbox %.80s", name)
			    : err_set(e, dir, "state", "open the sandbox %.80s", name);
		err_remedy(e, "`purple ps` lists them");
		return r;
	}
	fd = state_connect(dir);
	sys_close(dir);
	if (fd < 0) {
		r = fd == -ENOENT || fd == -ECONNREFUSED
			    ? err_set(e, EPROTO, "state", "the sandbox %.80s does not run", name)
			    : err_set(e, fd, "state", "reach the supervisor of %.80s", name);
		err_remedy(e, "`purple ps -a` tells how it ended");
		return r;
	}
	return fd;
}

int sandbox_fill_stdio(struct err *e)
{
	for (int fd = 0; fd <= 2; fd++) {
		int r = (int)sys_call(SYS_fcntl, fd, F_GETFD);

		if (r != -EBADF)
			continue;
		/* The lowest free number is this one. */
		r = sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
		if (r < 0)
			return err_set(e, r, "stdio", "open /dev/null for descriptor %d", fd);
		sys_call(SYS_fcntl, fd, F_SETFD, 0);
	}
	return 0;
}
