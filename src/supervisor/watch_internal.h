/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the files watch*.c: what a sandbox does, seen by seccomp_unotify(2).
 *
 * Theory of operation. The calls that the plan has observed (plan/filter.h) stop until
 * we answer. The answer is the plan's filter's on the same registers: refused with its
 * errno, or go on. What else is done here, only looks:
 *
 *	watch.c		receives, answers, says what was seen
 *	watch_read.c	reads the caller's memory and what /proc says of it
 *	watch_place.c	holds paths against the plan's mounts
 *	watch_kinds.c	makes a flood of the same into counts
 *	watch_change.c	what makes, moves and removes names
 *	watch_connect.c	what is connected to, where there is no network
 *	watch_kill.c	ends the caller, where syscalls.kill is on
 *	watch_limit.c	limits that the kernel does not tell of
 *	watch_exit.c	waits for what was executed to end
 *
 * What is read may be a lie: another thread of the caller may change memory between
 * our look and the kernel's, a path may lead elsewhere by a link, a name may be
 * another file a moment later. So a record says what was asked for and as it was
 * named, ".." and "." resolved by the text alone, and /proc/self/fd/N by that link;
 * where the text says "in the workspace", links are followed, from the first caller's
 * root (a nested sandbox has another). Nothing is granted by it. A caller
 * that is gone is dropped (SECCOMP_IOCTL_NOTIF_ID_VALID behind each reading: before
 * it, the number may have become another process's).
 *
 * Nothing inside can hold us up: memory is read page by page (process_vm_readv(2)) and
 * each string is cut; of the file system only what the kernel has cached is looked at
 * (RESOLVE_CACHED, openat2(2)), but for the workspace. A reader of another's memory waits where a
 *fault of it waits: userfaultfd(2), which plan/filter.h refuses where calls are observed, and files
 * of a network or FUSE mount that the policy has bound in and that hangs; there is no
 * other. Room is fixed: PROCESSES, KINDS, LATE below.
 *
 * If we die, PID 1 does, and all with it. Where the listener is closed first, observed
 * calls fail with ENOSYS.
 */
#ifndef PURPLE_SUPERVISOR_WATCH_INTERNAL_H
#define PURPLE_SUPERVISOR_WATCH_INTERNAL_H

#include <limits.h>
#include <linux/seccomp.h>

#include "base/siphash.h"
#include "supervisor/internal.h"

enum {
	WATCH_PROCESSES = 256, /* whose end is waited for; of more it is not told */
	WATCH_KINDS = 64,      /* of the same, which are counted */
	WATCH_LATE = 8,	       /* executions of which it is not known yet whether they succeed */
	WATCH_TURN = 64,       /* calls before other descriptors get their turn */
	WATCH_LATE_MS = 20,    /* they are looked at again, for at most … */
	WATCH_OVERDUE_MS = 1000,
	WATCH_WINDOW_MS = 1000,
	WATCH_SINGLY = 8,	 /* of one kind in a window; the rest is one event with a count */
	WATCH_DENIED_MAX = 1000, /* events of refusals in a window */
	WATCH_LIST = EVENT_LIST_MAX + 1, /* one more than fits, so that it is seen to be cut */
	WATCH_PATH = PATH_MAX,
};

/* One execution, whole. */
struct execution {
	pid_t tid, pid, ppid; /* tid 0: a free place */
	int pidfd;	      /* owned; -1 */
	bool held;	      /* what a descriptor leads to: it is there, by whatever name */
	uint64_t time_ns;
	uint64_t until; /* ms */
	char path[WATCH_PATH], cwd[WATCH_PATH], argv[WATCH_LIST];
	size_t argv_len;
};

/* Something that may come in floods: of one call or one path. */
struct sighting {
	enum event_type type; /* EV_SYSCALL_DENIED, EV_FILE_*, EV_NET_DENIED */
	uint64_t time_ns;     /* before the caller went on; 0: now */
	pid_t pid;
	int nr;	   /* EV_SYSCALL_DENIED; of EV_NET_DENIED the port */
	int error; /* what the caller gets; 0: nothing is refused, or that is not known yet */
	/* Constant; of EV_NET_DENIED the protocol, or NULL; of EV_SYSCALL_DENIED what ends it. */
	const char *access, *layer;
	const char *path; /* of the file, or of the program that calls; an address */
	uint64_t args[6];
};

enum { KIND_PATH = 512 };
struct kind {
	uint64_t key;	/* 0: a free place */
	uint64_t since; /* ms: when the window began */
	uint64_t told, more;
	struct sighting last;
	char path[KIND_PATH];
};

struct process {
	int pidfd; /* -1: a free place */
	pid_t pid, ppid;
	char *path; /* owned; may be NULL */
};

struct watch {
	int root;  /* of the sandbox, O_PATH; -1: not yet */
	int exits; /* epoll of pidfds; -1 */
	pid_t first;
	uint32_t own; /* executions of ours that were told of */
	uint64_t due; /* ms: when something has to be said; 0: never */
	/* One past the highest place that is in use: a page that is not looked at is no fault. */
	unsigned late_top, kinds_top, processes_top;
	uint64_t denied_since, denied;
	uint8_t key[SIPHASH_KEY_SIZE]; /* of the kinds, once keyed is set */
	bool keyed;
	uint64_t untold[3];	    /* refused calls, files, connections that no kind counts */
	struct execution now, mine; /* mine: ours, until it is known that it was the last try */
	struct execution late[WATCH_LATE];
	struct kind kinds[WATCH_KINDS];
	struct process processes[WATCH_PROCESSES];
	unsigned processes_count;
	char path[WATCH_PATH], program[WATCH_PATH], scratch[WATCH_PATH], raw[WATCH_PATH];
};
extern struct watch watch; /* one a process, as the supervisor is */

/* watch_read.c: 0 or a length, or -errno. Strings are terminated and cut at @size. */
int watch_string(pid_t tid, uint64_t addr, char *ret, size_t size);
int watch_bytes(pid_t tid, uint64_t addr, void *ret, size_t size); /* all of them */
/* Of a list that ends with NULL: its strings, each with its NUL, at most @size bytes. */
size_t watch_strings(pid_t tid, uint64_t addr, char *ret, size_t size);
/* /proc/@tid/status as far as it fits, or "". */
void watch_proc_status(pid_t tid, char *ret, size_t size);
/* The link /proc/@tid/@name, or "". */
void watch_link(pid_t tid, const char *name, char *ret, size_t size);
/* @path from @dirfd; false: what came of it is not to be normalized. */
bool watch_join(pid_t tid, int dirfd, const char *path, char ret[WATCH_PATH]);
/* @path as the caller means it from @dirfd, absolute and without "." and "..". */
void watch_resolve(pid_t tid, int dirfd, const char *path, char ret[WATCH_PATH]);
/*
 * Of "/proc/self/fd/3/x" and other names of what a descriptor leads to: make @path the
 * file's own name. False: it is none of them, or no file of any file system.
 */
bool watch_reopened(pid_t tid, char path[WATCH_PATH]);
/* Drop "//", "." and "..", in place; @path is absolute. */
void watch_normalize(char *path);
/* The process of the thread @tid, and its parent (ppid may be NULL); @pidfd: of it, or NULL. */
pid_t watch_process(pid_t tid, pid_t *ppid, int *pidfd);
/* The wait status of the process of @pidfd, which is gone; false: this kernel does not say. */
bool watch_status(int pidfd, int *status);
bool watch_has_status(void); /* Linux 6.15 */

/* watch_place.c */
/*
 * Fill in how @path fares, which is opened in the way of t->access; false: nobody knows. Where
 * t->error is ENOENT already, it is known not to be there.
 */
bool watch_refused(const struct supervisor *s, const char *path, bool creates, struct sighting *t);
bool watch_in_workspace(const struct supervisor *s, const char *path);
/*
 * Does @raw, with its "..", lead out of the workspace by a link made inside? Then @path
 * becomes the file's own name, where it can be had. Looks at disk where it must.
 */
bool watch_leads_out(const struct supervisor *s, const char *raw, char path[WATCH_PATH]);
/* Do @a and @b lie in the same entry of the plan? */
bool watch_is_one_place(const struct supervisor *s, const char *a, const char *b);
/* Is @path in the empty home that the sandbox has, and not there, but perhaps on the host? */
bool watch_is_missed(const struct supervisor *s, const char *path);
/* Is @path there, as far as the kernel has it cached? */
bool watch_is_there(const char *path);
/* Is it a device, or what a descriptor leads to: no file that is written. */
bool watch_is_plain_device(const char *path);
/* Has a program @path inside; 0, -ENOENT, -EACCES, or -EAGAIN: not cached, nobody knows. */
int watch_lookup(const struct supervisor *s, const char *path);

/* watch_kinds.c */
void watch_tell(struct supervisor *s, const struct sighting *t);
void watch_kinds_due(struct supervisor *s, uint64_t now); /* now 0: at the end, all of it */

/*
 * watch_change.c: keep what @n names, until it is answered; false: it is no such call, or cannot
 * be read. Then tell of what of it the plan refuses. What a caller asks for by access(2)
 * is told only where it is missed in its home.
 */
bool watch_change(const struct seccomp_notif *n);
void watch_change_tell(struct supervisor *s);

/* watch_connect.c: true: in @t, whose path is @address, what to tell once it is answered. */
enum { WATCH_ADDRESS = 48 };
bool watch_connects(const struct seccomp_notif *n, struct sighting *t, char address[WATCH_ADDRESS]);
/* With a network: ask purple-net to tell of it, if it is a datagram that it will never see. */
void watch_connect_ask(const struct supervisor *s, const struct sighting *t);

/*
 * watch_kill.c: what the kernel's filter would have done. End the process of @tid by SIGSYS, as
 * it would have ended; by SIGKILL, if that is blocked, ignored or caught, or has not helped
 * by watch_kill_due(). @pidfd becomes ours.
 */
void watch_kill(pid_t tid, int pidfd);
void watch_kill_due(uint64_t now);

/*
 * watch_limit.c: the first time that a limit is found to be reached it is told, the rest is
 * counted for the end. Before @tid opens a file, or any makes a process; and now and then: is the
 * sandbox's tmpfs full? What else takes a descriptor (a pipe, a socket) is not looked at.
 */
void watch_limit_files(struct supervisor *s, pid_t tid);
void watch_limit_processes(struct supervisor *s);
void watch_limit_scratch(struct supervisor *s);
void watch_limit_end(struct supervisor *s);

/* watch_exit.c */
/* @pidfd becomes ours. */
void watch_follow(struct supervisor *s, int pidfd, pid_t pid, pid_t ppid, const char *path);
void watch_exits(struct supervisor *s, bool all);

/* Say what is due, @at or before. */
static inline void watch_at(uint64_t at)
{
	if (watch.due == 0 || at < watch.due)
		watch.due = at;
}

#endif
