/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Part of purple-init, so freestanding, and no data: see there. What is asked for has been
 * judged; here it is done, or it is said why not.
 */
#include "jail/init_door.h"

#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/err.h"
#include "jail/door.h"
#include "sys/files.h"
#include "sys/process.h"

struct door {
	int socket, fd; /* fd: came with the request; -1 */
	struct door_request head;
	char strings[DOOR_MAX];
	char text[PATH_MAX]; /* for the reply, and where we are */
};

struct control {
	struct cmsghdr head;
	int fd;
};

struct args {
	const char *dir, *name, *dir2, *name2, *text;
};

static size_t length(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

/* @fd goes with it, unless -1; it stays ours. */
static void reply(struct door *d, struct door_reply r, int fd)
{
	struct control control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)),
					     .cmsg_level = SOL_SOCKET,
					     .cmsg_type = SCM_RIGHTS },
				   .fd = fd };
	struct iovec io[2] = { { &r, sizeof(r) }, { d->text, length(d->text) + 1 } };
	struct msghdr msg = { .msg_iov = io, .msg_iovlen = 2 };
	long n;

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int));
	}
	do
		n = sys_call(SYS_sendmsg, d->socket, &msg, MSG_NOSIGNAL);
	while (n == -EINTR);
	if (n < 0)
		sys_exit(EXIT_PURPLE);
}

static void answer(struct door *d, enum door_answer answer, int32_t value)
{
	if (answer == DOOR_DONE || answer == DOOR_BUSY)
		d->text[0] = '\0';
	reply(d, (struct door_reply){ .answer = answer, .value = value }, -1);
}

static void done(struct door *d, long value)
{
	answer(d, DOOR_DONE, (int32_t)value);
}

/* Go to @dir; false: we are not there, and that is said. */
static bool enter(struct door *d, const char *dir, int which)
{
	long r = sys_call(SYS_getcwd, d->text, sizeof(d->text));

	if (r > 0 && same(d->text, dir))
		return true;
	r = sys_call(SYS_chdir, dir);
	if (r < 0) {
		done(d, r);
		return false;
	}
	r = sys_call(SYS_getcwd, d->text, sizeof(d->text));
	if (r > 0 && same(d->text, dir))
		return true;
	if (r <= 0)
		d->text[0] = '\0';
	answer(d, DOOR_ELSEWHERE, which);
	return false;
}

/* The caller's, for the time of one call. */
static long with_umask(const struct door *d, long (*fn)(const struct door *d, const struct args *a),
		       const struct args *a)
{
	long old = sys_call(SYS_umask, d->head.umask), r;

	if (old < 0)
		return old;
	r = fn(d, a);
	sys_call(SYS_umask, old);
	return r;
}

static long open_it(const struct door *d, const struct args *a)
{
	return sys_call(SYS_openat, AT_FDCWD, a->name,
			d->head.flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
			d->head.mode);
}

static long mkdir_it(const struct door *d, const struct args *a)
{
	return sys_call(SYS_mkdirat, AT_FDCWD, a->name, d->head.mode);
}

static long mknod_it(const struct door *d, const struct args *a)
{
	return sys_call(SYS_mknodat, AT_FDCWD, a->name, d->head.mode, d->head.number);
}

/* Is @name a link? Then that is said. */
static bool is_link(struct door *d, const char *name)
{
	long n = sys_call(SYS_readlinkat, AT_FDCWD, name, d->text, sizeof(d->text) - 1);

	if (n < 0)
		return false;
	d->text[n] = '\0';
	answer(d, DOOR_IS_LINK, 0);
	return true;
}

/* What must be known of an existing file before it is opened; false: it has been answered. */
static bool look(struct door *d, const struct args *a, struct stat *st)
{
	uint32_t flags = d->head.flags;
	long r = sys_call(SYS_newfstatat, AT_FDCWD, a->name, st, AT_SYMLINK_NOFOLLOW);

	if (r < 0) {
		st->st_mode = 0; /* openat says it again, or makes it */
		return true;
	}
	if (flags & O_CREAT && flags & O_EXCL)
		return done(d, -EEXIST), false;
	if (S_ISLNK(st->st_mode)) {
		if (flags & O_NOFOLLOW || !is_link(d, a->name))
			done(d, -ELOOP);
		return false;
	}
	if (S_ISREG(st->st_mode) && st->st_nlink > 1 && !(d->head.checks & DOOR_MANY_LINKS)) {
		d->text[0] = '\0';
		reply(d, (struct door_reply){ DOOR_HAS_LINKS, 0, st->st_dev, st->st_ino }, -1);
		return false;
	}
	return true;
}

static void do_open(struct door *d, const struct args *a)
{
	uint32_t flags = d->head.flags;
	bool temporary = (flags & O_TMPFILE) == O_TMPFILE;
	struct stat st = { 0 };
	long fd;

	if (!temporary && !look(d, a, &st))
		return;
	fd = flags & O_CREAT || temporary ? with_umask(d, open_it, a) : open_it(d, a);
	if (fd < 0) {
		/* ENXIO: a FIFO that nobody reads. EAGAIN: a lease that is being given up. */
		bool waits = !(flags & O_NONBLOCK) &&
			     ((fd == -ENXIO && S_ISFIFO(st.st_mode)) || fd == -EAGAIN);

		return waits ? answer(d, DOOR_BUSY, 0) : done(d, fd);
	}
	if (!(flags & O_NONBLOCK))
		sys_call(SYS_fcntl, fd, F_SETFL, flags & (O_APPEND | O_DIRECT | O_NOATIME));
	d->text[0] = '\0';
	reply(d, (struct door_reply){ .answer = DOOR_DONE }, (int)fd);
	sys_close((int)fd);
}

static void do_truncate(struct door *d, const struct args *a)
{
	struct stat st;
	long fd, r;

	if (!look(d, a, &st))
		return;
	if (st.st_mode && !S_ISREG(st.st_mode))
		return done(d, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL);
	fd = open_it(d, a);
	if (fd == -EAGAIN)
		return answer(d, DOOR_BUSY, 0);
	r = fd < 0 ? fd : sys_call(SYS_ftruncate, fd, d->head.number);
	sys_close((int)fd);
	done(d, r);
}

/* From where we are to @a->dir2; where we were, or -1: it has been answered. */
static int enter_second(struct door *d, const struct args *a)
{
	int from = sys_openat(AT_FDCWD, ".", O_PATH | O_DIRECTORY, 0);

	if (from < 0) {
		done(d, from);
		return -1;
	}
	if (enter(d, a->dir2, 1))
		return from;
	sys_close(from);
	return -1;
}

static void do_rename(struct door *d, const struct args *a)
{
	int from = enter_second(d, a);

	if (from < 0)
		return;
	done(d, sys_call(SYS_renameat2, from, a->name, AT_FDCWD, a->name2, d->head.flags));
	sys_close(from);
}

static void do_link(struct door *d, const struct args *a)
{
	int from;

	if (d->head.flags & AT_SYMLINK_FOLLOW && is_link(d, a->name))
		return;
	from = enter_second(d, a);
	if (from < 0)
		return;
	done(d, sys_call(SYS_linkat, from, a->name, AT_FDCWD, a->name2, 0));
	sys_close(from);
}

/* By the descriptor itself since Linux 6.10, if we have opened it; else by its name in /proc. */
static void do_link_fd(struct door *d, const struct args *a)
{
	char path[32] = "/proc/self/fd/", digits[12];
	size_t n = sizeof(digits), to = length(path);
	int fd = d->fd;
	long r;

	if (!enter(d, a->dir2, 1))
		return;
	r = sys_call(SYS_linkat, fd, "", AT_FDCWD, a->name2, AT_EMPTY_PATH);
	if (r == -ENOENT) {
		do
			digits[--n] = (char)('0' + fd % 10);
		while ((fd /= 10) != 0);
		while (n < sizeof(digits))
			path[to++] = digits[n++];
		path[to] = '\0';
		r = sys_call(SYS_linkat, AT_FDCWD, path, AT_FDCWD, a->name2, AT_SYMLINK_FOLLOW);
	}
	done(d, r);
}

static long copy(int from, int to)
{
	char some[1024];
	long n;

	while ((n = sys_read(from, some, sizeof(some))) > 0) {
		long w = sys_write(to, some, (size_t)n);

		if (w != n)
			return w < 0 ? w : -ENOSPC;
	}
	return n;
}

static void do_install(struct door *d, const struct args *a)
{
	struct args made = { .name = a->name };
	long fd, r = sys_call(SYS_unlinkat, AT_FDCWD, a->name, 0);

	if (r < 0)
		return done(d, r);
	d->head.flags = O_WRONLY | O_CREAT | O_EXCL;
	d->head.umask = 0;
	fd = with_umask(d, open_it, &made);
	if (fd < 0)
		return done(d, fd);
	r = copy(d->fd, (int)fd);
	sys_close((int)fd);
	if (r == 0)
		r = sys_call(SYS_renameat2, AT_FDCWD, a->name, AT_FDCWD, a->name2, 0);
	if (r < 0)
		sys_call(SYS_unlinkat, AT_FDCWD, a->name, 0);
	done(d, r);
}

static void carry_out(struct door *d, const struct args *a)
{
	if (d->head.op != DOOR_LINK_FD && !enter(d, a->dir, 0))
		return;
	switch (d->head.op) {
	case DOOR_OPEN:
		return do_open(d, a);
	case DOOR_TRUNCATE:
		d->head.flags = O_WRONLY;
		return do_truncate(d, a);
	case DOOR_MKDIR:
		return done(d, with_umask(d, mkdir_it, a));
	case DOOR_MKNOD:
		return done(d, with_umask(d, mknod_it, a));
	case DOOR_SYMLINK:
		return done(d, sys_call(SYS_symlinkat, a->text, AT_FDCWD, a->name));
	case DOOR_UNLINK:
		return done(d, sys_call(SYS_unlinkat, AT_FDCWD, a->name, d->head.flags));
	case DOOR_RENAME:
		return do_rename(d, a);
	case DOOR_LINK:
		return do_link(d, a);
	case DOOR_LINK_FD:
		return do_link_fd(d, a);
	case DOOR_INSTALL:
		return do_install(d, a);
	default:
		return done(d, -ENOSYS);
	}
}

/* The strings behind the head, which are @len bytes; false: they are not what they should be. */
static bool split(struct door *d, size_t len, struct args *a)
{
	const char **const to[DOOR_STRINGS] = { &a->dir, &a->name, &a->dir2, &a->name2, &a->text };
	size_t at = 0;

	for (unsigned i = 0; i < DOOR_STRINGS; i++) {
		*to[i] = d->strings + at;
		while (at < len && d->strings[at])
			at++;
		if (at++ >= len)
			return false;
	}
	return true;
}

/* As the kernel takes it, rt_sigaction(2); one layout on x86_64 and aarch64. */
struct action {
	void (*handler)(int sig);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

static void on_child(int sig)
{
}

/* What to go back through after a signal; aarch64 has it in its vDSO. */
#if defined(__x86_64__)
#define HAS_RESTORER 0x04000000ul
void init_restore(void);
__asm__("init_restore:\n\tmov $15, %eax\n\tsyscall\n");
#else
#define HAS_RESTORER 0ul
#define init_restore NULL
#endif

void init_watch_children(void)
{
	struct action action = { on_child, HAS_RESTORER, init_restore, ~0ull };
	uint64_t all = ~0ull;

	/* SIGCHLD comes while ppoll waits, and at no other time. */
	sys_call(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &all, 0, sizeof(all));
	sys_call(SYS_rt_sigaction, SIGCHLD, &action, 0, sizeof(all));
}

unsigned init_wait(const int fds[2])
{
	struct pollfd p[2] = { { .fd = fds[0], .events = POLLIN },
			       { .fd = fds[1], .events = POLLIN } };
	uint64_t but_child = ~(1ull << (SIGCHLD - 1));

	if (sys_call(SYS_ppoll, p, 2, 0, &but_child, sizeof(but_child)) <= 0)
		return 0;
	return (p[0].revents != 0) | (unsigned)(p[1].revents != 0) << 1;
}

void init_door(int socket)
{
	struct door d;
	struct args a;
	struct control control;
	struct iovec io[2] = { { &d.head, sizeof(d.head) }, { d.strings, sizeof(d.strings) } };
	struct msghdr msg = { .msg_iov = io,
			      .msg_iovlen = 2,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	long r = sys_call(SYS_recvmsg, socket, &msg, MSG_CMSG_CLOEXEC);

	if (r == -EINTR)
		return;
	if (r < (long)sizeof(d.head)) /* 0: the supervisor is gone */
		sys_exit(EXIT_PURPLE);
	d.socket = socket;
	d.fd = msg.msg_controllen >= sizeof(control.head) ? control.fd : -1;
	if (split(&d, (size_t)r - sizeof(d.head), &a))
		carry_out(&d, &a);
	else
		done(&d, -EBADMSG);
	sys_close(d.fd);
}
