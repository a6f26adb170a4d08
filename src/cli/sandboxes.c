/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sandboxes.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "cgroup/cgroup.h"
#include "cli/dirs.h"
#include "sys/files.h"

enum { ANSWER_SECONDS = 5, DISTANCE_MAX = 2, CLEAR_MS = 300 };

static int open_all(bool make, struct err *e)
{
	static struct dirs dirs;
	int all, r = dirs_init(&dirs);

	if (r < 0)
		return err_set(e, r, "start", "find Purple's own files");
	all = dirs.runtime ? state_open_all(dirs.runtime, make) : -ENOENT;
	if (all == -ENOENT && make && !dirs.runtime) {
		err_set(e, EPROTO, "state", "there is no directory for the state of sandboxes");
		err_remedy(e, "set XDG_RUNTIME_DIR or HOME");
		return -EPROTO;
	}
	if (all < 0 && (make || all != -ENOENT)) {
		err_set(e, all, "state", "%.300s/sandboxes", dirs.runtime);
		if (all == -EPERM)
			err_remedy(e, "it must be a directory of yours that nobody else can enter "
				      "(mode 0700)");
	}
	return all;
}

int sandboxes_open(struct err *e)
{
	return open_all(false, e);
}

int sandboxes_open_or_make(struct err *e)
{
	return open_all(true, e);
}

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

static DIR *list(int all)
{
	int fd = openat(all, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

static bool is_locked(int dir)
{
	if (flock(dir, LOCK_SH | LOCK_NB) < 0)
		return true;
	flock(dir, LOCK_UN);
	return false;
}

static bool is_gone(pid_t pid)
{
	return pid > 0 && kill(pid, 0) < 0 && errno == ESRCH;
}

/* What @dir, an open file of our own, says. False: left by a dead supervisor. */
static bool judge(int dir, const char *entry, struct sandbox *s)
{
	int r = state_read(dir, &s->state);

	s->live = s->readable = true;
	s->damaged = false;
	if (r == 0 && s->state.phase == SANDBOX_ENDED) {
		s->live = false;
		return true;
	}
	/*
	 * The lock may be that of somebody who clears up, for a moment. One whose pid
	 * we do not see, and who keeps it, is in another pid namespace.
	 */
	if (!is_locked(dir) || ((r == -EBADMSG || (r == 0 && is_gone(s->state.supervisor))) &&
				sandbox_wait_unlocked(dir, CLEAR_MS))) {
		/* It may have written its last words since we read. */
		r = state_read(dir, &s->state);
		s->live = false;
		return r == 0 && s->state.phase == SANDBOX_ENDED;
	}
	if (r < 0) {
		s->state = (struct sandbox_state){ .workspace = "", .command = "" };
		str_copy(s->state.name, sizeof(s->state.name), entry);
		s->readable = false;
		s->damaged = r == -EBADMSG;
	}
	return true;
}

static int by_start(const void *a, const void *b)
{
	const struct sandbox_state *x = &(*(struct sandbox *const *)a)->state;
	const struct sandbox_state *y = &(*(struct sandbox *const *)b)->state;

	if (x->started_ms != y->started_ms)
		return x->started_ms < y->started_ms ? -1 : 1;
	return strcmp(x->name, y->name);
}

void sandboxes_sweep(int all)
{
	if (all >= 0)
		state_sweep(all, 0);
	cg_sweep(cg_here(), UINT32_MAX, 0, NULL, NULL);
}

/* The ids of those that live, to be found fast: their groups need not be looked at. */
struct ids {
	const struct sandboxes *list;
	uint32_t *slots; /* number + 1 of an item; 0: free */
	size_t mask;
};

static size_t slot_of(const struct ids *t, const char *id)
{
	size_t h = 0;

	for (const char *c = id; *c; c++)
		h = h * 33 + (unsigned char)*c;
	for (h &= t->mask; t->slots[h]; h = (h + 1) & t->mask)
		if (streq(t->list->items[t->slots[h] - 1]->state.id, id))
			break;
	return h;
}

static bool is_known(const char *id, void *arg)
{
	const struct ids *t = arg;

	return t->slots[slot_of(t, id)] != 0;
}

/* One that was killed before it was written down has left a group all the same. */
static void sweep_groups(const struct sandboxes *l)
{
	_cleanup_free_ uint32_t *slots = NULL;
	struct ids ids = { .list = l, .mask = 1 };

	while (ids.mask < l->count * 2)
		ids.mask = ids.mask * 2 + 1;
	slots = ids.slots = calloc(ids.mask + 1, sizeof(*slots));
	for (size_t i = 0; slots && i < l->count; i++)
		if (l->items[i]->live && l->items[i]->readable)
			slots[slot_of(&ids, l->items[i]->state.id)] = (uint32_t)i + 1;
	cg_sweep(cg_here(), UINT32_MAX, 0, slots ? is_known : NULL, &ids);
}

/*
 * The fast way to what judge() finds out, for one that lives or is a record. False:
 * neither is sure. Until it runs, PID 1 may hold the lock a little longer than the
 * supervisor does.
 */
static bool is_plain(int all, const char *entry, struct sandbox *s)
{
	int r = state_look(all, entry, &s->state);
	enum sandbox_phase phase = s->state.phase;

	s->readable = true;
	s->damaged = false;
	s->live = r == 1 && phase != SANDBOX_ENDED;
	if (!s->live)
		return r >= 0 && phase == SANDBOX_ENDED;
	return phase == SANDBOX_RUNNING || phase == SANDBOX_PAUSED || !is_gone(s->state.supervisor);
}

/* Many have the same workspace, or the same command. */
static const char *keep(struct sandboxes *l, const char *text, const char *last)
{
	return last && streq(text, last) ? last : arena_strdup(&l->memory, text);
}

static int add(struct sandboxes *l, const struct sandbox *s)
{
	const struct sandbox_state *last = l->count ? &l->items[l->count - 1]->state : NULL;
	struct sandbox **items = l->items, *one = arena_alloc(&l->memory, sizeof(*one));

	if (l->count == l->room) {
		l->room = l->room ? l->room * 2 : 64;
		items = realloc(items, l->room * sizeof(struct sandbox *));
	}
	if (items)
		l->items = items;
	if (!items || !one)
		return -ENOMEM;
	*one = *s;
	one->state.workspace = keep(l, s->state.workspace, last ? last->workspace : NULL);
	one->state.command = keep(l, s->state.command, last ? last->command : NULL);
	if (!one->state.workspace || !one->state.command)
		return -ENOMEM;
	items[l->count++] = one;
	return 0;
}

int sandboxes_load(struct sandboxes *l, struct err *e)
{
	_cleanup_close_ int all = sandboxes_open(e);
	_cleanup_(closedirp) DIR *d = NULL;
	struct dirent *entry;
	bool dead = false;

	if (all == -ENOENT)
		sandboxes_sweep(-1);
	if (all < 0)
		return all == -ENOENT ? 0 : all;
	d = list(all);
	if (!d)
		return err_set(e, errno, "state", "list the sandboxes");
	while ((entry = readdir(d))) {
		_cleanup_close_ int dir = -1;
		struct sandbox s;

		if (!sandbox_name_ok(entry->d_name))
			continue;
		if (entry->d_type != DT_DIR || !is_plain(all, entry->d_name, &s)) {
			dir = openat(all, entry->d_name,
				     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (dir < 0)
				continue;
			if (!judge(dir, entry->d_name, &s)) {
				dead = true;
				continue;
			}
		}
		if (add(l, &s) < 0)
			return err_set(e, ENOMEM, "state", "list the sandboxes");
	}
	if (dead)
		sandboxes_sweep(all);
	else
		sweep_groups(l);
	if (l->count > 1)
		qsort(l->items, l->count, sizeof(struct sandbox *), by_start);
	return 0;
}

void sandboxes_free(struct sandboxes *l)
{
	free(l->items);
	arena_free(&l->memory);
	*l = SANDBOXES_INIT;
}

static int not_found(int all, const char *name, struct err *e)
{
	_cleanup_(closedirp) DIR *d = all < 0 ? NULL : list(all);
	char best[SANDBOX_NAME_MAX + 1] = "";
	unsigned distance = DISTANCE_MAX + 1;
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		unsigned n = str_distance(name, entry->d_name);

		if (sandbox_name_ok(entry->d_name) && n < distance && n < strlen(name)) {
			distance = n;
			str_copy(best, sizeof(best), entry->d_name);
		}
	}
	err_set(e, EPROTO, "state", "there is no sandbox %.80s%s%s%s", name,
		best[0] ? "; did you mean " : "", best, best[0] ? "?" : "");
	err_remedy(e, "`purple ps -a` lists them");
	return -EPROTO;
}

int sandbox_find(struct found_sandbox *f, const char *name, struct err *e)
{
	f->all = sandboxes_open(e);
	if (f->all < 0 && f->all != -ENOENT)
		return f->all;
	f->dir = f->all < 0 ? -ENOENT : state_open(f->all, name);
	if (f->dir == -ENOENT || f->dir == -ENOTDIR || f->dir == -ELOOP)
		return not_found(f->all, name, e);
	if (f->dir < 0)
		return err_set(e, f->dir, "state", "open the sandbox %.80s", name);
	if (judge(f->dir, name, &f->sandbox))
		return 0;
	sandboxes_sweep(f->all);
	err_set(e, EPROTO, "state",
		"the supervisor of %.80s was killed; what it left is removed now", name);
	err_remedy(e, "`purple ps -a` lists those that there are");
	return -EPROTO;
}

void sandbox_close(struct found_sandbox *f)
{
	close_fdp(&f->dir);
	close_fdp(&f->all);
}

/* "T (stopped)" in /proc/PID/stat, behind the name, which may hold anything. */
static bool is_suspended(pid_t pid)
{
	_cleanup_buf_ struct buf b = BUF_INIT(4096);
	const char *end;
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (read_file_at(AT_FDCWD, path, &b) < 0)
		return false;
	end = strrchr(b.data, ')');
	return end && end[1] == ' ' && end[2] == 'T';
}

static void wake_up(const struct found_sandbox *f)
{
	pid_t pid = f->sandbox.state.supervisor;
	int pidfd;

	if (!f->sandbox.readable || pid <= 0 || !is_suspended(pid))
		return;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	/* Still locked: still the supervisor's pid. */
	if (pidfd >= 0 && is_locked(f->dir))
		syscall(SYS_pidfd_send_signal, pidfd, SIGCONT, NULL, 0);
	sys_close(pidfd);
}

int sandbox_talk(const struct found_sandbox *f, bool wake, struct err *e)
{
	const struct timeval limit = { .tv_sec = ANSWER_SECONDS };
	const char *name = f->sandbox.state.name;
	int fd = f->sandbox.live ? state_connect(f->dir) : -ENOENT;

	if (fd == -ENOENT || fd == -ECONNREFUSED) {
		err_set(e, EPROTO, "state", "the sandbox %s %s", name,
			f->sandbox.live ? "does not listen: it starts, or has just ended"
					: "has ended");
		err_remedy(e, "`purple ps -a` tells how");
		return -EPROTO;
	}
	if (fd < 0)
		return err_set(e, fd, "state", "reach the supervisor of %s", name);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (wake)
		wake_up(f);
	return fd;
}

static int no_answer(const char *name, struct err *e)
{
	err_set(e, EPROTO, "state", "the supervisor of %s does not answer", name);
	err_remedy(e, "perhaps it is suspended, by Ctrl-Z: `purple resume %s` lets it go on", name);
	return -EPROTO;
}

static int hear(int fd, const char *name, bool patient, enum control_type want,
		struct control_message *answer, int *fds, unsigned *nfds, struct err *e)
{
	const unsigned room = nfds ? *nfds : 0;
	int r;

	do {
		if (nfds)
			*nfds = room;
		r = control_receive(fd, answer, fds, nfds, 0);
	} while (r == -EINTR || (r == -EAGAIN && patient));
	if (r == -EAGAIN)
		return no_answer(name, e);
	if (r == 0 || r == -ECONNRESET || r == -EPIPE) {
		err_set(e, EPROTO, "state", "the supervisor of %s has gone away", name);
		err_remedy(e, "`purple ps -a` tells what became of it");
		return -EPROTO;
	}
	if (r < 0)
		return err_set(e, r, "state", "hear from the supervisor of %s", name);
	if (answer->head.type == (uint32_t)want)
		return 0;
	while (nfds && *nfds > 0)
		sys_close(fds[--*nfds]);
	if (answer->head.type == CONTROL_ERROR)
		return control_error(answer, "state", e);
	return err_set(e, EPROTO, "state", "the supervisor of %s gave a wrong answer", name);
}

int sandbox_hear(int fd, const char *name, bool patient, enum control_type want,
		 struct control_message *answer, struct err *e)
{
	return hear(fd, name, patient, want, answer, NULL, NULL, e);
}

int sandbox_hear_fds(int fd, const char *name, enum control_type want,
		     struct control_message *answer, int *fds, unsigned *nfds, struct err *e)
{
	return hear(fd, name, false, want, answer, fds, nfds, e);
}

int sandbox_tell(int fd, const char *name, enum control_type request, uint32_t value, struct err *e)
{
	int r = control_send_value(fd, request, value, 0);

	if (r == -EAGAIN)
		return no_answer(name, e);
	/* -EPIPE: what it said before it went is still to be read. */
	if (r < 0 && r != -EPIPE)
		return err_set(e, r, "state", "ask the supervisor of %s", name);
	return 0;
}

int sandbox_ask(int fd, const char *name, enum control_type request, uint32_t value,
		enum control_type want, struct control_message *answer, struct err *e)
{
	int r = sandbox_tell(fd, name, request, value, e);

	return r < 0 ? r : sandbox_hear(fd, name, false, want, answer, e);
}

bool sandbox_wait_unlocked(int dir, int ms)
{
	const struct timespec pause = { .tv_nsec = 2000000 };

	for (int waited = 0; is_locked(dir); waited += 2) {
		if (waited >= ms)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}
