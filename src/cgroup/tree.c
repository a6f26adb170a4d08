/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes below PID 1 of a sandbox, from /proc: proc_pid_stat(5),
 * proc_tid_children(5). Not in what a start calls: it uses the heap.
 *
 * Children are read from /proc/PID/task/TID/children, for each thread; where
 * the kernel has no such file, the whole of /proc is read for parents.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cgroup/internal.h"
#include "sys/files.h"
#include "sys/process.h"

enum { ROUNDS = 100, TREE_MAX = 1 << 20, STAT_TICKS = 100 /* USER_HZ, everywhere */ };
enum { SETTLE_MS = 1, SAME_LOOKS = 2 };

struct process {
	pid_t pid;
	uint64_t start; /* of the process, in ticks since boot: tells a pid taken over */
};

struct tree {
	struct process *list;
	size_t count, room;
};

/* Fields of /proc/PID/stat that we need, numbered as in the manual. */
enum {
	ST_STATE = 3,
	ST_PPID = 4,
	ST_UTIME = 14,
	ST_CSTIME = 17,
	ST_THREADS = 20,
	ST_START = 22,
	ST_RSS = 24
};

struct stat_line {
	char state;
	uint64_t field[ST_RSS + 1];
};

static void proc_path(char out[64], pid_t pid, const char *rest)
{
	size_t n;

	memcpy(out, "/proc/", 6);
	n = 6 + cg_number(out + 6, (uint64_t)pid);
	str_copy(out + n, 64 - n, rest);
}

static bool read_stat(pid_t pid, struct stat_line *st)
{
	char path[64], text[1024];
	const char *s;

	memset(st, 0, sizeof(*st));
	proc_path(path, pid, "/stat");
	if (cg_read(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return false;
	s = strrchr(text, ')'); /* a process may call itself ") Z 1" */
	if (!s || s[1] != ' ')
		return false;
	s += 2;
	st->state = *s;
	for (int i = ST_STATE; *s && i <= ST_RSS; i++) {
		const char *end;

		if (i > ST_STATE)
			st->field[i] = cg_digits(s + (*s == '-'), &end);
		s = strchr(s, ' ');
		if (!s)
			return i == ST_RSS;
		s++;
	}
	return true;
}

/* Over, and only to be waited for. The state is the first thread's, which may end before others. */
static bool is_dead(const struct stat_line *st)
{
	return (st->state == 'Z' || st->state == 'X') && st->field[ST_THREADS] <= 1;
}

static const struct process *find(const struct tree *t, pid_t pid)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->list[i].pid == pid)
			return &t->list[i];
	return NULL;
}

static bool add(struct tree *t, pid_t pid, uint64_t start)
{
	if (t->count == t->room) {
		size_t room = t->room ? t->room * 2 : 64;
		struct process *list = room > TREE_MAX ? NULL
						       : realloc(t->list, room * sizeof(*list));

		if (!list)
			return false;
		t->list = list;
		t->room = room;
	}
	t->list[t->count++] = (struct process){ pid, start };
	return true;
}

/* Add the children that @text lists, which still have a parent in the tree. */
static void add_listed(struct tree *t, const char *text)
{
	while (*text) {
		const char *end;
		pid_t pid = (pid_t)cg_digits(text, &end);
		struct stat_line st;

		if (end == text)
			return;
		if (pid > 0 && !find(t, pid) && read_stat(pid, &st) &&
		    find(t, (pid_t)st.field[ST_PPID]))
			add(t, pid, st.field[ST_START]);
		text = end + (*end == ' ');
	}
}

struct threads {
	struct tree *tree;
	int dir;
	bool missing; /* no such file in this kernel */
};

static int add_children(const char *tid, void *arg)
{
	struct threads *th = arg;
	char path[64], text[CG_TEXT];
	size_t n = strlen(tid);
	long len;

	if (n > 20)
		return 0;
	memcpy(path, tid, n);
	str_copy(path + n, sizeof(path) - n, "/children");
	len = cg_read(th->dir, path, text, sizeof(text));
	if (len == -ENOENT && sys_call(SYS_faccessat, th->dir, tid, 0) == 0)
		th->missing = true;
	if (len <= 0)
		return 0;
	if ((size_t)len == sizeof(text) - 1) { /* cut: the rest comes by the scan */
		th->missing = true;
		*(strrchr(text, ' ') ?: text) = '\0';
	}
	add_listed(th->tree, text);
	return 0;
}

static int add_if_child(const char *name, void *arg)
{
	struct tree *t = arg;
	const char *end;
	pid_t pid = (pid_t)cg_digits(name, &end);
	struct stat_line st;

	if (*end == '\0' && pid > 0 && !find(t, pid) && read_stat(pid, &st) &&
	    find(t, (pid_t)st.field[ST_PPID]))
		add(t, pid, st.field[ST_START]);
	return 0;
}

/* All of /proc, until a pass finds nobody new. */
static void scan(struct tree *t)
{
	size_t before;

	do {
		int fd = sys_openat(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY, 0);

		before = t->count;
		if (fd < 0)
			return;
		cg_each_entry(fd, add_if_child, t);
		sys_close(fd);
	} while (t->count > before);
}

/* PID 1 first, then everything below it. */
static void walk(struct tree *t, pid_t pid1)
{
	struct threads th = { .tree = t };
	struct stat_line st;

	t->count = 0;
	if (!read_stat(pid1, &st) || !add(t, pid1, st.field[ST_START]))
		return;
	for (size_t i = 0; i < t->count; i++) {
		char path[64];

		proc_path(path, t->list[i].pid, "/task");
		th.dir = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
		if (th.dir < 0)
			continue;
		cg_each_entry(th.dir, add_children, &th);
		sys_close(th.dir);
	}
	if (th.missing)
		scan(t);
}

void cg_tree_usage(pid_t pid1, struct cg_usage *u)
{
	uint64_t user = 0, system = 0, page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct tree t = { 0 };

	memset(u, 0xff, sizeof(*u));
	walk(&t, pid1);
	u->memory = u->pids = 0;
	for (size_t i = 0; i < t.count; i++) {
		struct stat_line st;

		if (!read_stat(t.list[i].pid, &st) || st.field[ST_START] != t.list[i].start)
			continue;
		/* With what its dead children used, whom it waited for. */
		user += st.field[ST_UTIME] + st.field[ST_UTIME + 2];
		system += st.field[ST_UTIME + 1] + st.field[ST_CSTIME];
		u->memory += st.field[ST_RSS] * page;
		u->pids += st.field[ST_THREADS];
	}
	u->user_us = user * (1000000 / STAT_TICKS);
	u->system_us = system * (1000000 / STAT_TICKS);
	u->cpu_us = u->user_us + u->system_us;
	free(t.list);
}

/*
 * The descriptor is opened before the start time is compared: if that is the
 * listed one's, the descriptor is that process's, whoever has the pid later.
 */
static bool signal_one(const struct process *p, int sig)
{
	int fd = (int)sys_call(SYS_pidfd_open, p->pid, 0);
	struct stat_line st;
	bool sent = false;

	if (fd < 0)
		return false;
	if (read_stat(p->pid, &st) && st.field[ST_START] == p->start && !is_dead(&st))
		sent = sys_pidfd_signal(fd, sig) == 0;
	sys_close(fd);
	return sent;
}

static bool signalled(const struct tree *done, const struct process *p)
{
	for (size_t i = 0; i < done->count; i++)
		if (done->list[i].pid == p->pid && done->list[i].start == p->start)
			return true;
	return false;
}

/* What tells whether a thread has run: that it may not now, and how often it has been switched. */
struct stillness {
	int dir; /* /proc/PID/task */
	bool stopped;
	uint64_t switches; /* of all threads, with their numbers */
};

static int look_at_thread(const char *tid, void *arg)
{
	static const char switched[] = "voluntary_ctxt_switches:\t";
	struct stillness *all = arg;
	char path[64], text[CG_TEXT];
	const char *state, *end;
	size_t n = strlen(tid);

	if (n > 20 || tid[0] == '.')
		return 0;
	memcpy(path, tid, n);
	str_copy(path + n, sizeof(path) - n, "/status");
	if (cg_read(all->dir, path, text, sizeof(text)) <= 0)
		return 0; /* it has ended */
	state = strstr(text, "\nState:\t");
	/* D: in the kernel, as in vfork(2); on its way out it finds the SIGSTOP. */
	if (!state || !strchr("TtZXD", state[8]))
		all->stopped = false;
	/* Of two kinds, voluntary_ and nonvoluntary_. */
	for (const char *s = text; (s = strstr(s, switched)); s += strlen(switched))
		all->switches += cg_digits(s + strlen(switched), &end);
	all->switches += cg_digits(tid, &end) << 40;
	return 0;
}

static struct stillness look_at_all(const struct tree *t)
{
	struct stillness all = { .stopped = true };

	for (size_t i = 1; i < t->count; i++) {
		char path[64];

		proc_path(path, t->list[i].pid, "/task");
		all.dir = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
		if (all.dir < 0)
			continue;
		cg_each_entry(all.dir, look_at_thread, &all);
		sys_close(all.dir);
	}
	return all;
}

/*
 * One that is not stopped yet can let another go on, that one the first, and so
 * on: it takes a moment at which none of them runs. That is between two looks
 * that find all stopped, and none switched to in the meantime. A third, because
 * the state says so a little before the switch is counted.
 */
static int stop_all(pid_t pid1)
{
	struct stillness now, before = { .stopped = false };
	struct tree t = { 0 };
	int same = 0;

	for (int round = 0; round < ROUNDS && same < SAME_LOOKS; round++) {
		if (round > 1)
			cg_sleep_ms(SETTLE_MS);
		walk(&t, pid1);
		now = look_at_all(&t);
		same = now.stopped && before.stopped && now.switches == before.switches ? same + 1
											: 0;
		before = now;
		for (size_t i = 1; i < t.count && same == 0; i++)
			signal_one(&t.list[i], SIGSTOP);
	}
	free(t.list);
	return same < SAME_LOOKS ? -EAGAIN : 0;
}

int cg_tree_signal(pid_t pid1, int sig)
{
	struct tree t = { 0 }, done = { 0 };
	int ret = -EAGAIN;

	if (sig == SIGSTOP)
		return stop_all(pid1);
	for (int round = 0; round < ROUNDS && ret != 0; round++) {
		bool sent = false;

		walk(&t, pid1);
		for (size_t i = 1; i < t.count; i++) /* not PID 1 */
			if (!signalled(&done, &t.list[i]) && signal_one(&t.list[i], sig)) {
				sent = true;
				if (!add(&done, t.list[i].pid, t.list[i].start))
					round = ROUNDS;
			}
		if (!sent)
			ret = 0;
	}
	free(t.list);
	free(done.list);
	return ret;
}
