/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nobody hears of EMFILE, of EAGAIN for a process that RLIMIT_NPROC refuses, or of ENOSPC in a
 * tmpfs. But whoever is about to get one of the first two can be seen to, and a tmpfs that
 * is full stays so for a while.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statfs.h>

#include "supervisor/watch_internal.h"
#include "sys/files.h"
#include "sys/process.h"

enum { LOOK_MS = 1000 }; /* a tmpfs that is full still is not told of anew */

enum limited { FILES, PROCESSES, SCRATCH, LIMITED };

static const struct {
	const char *key, *message;
} words[LIMITED] = {
	[FILES] = { "resources.open_files", "a process had as many files open when it asked for "
					    "another" },
	[PROCESSES] = { "resources.pids_limit", "processes were refused" },
	[SCRATCH] = { "filesystem.scratch_bytes", "all of the sandbox's own files together filled "
						  "their room" },
};

static struct {
	uint64_t value, more; /* more: what is not told of yet */
	bool told;
	uint64_t again; /* ms */
} reached[LIMITED];
static uint64_t forks_before_look; /* that cannot reach the limit yet */

static void emit(struct supervisor *s, enum limited which, uint64_t count)
{
	struct event ev = { .type = EV_LIMIT_REACHED };

	event_text(&ev, EF_LIMIT, words[which].key);
	event_number(&ev, EF_VALUE, reached[which].value);
	event_number(&ev, EF_COUNT, count);
	event_text(&ev, EF_MESSAGE, words[which].message);
	supervisor_emit(s, &ev);
}

static void reach(struct supervisor *s, enum limited which, uint64_t value)
{
	reached[which].value = value;
	if (reached[which].told) {
		reached[which].more++;
		return;
	}
	reached[which].told = true;
	emit(s, which, 1);
}

/* 0: there is none, or the caller's own is tighter, about which no policy can do anything. */
static uint64_t plan_limit(const struct supervisor *s, uint32_t resource)
{
	const struct plan_rlimit *l = plan_items(s->plan, rlimits, struct plan_rlimit);
	struct rlimit own;

	for (uint32_t i = 0; i < s->plan->rlimits.count; i++)
		if (l[i].resource == resource &&
		    (getrlimit((int)resource, &own) < 0 || own.rlim_max >= l[i].soft))
			return l[i].soft;
	return 0;
}

/* How many entries of @dir start with a digit; of each @each, if given, adds its own. */
static long count_numbers(int dir, long (*each)(int dir, const char *name))
{
	union {
		char bytes[2048];
		struct entry {
			uint64_t ino, off;
			uint16_t len;
			uint8_t type;
			char name[];
		} first; /* struct linux_dirent64 */
	} room;
	long n, count = 0;

	while ((n = sys_call(SYS_getdents64, dir, &room, sizeof(room))) > 0) {
		for (long at = 0; at < n;) {
			const struct entry *e = (const void *)(room.bytes + at);

			if (e->name[0] >= '0' && e->name[0] <= '9')
				count += each ? each(dir, e->name) : 1;
			at += e->len;
		}
	}
	return count;
}

static long count_in(int from, const char *path, long (*each)(int dir, const char *name))
{
	int dir = sys_openat(from, path, O_RDONLY | O_DIRECTORY, 0);
	long n = dir < 0 ? 0 : count_numbers(dir, each);

	sys_close(dir);
	return n;
}

/* Threads are what the kernel counts. A process that is gone by now has none. */
static long count_threads(int dir, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "%.20s/task", name);
	return count_in(dir, path, NULL);
}

/* The highest is in use only if all are, or somebody has chosen it: then they are counted. */
void watch_limit_files(struct supervisor *s, pid_t tid)
{
	uint64_t limit = reached[FILES].value;
	char name[48], to[16];

	if (limit == 0)
		limit = reached[FILES].value = plan_limit(s, RLIMIT_NOFILE);
	if (limit == 0)
		return;
	snprintf(name, sizeof(name), "fd/%llu", (unsigned long long)limit - 1);
	watch_link(tid, name, to, sizeof(to));
	snprintf(name, sizeof(name), "/proc/%d/fd", (int)tid);
	if (to[0] && count_in(AT_FDCWD, name, NULL) >= (long)limit)
		reach(s, FILES, limit);
}

/*
 * The sandbox's own /proc has all that count. After a look nobody needs to look again
 * before as many more were made as there is room for.
 */
void watch_limit_processes(struct supervisor *s)
{
	uint64_t limit = reached[PROCESSES].value, count;
	int proc;

	if (limit == 0)
		limit = reached[PROCESSES].value = plan_limit(s, RLIMIT_NPROC);
	if (limit == 0 || reached[PROCESSES].told || watch.root < 0)
		return;
	if (forks_before_look > 0) {
		forks_before_look--;
		return;
	}
	proc = sys_openat2(watch.root, "proc", O_RDONLY | O_DIRECTORY, 0,
			   RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
	count = proc < 0 ? 0 : (uint64_t)count_numbers(proc, count_threads);
	sys_close(proc);
	if (count >= limit)
		reach(s, PROCESSES, limit);
	else
		forks_before_look = limit - count - 1;
}

void watch_limit_scratch(struct supervisor *s)
{
	uint64_t now = supervisor_now();
	struct statfs st;

	if (watch.root < 0 || now < reached[SCRATCH].again ||
	    sys_call(SYS_fstatfs, watch.root, &st) < 0 || st.f_blocks == 0)
		return;
	if (st.f_bavail > 0 && (st.f_ffree > 0 || st.f_files == 0))
		return;
	reached[SCRATCH].again = now + LOOK_MS;
	reach(s, SCRATCH, (uint64_t)st.f_blocks * (uint64_t)st.f_bsize);
}

void watch_limit_end(struct supervisor *s)
{
	reached[SCRATCH].again = 0;
	if (!reached[SCRATCH].told)
		watch_limit_scratch(s);
	for (enum limited i = 0; i < LIMITED; i++)
		if (reached[i].more)
			emit(s, i, reached[i].more);
}
