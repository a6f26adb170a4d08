/* SPDX-License-Identifier: Apache-2.0 */
/* A scope of systemd's for this process and its sandbox: purple-scope asks for it. */
#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "supervisor/internal.h"
#include "sys/files.h"

#define PROGRAM "purple-scope"

bool supervisor_program(const struct supervisor *s, const char *name, char *ret, size_t size)
{
	const char *init = s->launch->init_path, *slash = strrchr(init, '/');
	int n = (int)(slash ? slash - init + 1 : 0);

	return (size_t)snprintf(ret, size, "%.*s%s", n, init, name) < size;
}

/* Its standard output is @out. With the signals that we block let through, so that ^C ends it. */
static int spawn(const struct supervisor *s, const char *program, int out, pid_t *pid)
{
	char number[16];
	const char *argv[] = { PROGRAM, s->state.id, number, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t mask;
	int r;

	snprintf(number, sizeof(number), "%d", (int)getpid());
	sigemptyset(&mask);
	memcpy(&mask, &s->launch->sigmask, sizeof(s->launch->sigmask));
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attributes, &mask);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	r = posix_spawn(pid, program, &actions, &attributes, (char *const *)(uintptr_t)argv,
			environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -r;
}

/* What it says until it ends: one line, or nothing. */
static void read_line(int fd, char *ret, size_t size)
{
	size_t used = 0;
	char rest[64];
	long n;

	for (;;) {
		bool full = used == size - 1;

		n = full ? sys_read(fd, rest, sizeof(rest))
			 : sys_read(fd, ret + used, size - 1 - used);
		if (n == -EINTR)
			continue;
		if (n <= 0)
			break;
		used += full ? 0 : (size_t)n;
	}
	ret[used] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
}

static int ask(const struct supervisor *s, struct err *e)
{
	char program[PATH_MAX], why[256];
	int ends[2] = { -1, -1 }, status = 0, r;
	pid_t pid;

	if (!supervisor_program(s, PROGRAM, program, sizeof(program)))
		return err_set(e, ENAMETOOLONG, "cgroup", PROGRAM);
	r = (int)sys_call(SYS_pipe2, ends, O_CLOEXEC);
	if (r < 0)
		return err_set(e, r, "cgroup", "make a pipe to " PROGRAM);
	r = spawn(s, program, ends[1], &pid);
	sys_close(ends[1]);
	if (r < 0) {
		sys_close(ends[0]);
		err_set(e, r, "cgroup", "start %s", program);
		err_remedy(e, "this installation of Purple is not whole; install it again");
		return r;
	}
	read_line(ends[0], why, sizeof(why));
	sys_close(ends[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (why[0] == '\0')
		snprintf(why, sizeof(why), PROGRAM " was ended by %s %d",
			 WIFSIGNALED(status) ? "signal" : "an error, status",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	err_set(e, EPROTO, "cgroup",
		"the policy has limits, and systemd gives no control group for them: %s", why);
	err_remedy(e, "`systemctl --user status` tells how the systemd of this user is");
	return -EPROTO;
}

const struct cg_site *scope_site(const struct supervisor *s, struct err *e)
{
	static _cold_data_ struct cg_site site;
	char unit[CG_ID_SIZE + 16];

	/* A second try is in the first one's scope. */
	if (site.kind != CG_NONE)
		return &site;
	snprintf(unit, sizeof(unit), "purple-%s.scope", s->state.id);
	if (ask(s, e) < 0 || cg_scope_enter(&site, unit, e) < 0)
		return NULL;
	return &site;
}
