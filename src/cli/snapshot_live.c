/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot of a sandbox that runs: its supervisor holds it, and we copy. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/held.h"
#include "sys/files.h"
#include "workspace/layer_copy.h"

enum { BUSY_MS = 10000, STEP_MS = 20 };

/* The directories that a copy is made in, empty. */
static int make_place(int layers, uint32_t number, int *to, int *links)
{
	char name[16], beside[24];
	int r;

	snprintf(name, sizeof(name), "%u", number);
	snprintf(beside, sizeof(beside), "%u.links", number);
	/* What a copy that was cut off has left. */
	r = store_remove_tree(layers, name);
	if (r == 0)
		r = store_remove_tree(layers, beside);
	if (r == 0)
		r = sys_mkdirat(layers, name, 0700);
	if (r == 0)
		r = sys_mkdirat(layers, beside, 0700);
	*to = r < 0 ? r : sys_openat(layers, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	*links = *to < 0 ? *to : sys_openat(layers, beside, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	return MIN(*links, 0);
}

static int copy_once(int from, int layers, uint32_t number, struct err *e)
{
	_cleanup_close_ int to = -1, links = -1;
	int r = make_place(layers, number, &to, &links);

	return r < 0 ? err_set(e, r, "snapshot", "make a directory for the copy")
		     : layer_copy(from, to, links, e);
}

/* Rights over all files of ours, whatever their modes say; over none of others. */
static int enter_userns(void)
{
	char uid[32], gid[32];
	int r;

	snprintf(uid, sizeof(uid), "0 %u 1", geteuid());
	snprintf(gid, sizeof(gid), "0 %u 1", getegid());
	if (unshare(CLONE_NEWUSER) < 0)
		return -errno;
	r = sys_write_file(AT_FDCWD, "/proc/self/setgroups", "deny", 4);
	if (r == 0)
		r = sys_write_file(AT_FDCWD, "/proc/self/uid_map", uid, strlen(uid));
	return r < 0 ? r : sys_write_file(AT_FDCWD, "/proc/self/gid_map", gid, strlen(gid));
}

/* For what its owner may not read: a child of ours does it, in a user namespace of its own. */
static int copy_as_owner(int from, int layers, uint32_t number, struct err *e)
{
	_cleanup_close_ int ours = -1, theirs = -1;
	struct err said = { 0 };
	int pipe[2], status;
	pid_t child;

	if (pipe2(pipe, O_CLOEXEC) < 0)
		return err_set(e, errno, "snapshot", "make a pipe");
	ours = pipe[0];
	theirs = pipe[1];
	child = fork();
	if (child < 0)
		return err_set(e, errno, "snapshot", "start a process that copies");
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (enter_userns() == 0 && copy_once(from, layers, number, &said) == 0)
			_exit(0);
		write_full(theirs, &said, sizeof(said));
		_exit(1);
	}
	sys_close(TAKE_FD(theirs));
	/* Whole or not at all: it is less than PIPE_BUF. */
	if (read(ours, &said, sizeof(said)) == (ssize_t)sizeof(said) && err_is_set(&said))
		*e = said;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_is_set(e) ? -e->code
			     : err_set(e, EACCES, "snapshot", "copy what its owner may not read");
}

static int copy_top(struct held *h, uint32_t number, struct err *e)
{
	_cleanup_close_ int layers = -1, from = -1;
	struct rlimit files;
	char beside[24];
	int r;

	/* Deep directories need many. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	layers = sys_openat(h->dir, STORE_LAYERS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	from = layers < 0 ? layers : store_open_layer(h->dir, &h->meta, h->meta.top);
	if (from < 0 && from != -EACCES)
		return err_set(e, from, "snapshot", "open what %s changed last", h->meta.name);
	r = from < 0 ? from : copy_once(from, layers, number, e);
	if (r == -EACCES && geteuid() != 0) {
		memset(e, 0, sizeof(*e));
		if (from < 0)
			return err_set(e, EACCES, "snapshot",
				       "the workspace's own directory may not be read");
		r = copy_as_owner(from, layers, number, e);
	}
	snprintf(beside, sizeof(beside), "%u.links", number);
	store_remove_tree(layers, beside);
	if (r < 0) {
		snprintf(beside, sizeof(beside), "%u", number);
		store_remove_tree(layers, beside);
	}
	return r;
}

/* Ask until nothing is in the way of it; the answer in @m. */
static int begin(int fd, const char *name, const char *label, struct control_message *m,
		 struct err *e)
{
	const size_t len = strlen(label) + 1;
	int r = -EBUSY;

	for (int ms = 0; r == -EBUSY && ms <= BUSY_MS; ms += STEP_MS) {
		if (ms)
			nanosleep(&(struct timespec){ .tv_nsec = STEP_MS * 1000000 }, NULL);
		memset(e, 0, sizeof(*e));
		m->head = CONTROL_HEAD(CONTROL_SNAPSHOT, 0, len);
		memcpy(m->bytes, label, len);
		r = control_send(fd, m, NULL, 0, 0);
		if (r < 0 && r != -EPIPE)
			return err_set(e, r, "state", "tell the supervisor of %s", name);
		r = sandbox_hear(fd, name, false, CONTROL_SNAPSHOT_IS, m, e);
	}
	return r;
}

int snapshot_live(struct held *h, const char *label, char made[STORE_LABEL_MAX + 1], struct err *e)
{
	static struct control_message m;
	const char *name = h->sandbox.sandbox.state.name;
	_cleanup_close_ int fd = sandbox_talk(&h->sandbox, false, e);
	uint32_t number;
	int r;

	if (fd < 0)
		return fd;
	r = begin(fd, name, label, &m, e);
	if (r < 0)
		return r;
	number = m.head.value;
	m.bytes[STORE_LABEL_MAX] = '\0';
	str_copy(made, STORE_LABEL_MAX + 1, m.bytes);
	r = copy_top(h, number, e);
	if (r < 0)
		return r;
	m.head = CONTROL_HEAD(CONTROL_COPIED, number, 0);
	r = control_send(fd, &m, NULL, 0, 0);
	if (r < 0 && r != -EPIPE)
		return err_set(e, r, "state", "tell the supervisor of %s", name);
	return sandbox_hear(fd, name, true, CONTROL_OK, &m, e);
}
