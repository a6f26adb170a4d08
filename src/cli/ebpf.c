/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ebpf.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/caller.h"
#include "trace/protocol.h"

#define TYPES "/sys/kernel/btf/vmlinux"

enum { TRY_MS = 30 * 1000 };

static const struct {
	int error;
	const char *text;
} lacks[] = {
	{ EPERM, "only root may load programs into the kernel" },
	{ ENOENT, "purple-trace is not installed: it is built where libbpf and clang are" },
	{ ENODATA, TYPES " is not there: this kernel was built without CONFIG_DEBUG_INFO_BTF" },
};

static int look(const struct dirs *d)
{
	char program[PATH_MAX];

	if (!dirs_program(d, "purple-trace", program, sizeof(program)) || access(program, X_OK) < 0)
		return ENOENT;
	if (!caller_is_root())
		return EPERM;
	return access(TYPES, R_OK) < 0 ? ENODATA : 0;
}

const char *ebpf_lacks(const struct dirs *d)
{
	int error = look(d);

	for (size_t i = 0; i < ARRAY_SIZE(lacks); i++)
		if (error == lacks[i].error)
			return lacks[i].text;
	return NULL;
}

static int start(const struct dirs *d, int theirs, pid_t *pid)
{
	char program[PATH_MAX], name[] = "purple-trace";
	char *const argv[] = { name, NULL };
	posix_spawn_file_actions_t actions;
	int r;

	if (!dirs_program(d, name, program, sizeof(program)))
		return ENOENT;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, theirs, TRACE_CONTROL_FD);
	r = posix_spawn(pid, program, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

static int ask(int fd)
{
	static const struct trace_config nothing;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct trace_head head;

	if (send(fd, &nothing, sizeof(nothing), MSG_NOSIGNAL) < 0)
		return errno;
	if (poll(&p, 1, TRY_MS) != 1)
		return ETIMEDOUT;
	if (recv(fd, &head, sizeof(head), 0) != sizeof(head))
		return EPROTO;
	if (head.type == TRACE_READY)
		return 0;
	return head.type == TRACE_FAILED && head.error < 0 ? -head.error : EPROTO;
}

int ebpf_try(const struct dirs *d)
{
	_cleanup_close_ int ours = -1, theirs = -1;
	int error = look(d), pair[2];
	pid_t pid;

	if (error)
		return error;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return errno;
	ours = pair[0];
	theirs = pair[1];
	error = start(d, theirs, &pid);
	if (error)
		return error;
	close_fdp(&theirs);
	error = ask(ours);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return error;
}
