/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/protect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "base/str.h"
#include "supervisor/watch_internal.h"
#include "sys/clock.h"
#include "sys/files.h"
#include "sys/pass.h"
#include "workspace/gitconfig.h"

#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif

enum { SPIN_MS = 2 }; /* how long an answer of PID 1's is waited for before the loop goes on */

struct late {
	struct seccomp_notif n; /* pid 0: a free place */
	uint64_t at;
};

static _cold_data_ struct {
	struct asked now; /* with PID 1, if busy */
	bool busy;
	struct seccomp_notif waiting[PROTECT_WAITING]; /* a ring */
	unsigned first, count;
	struct late late[PROTECT_LATE];
	unsigned late_top;
	struct guard guard;
	bool compiled;
	struct door_reply reply;
	char text[PATH_MAX]; /* of it */
} protect;

static bool is_there(const struct supervisor *s, const struct asked *a)
{
	return sys_call(SYS_ioctl, s->jail.notify_fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &a->n.id) == 0;
}

/* @error: 0 or positive. */
static void finish(const struct supervisor *s, struct asked *a, int error)
{
	struct seccomp_notif_resp resp = { .id = a->n.id, .error = -error };

	sys_close(TAKE_FD(a->fd));
	protect.busy = false;
	/* -ENOENT: it was killed meanwhile. */
	sys_call(SYS_ioctl, s->jail.notify_fd, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

/* The kernel does it: whatever it leads to, Landlock has the last word. */
static void go_on(const struct supervisor *s, struct asked *a)
{
	struct seccomp_notif_resp resp = { .id = a->n.id,
					   .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };

	sys_close(TAKE_FD(a->fd));
	protect.busy = false;
	sys_call(SYS_ioctl, s->jail.notify_fd, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

static const char *access_of(const struct asked *a)
{
	switch (a->op) {
	case DOOR_OPEN:
		return a->flags & O_CREAT ? "create" : "write";
	case DOOR_UNLINK:
		return "remove";
	case DOOR_RENAME:
		return "rename";
	case DOOR_TRUNCATE:
		return "write";
	default:
		return "create";
	}
}

/* What it would have failed with anyhow, or EACCES. */
static int refusal(const struct asked *a, const struct asked_place *p, const char *path)
{
	bool takes = a->op == DOOR_UNLINK || a->op == DOOR_TRUNCATE ||
		     (a->op == DOOR_OPEN && !(a->flags & O_CREAT)) || (a->count == 2 && p == a->at);
	bool makes = a->op == DOOR_MKDIR || a->op == DOOR_MKNOD || a->op == DOOR_SYMLINK ||
		     (a->op == DOOR_OPEN && a->flags & O_CREAT && a->flags & O_EXCL);
	int fd = sys_openat2(protect_area(p->area)->fd, path, O_PATH | O_NOFOLLOW, 0,
			     RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);

	sys_close(fd);
	if (fd == -ENOENT && takes)
		return ENOENT;
	return fd >= 0 && makes ? EEXIST : EACCES;
}

static void refuse(struct supervisor *s, struct asked *a, const struct asked_place *p)
{
	char path[2 * PATH_MAX], relative[PATH_MAX];
	struct sighting t = { .type = EV_FILE_DENIED,
			      .time_ns = sys_clock_ns(CLOCK_REALTIME),
			      .access = access_of(a),
			      .layer = "protect",
			      .path = path };

	t.error = protect_relative(p, relative) ? refusal(a, p, relative) : ENAMETOOLONG;
	snprintf(path, sizeof(path), "%s/%s", p->dir, p->name);
	if (t.error == EACCES)
		t.pid = watch_process((pid_t)a->n.pid, NULL, NULL);
	finish(s, a, t.error);
	if (t.error == EACCES)
		watch_tell(s, &t);
}

static mode_t type_of(const struct asked *a)
{
	switch (a->op) {
	case DOOR_MKDIR:
		return S_IFDIR;
	case DOOR_SYMLINK:
		return S_IFLNK;
	case DOOR_MKNOD:
		return a->mode & S_IFMT ? a->mode & S_IFMT : S_IFREG;
	default:
		return S_IFREG;
	}
}

/* Of what is there; 0: nothing. */
static mode_t type_at(const char *path)
{
	int fd = sys_openat2(protect.guard.top, path, O_PATH | O_NOFOLLOW, 0,
			     RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
	struct stat st = { 0 };

	if (fd >= 0 && sys_call(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH) != 0)
		st.st_mode = 0;
	sys_close(fd);
	return st.st_mode & S_IFMT;
}

/* A file's content, at most GITCONFIG_MAX of it; -errno. */
static long read_all(const char *path, char *to, bool optional)
{
	int fd = sys_openat2(protect.guard.top, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0,
			     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	struct stat st;
	long n = 0, r;

	if (fd < 0)
		return fd == -ENOENT && optional ? 0 : fd;
	r = sys_call(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH);
	if (r == 0 && (!S_ISREG(st.st_mode) || st.st_size > GITCONFIG_MAX))
		r = -EACCES;
	while (r == 0 && n < GITCONFIG_MAX) {
		long some = sys_read(fd, to + n, (size_t)(GITCONFIG_MAX - n));

		if (some <= 0) {
			r = some;
			break;
		}
		n += some;
	}
	sys_close(fd);
	return r < 0 ? r : n;
}

/* New settings of git, which become the old ones' successor by a copy that nobody has open. */
static bool check_settings(struct asked *a, const char *from, const char *to)
{
	static _cold_data_ char was[GITCONFIG_MAX], now[GITCONFIG_MAX];
	char dir[PATH_MAX];
	long old = read_all(to, was, true), new = read_all(from, now, false);
	const char *slash = strrchr(to, '/');
	struct stat st;
	int fd;

	if (!streq(a->at[0].dir, a->at[1].dir) || old < 0 || new < 0 || a->flags != 0)
		return false;
	str_copy(dir, sizeof(dir), to);
	dir[slash ? slash - to : 0] = '\0';
	if (gitconfig_refuses(was, (size_t)old, now, (size_t) new, dir))
		return false;
	if (sys_call(SYS_newfstatat, protect.guard.top, from, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	fd = (int)sys_call(SYS_memfd_create, "settings", 1 /* MFD_CLOEXEC */);
	if (fd < 0 || sys_write(fd, now, (size_t) new) != new) {
		sys_close(fd);
		return false;
	}
	sys_call(SYS_lseek, fd, 0, SEEK_SET);
	a->fd = fd;
	a->mode = st.st_mode & 0777;
	a->op = DOOR_INSTALL;
	return true;
}

/* The place that is refused; NULL: none. */
static const struct asked_place *judge_move(struct asked *a, const char *from, const char *to)
{
	mode_t type = type_at(from);
	enum guard_verdict v;

	if (type == 0)
		return NULL; /* it fails */
	v = guard_move(&protect.guard, from, to, type);
	if (v == GUARD_SETTINGS && type == S_IFREG && check_settings(a, from, to))
		v = GUARD_FREE;
	if (v == GUARD_FREE && a->flags & 2 /* RENAME_EXCHANGE */ && (type = type_at(to)) != 0)
		v = guard_move(&protect.guard, to, from, type);
	if (v == GUARD_FREE)
		return NULL;
	return guard_remove(&protect.guard, from) != GUARD_FREE ? &a->at[0] : &a->at[1];
}

static const struct asked_place *judge(struct asked *a)
{
	char path[PATH_MAX], second[PATH_MAX];
	struct asked_place *p = a->at;
	struct guard *g = &protect.guard;

	g->top = protect_area(p->area < 0 ? a->at[1].area : p->area)->fd;
	if (p->area >= 0 && !protect_relative(p, path))
		return p;
	if (a->count == 2 && !protect_relative(&a->at[1], second))
		return &a->at[1];
	switch (a->op) {
	case DOOR_UNLINK:
		return guard_remove(g, path) == GUARD_FREE ? NULL : p;
	case DOOR_RENAME:
		return judge_move(a, path, second);
	case DOOR_LINK:
		/* By another name it could be written. */
		if (guard_write(g, path, S_IFREG) != GUARD_FREE)
			return p;
		__attribute__((fallthrough));
	case DOOR_LINK_FD:
		return guard_write(g, second, type_at(path) == S_IFLNK ? S_IFLNK : S_IFREG) ==
				       GUARD_FREE
			       ? NULL
			       : &a->at[1];
	default:
		return guard_write(g, path, type_of(a)) == GUARD_FREE ? NULL : p;
	}
}

/* Of the caller, who makes something. */
static bool find_umask(struct asked *a)
{
	char text[512];
	const char *at;

	watch_proc_status((pid_t)a->n.pid, text, sizeof(text));
	at = strstr(text, "\nUmask:\t");
	if (!at)
		return false;
	a->umask = (uint32_t)strtoul(at + strlen("\nUmask:\t"), NULL, 8);
	return true;
}

static bool add(char *to, size_t *len, const char *s)
{
	size_t n = strlen(s) + 1;

	if (*len + n > DOOR_MAX)
		return false;
	memcpy(to + *len, s, n);
	*len += n;
	return true;
}

static int ask(struct supervisor *s, struct asked *a)
{
	static _cold_data_ struct {
		struct door_request head;
		char strings[DOOR_MAX];
	} m;
	bool two = a->count == 2;
	size_t len = 0;

	m.head = (struct door_request){ .op = a->op,
					.checks = a->checks,
					.flags = a->flags,
					.mode = a->mode,
					.umask = a->umask,
					.number = a->number };
	if (!add(m.strings, &len, a->at[0].dir) || !add(m.strings, &len, a->at[0].name) ||
	    !add(m.strings, &len, two ? a->at[1].dir : "") ||
	    !add(m.strings, &len, two ? a->at[1].name : "") || !add(m.strings, &len, a->text))
		return -ENAMETOOLONG;
	return sys_pass_packet(s->jail.door_fd, &m, sizeof(m.head) + len, &a->fd, a->fd >= 0,
			       MSG_DONTWAIT);
}

/* Both places are of one area, or only one counts. */
static bool is_free(const struct asked *a)
{
	return protect_area(a->at[a->at[0].area < 0].area)->free;
}

/* As far as it is known where it leads: judge it, and have it done. */
static void proceed(struct supervisor *s, struct asked *a)
{
	const struct asked_place *bad;
	bool in = a->at[0].area >= 0, both = a->count == 2;
	int r;

	if (++a->tries > PROTECT_TRIES) {
		finish(s, a, ELOOP);
		return;
	}
	if (!in && !(both && a->at[1].area >= 0)) {
		go_on(s, a);
		return;
	}
	/* The one is of another mount than the other. */
	if (both && a->op != DOOR_LINK_FD && a->at[0].area != a->at[1].area) {
		finish(s, a, EXDEV);
		return;
	}
	bad = is_free(a) ? NULL : judge(a);
	if (bad) {
		refuse(s, a, bad);
		return;
	}
	r = ask(s, a);
	if (r < 0)
		finish(s, a, -r);
	else
		protect.busy = true;
}

/* linkat(2) of what a descriptor of the caller's leads to. */
static int take_descriptor(struct asked *a, int fd)
{
	int pidfd = (int)sys_call(SYS_pidfd_open, a->n.pid, 0);
	char text[16 + 64], path[PATH_MAX];
	struct stat st;
	long n;

	if (pidfd == -EINVAL || pidfd == -ENOENT) { /* a thread */
		pid_t pid = watch_process((pid_t)a->n.pid, NULL, &pidfd);

		pidfd = pid > 0 ? pidfd : -ESRCH;
	}
	a->fd = pidfd < 0 ? pidfd : (int)sys_call(SYS_pidfd_getfd, pidfd, fd, 0);
	sys_close(pidfd);
	if (a->fd < 0)
		return a->fd;
	a->op = DOOR_LINK_FD;
	if (sys_call(SYS_newfstatat, a->fd, "", &st, AT_EMPTY_PATH) != 0 || !S_ISREG(st.st_mode))
		return -EPERM;
	if (st.st_nlink == 0)
		return 0; /* of O_TMPFILE */
	snprintf(text, sizeof(text), "/proc/self/fd/%d", a->fd);
	n = sys_call(SYS_readlinkat, AT_FDCWD, text, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	a->op = DOOR_LINK; /* by its name, which is judged */
	sys_close(TAKE_FD(a->fd));
	a->at[0].follow = false;
	a->flags = 0;
	return path[0] == '/' ? protect_place(a, &a->at[0], path) : -EACCES;
}

/* "/proc/self/fd/3" as linkat(2) is given it; -1. */
static int descriptor_named(const char *text)
{
	static const char *const names[] = { "/proc/self/fd/", "/dev/fd/",
					     "/proc/thread-self/fd/" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *rest = str_after(text, names[i]);

		if (rest && *rest && strspn(rest, "0123456789") == strlen(rest) && strlen(rest) < 9)
			return (int)strtol(rest, NULL, 10);
	}
	return -1;
}

static int find_source(struct asked *a, const char *text)
{
	int fd = -1;

	if (a->op == DOOR_LINK_FD && !*text)
		fd = a->at[0].dirfd;
	else if (a->at[0].follow)
		fd = descriptor_named(text);
	a->op = DOOR_LINK;
	return fd >= 0 ? take_descriptor(a, fd) : protect_place(a, &a->at[0], text);
}

static int find_places(struct asked *a)
{
	static _cold_data_ char text[PATH_MAX + 8];
	int r = 0;

	for (unsigned i = 0; i < a->count && r == 0; i++) {
		r = watch_string((pid_t)a->n.pid, a->at[i].address, text, sizeof(text));
		if (r < 0 || r >= PATH_MAX)
			return r < 0 ? r : -ENAMETOOLONG;
		r = i == 0 && (a->op == DOOR_LINK || a->op == DOOR_LINK_FD)
			    ? find_source(a, text)
			    : protect_place(a, &a->at[i], text);
	}
	if (r == 0 && a->op == DOOR_OPEN && (a->flags & O_TMPFILE) == O_TMPFILE) {
		r = snprintf(text, sizeof(text), "%s/%s/.", a->at[0].dir, a->at[0].name);
		r = r >= (int)sizeof(text) ? -ENAMETOOLONG : protect_place(a, &a->at[0], text);
	}
	return r;
}

static void begin(struct supervisor *s, const struct seccomp_notif *n)
{
	struct asked *a = &protect.now;
	int r = protect_read(n, a);

	if (r == 0)
		r = find_places(a);
	/* What cannot be read or found fails in the kernel too, or in Landlock. */
	if (r > 0 || (r < 0 && r != -ENOSYS)) {
		go_on(s, a);
		return;
	}
	if (r == 0 && a->makes && !find_umask(a))
		r = -EACCES;
	if (!is_there(s, a)) { /* all that we have read may have been another's */
		sys_close(TAKE_FD(a->fd));
		return;
	}
	if (r < 0)
		finish(s, a, -r);
	else
		proceed(s, a);
}

/* The descriptor @fd becomes the caller's, which gets its number. */
static void give(const struct supervisor *s, struct asked *a, int fd)
{
	struct seccomp_notif_addfd give = { .id = a->n.id,
					    .flags = SECCOMP_ADDFD_FLAG_SEND,
					    .srcfd = (uint32_t)fd,
					    .newfd_flags = a->cloexec ? O_CLOEXEC : 0 };
	long r = sys_call(SYS_ioctl, s->jail.notify_fd, SECCOMP_IOCTL_NOTIF_ADDFD, &give);

	sys_close(fd);
	if (r < 0 && r != -ENOENT)
		finish(s, a, (int)-r);
	protect.busy = false;
}

static void postpone(struct asked *a)
{
	uint64_t at = supervisor_now() + PROTECT_LATE_MS;

	protect.busy = false;
	for (unsigned i = 0; i < PROTECT_LATE; i++)
		if (i >= protect.late_top || protect.late[i].n.pid == 0) {
			protect.late[i] = (struct late){ a->n, at };
			protect.late_top = MAX(protect.late_top, i + 1);
			watch_at(at);
			return;
		}
}

static void follow_link(struct supervisor *s, struct asked *a)
{
	static _cold_data_ char path[2 * PATH_MAX];
	struct asked_place *p = &a->at[0];
	int r;

	if (protect.text[0] == '/')
		str_copy(path, sizeof(path), protect.text);
	else
		snprintf(path, sizeof(path), "%s/%s", p->dir, protect.text);
	r = strlen(path) < PATH_MAX ? protect_place(a, p, path) : -ENAMETOOLONG;
	if (r < 0)
		finish(s, a, -r);
	else
		proceed(s, a);
}

static void came_out(struct supervisor *s, struct asked *a, int which)
{
	if (which < 0 || which >= (int)a->count || protect.text[0] != '/') {
		finish(s, a, EACCES);
		return;
	}
	/* Beneath nothing that is protected: the same call, by the kernel. */
	protect_came_out(&a->at[which], protect.text);
	proceed(s, a);
}

/* One answer of PID 1's. It runs inside: nothing but this call hangs on what it says. */
static void take_reply(struct supervisor *s, size_t len, int fd)
{
	struct asked *a = &protect.now;
	const struct door_reply *r = &protect.reply;

	protect.text[len - sizeof(*r) < sizeof(protect.text) ? len - sizeof(*r)
							     : sizeof(protect.text) - 1] = '\0';
	if (fd >= 0 && (r->answer != DOOR_DONE || a->op != DOOR_OPEN))
		sys_close(TAKE_FD(fd));
	switch (r->answer) {
	case DOOR_DONE:
		if (fd >= 0)
			give(s, a, fd);
		else
			finish(s, a, r->value < 0 ? -r->value : a->op == DOOR_OPEN ? EIO : 0);
		return;
	case DOOR_ELSEWHERE:
		came_out(s, a, r->value);
		return;
	case DOOR_IS_LINK:
		follow_link(s, a);
		return;
	case DOOR_HAS_LINKS:
		if (guard_is_protected_file(&protect.guard, r->device, r->inode)) {
			refuse(s, a, a->at);
			return;
		}
		a->checks |= DOOR_MANY_LINKS;
		proceed(s, a);
		return;
	case DOOR_BUSY:
		postpone(a);
		return;
	default:
		finish(s, a, EIO);
	}
}

static void receive(struct supervisor *s)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec io[2] = { { &protect.reply, sizeof(protect.reply) },
			       { protect.text, sizeof(protect.text) } };
	struct msghdr msg = { .msg_iov = io,
			      .msg_iovlen = 2,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	long n = sys_call(SYS_recvmsg, s->jail.door_fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd = -1;

	if (n == -EAGAIN || n == -EINTR)
		return;
	if (msg.msg_controllen >= CMSG_LEN(sizeof(int)) && control.head.cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	if (n >= (long)sizeof(protect.reply) && protect.busy) {
		take_reply(s, (size_t)n, fd);
		return;
	}
	sys_close(fd);
	if (protect.busy) /* PID 1 is gone, and all with it */
		finish(s, &protect.now, EIO);
	if (n <= 0)
		sys_close(TAKE_FD(s->jail.door_fd));
}

static bool next(struct seccomp_notif *n)
{
	if (protect.count == 0)
		return false;
	*n = protect.waiting[protect.first];
	protect.first = (protect.first + 1) % PROTECT_WAITING;
	protect.count--;
	return true;
}

/*
 * Until nobody waits, or PID 1 takes its time. Where PID 1 is observed itself, its own
 * calls have to be let through meanwhile: then the loop does it.
 */
static void pump(struct supervisor *s)
{
	const struct timespec limit = { 0, SPIN_MS * 1000000L };
	struct seccomp_notif n;

	for (;;) {
		struct pollfd p = { .fd = s->jail.door_fd, .events = POLLIN };

		while (!protect.busy)
			if (!next(&n))
				return;
			else
				begin(s, &n);
		if (s->request->stays || sys_call(SYS_ppoll, &p, 1, &limit, 0, 0) != 1)
			return;
		receive(s);
	}
}

static void compile(const struct supervisor *s)
{
	const struct plan_str *text = plan_items(s->plan, protect, struct plan_str);

	for (uint32_t i = 0; i < s->plan->protect.count; i++)
		guard_add(&protect.guard,
			  plan_string(s->plan, text[i])); /* the plan's are checked */
	protect.compiled = true;
}

bool protect_is_door(const struct supervisor *s, const struct seccomp_notif *n)
{
	return s->jail.door_fd >= 0 && (pid_t)n->pid == s->jail.pid1 && s->request->stays &&
	       protect.busy;
}

static bool is_full(void)
{
	return protect.count == PROTECT_WAITING;
}

static void wait_turn(const struct seccomp_notif *n)
{
	protect.waiting[(protect.first + protect.count++) % PROTECT_WAITING] = *n;
}

bool protect_takes(struct supervisor *s, const struct seccomp_notif *n)
{
	if (s->jail.door_fd < 0)
		return false;
	if (is_full()) {
		struct seccomp_notif_resp resp = { .id = n->id, .error = -EAGAIN };

		sys_call(SYS_ioctl, s->jail.notify_fd, SECCOMP_IOCTL_NOTIF_SEND, &resp);
		return true;
	}
	if (!protect_open_areas(s, (pid_t)n->pid))
		return false;
	if (!protect.compiled)
		compile(s);
	wait_turn(n);
	pump(s);
	return true;
}

void protect_prepare(const struct supervisor *s, struct pollfd *fd)
{
	*fd = (struct pollfd){ .fd = protect.busy ? s->jail.door_fd : -1, .events = POLLIN };
}

void protect_handle(struct supervisor *s, const struct pollfd *fd)
{
	if (!fd->revents)
		return;
	receive(s);
	pump(s);
}

void protect_tick(struct supervisor *s, uint64_t now)
{
	for (unsigned i = 0; i < protect.late_top; i++) {
		struct late *l = &protect.late[i];

		if (l->n.pid == 0)
			continue;
		if (now < l->at || is_full()) {
			watch_at(MAX(l->at, now + 1));
			continue;
		}
		wait_turn(&l->n);
		l->n.pid = 0;
	}
	while (protect.late_top > 0 && protect.late[protect.late_top - 1].n.pid == 0)
		protect.late_top--;
	pump(s);
}

void protect_end(void)
{
	if (protect.busy)
		sys_close(TAKE_FD(protect.now.fd));
	protect.busy = false;
	protect.first = protect.count = protect.late_top = 0;
	protect.guard.count = 0;
	protect.compiled = false;
	protect_close_areas();
}
