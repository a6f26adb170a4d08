/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/state.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "sys/files.h"
#include "sys/listing.h"

enum { CLAIM_TRIES = 100, LIVE_TRIES = 3, REMOVE_ROUNDS = 16 };
enum { LOCK_TRIES = 500 }; /* of 2 ms */

int sandbox_make_id(char id[SANDBOX_ID_LEN + 1])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
	unsigned char random[SANDBOX_ID_LEN];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	for (int i = 0; i < SANDBOX_ID_LEN; i++)
		id[i] = letters[random[i] & 31];
	id[SANDBOX_ID_LEN] = '\0';
	return 0;
}

bool sandbox_name_ok(const char *name)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char more[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t n = strspn(name, more);

	return n > 0 && n <= SANDBOX_NAME_MAX && name[n] == '\0' && strchr(first, name[0]);
}

int state_open_all(const char *runtime, bool make)
{
	return sys_open_private(runtime, "sandboxes", make);
}

static int open_entry(int all, const char *name)
{
	return sys_openat(all, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

/* Is what is open as @dir still what @name leads to? */
static bool is_still(int all, const char *name, int dir)
{
	struct stat a, b;

	return fstat(dir, &a) == 0 && fstatat(all, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static bool lock(int dir, int how)
{
	return sys_call(SYS_flock, dir, how | LOCK_NB) == 0;
}

/* Locked by us: a record of one that has ended, and no remains? */
static bool is_record(int dir)
{
	static _scratch_data_ struct sandbox_state s;

	return state_read(dir, &s) == 0 && s.phase == SANDBOX_ENDED;
}

int state_remove(int all, const char *name, int dir)
{
	static _scratch_data_ char entries[4096];
	int r;

	for (int i = 0; i < REMOVE_ROUNDS; i++) {
		long n = sys_call(SYS_getdents64, dir, entries, sizeof(entries));

		for (long at = 0; at < n;) {
			/* struct linux_dirent64, getdents64(2) */
			uint16_t length;
			const char *entry = entries + at + 19;

			memcpy(&length, entries + at + 16, sizeof(length));
			if (!streq(entry, ".") && !streq(entry, ".."))
				sys_call(SYS_unlinkat, dir, entry, 0);
			at += length;
		}
		sys_call(SYS_lseek, dir, 0, SEEK_SET);
		if (n <= 64)
			break; /* nothing but the two that every directory has */
	}
	r = (int)sys_call(SYS_unlinkat, all, name, AT_REMOVEDIR);
	sys_close(dir);
	return r;
}

/* Take away what a dead supervisor left as @name. -EEXIST: it is none. */
static int clean(int all, const char *name, bool *live)
{
	int dir = open_entry(all, name);

	*live = false;
	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	if (!lock(dir, LOCK_EX)) {
		*live = true;
		sys_close(dir);
		return -EEXIST;
	}
	if (!is_still(all, name, dir)) {
		sys_close(dir);
		return 0;
	}
	if (is_record(dir)) {
		sys_close(dir);
		return -EEXIST;
	}
	return state_remove(all, name, dir);
}

static int in_use(const char *name, bool live, struct err *e)
{
	err_set(e, EPROTO, "state",
		live ? "there is a sandbox %s already"
		     : "the name %s is used by a sandbox that has ended",
		name);
	if (live)
		err_remedy(e,
			   "use another name; `purple exec %s -- …` runs in it, `purple rm -f "
			   "%s` ends it",
			   name, name);
	else
		err_remedy(e, "`purple rm %s` removes its record", name);
	return -EEXIST;
}

static bool lock_soon(int dir)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (sys_call(SYS_flock, dir, LOCK_EX | LOCK_NB) == 0)
			return true;
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	}
	return false;
}

int state_claim(int all, const char *name, struct err *e)
{
	bool live;
	int r = 0;

	if (!sandbox_name_ok(name))
		return err_set(e, EINVAL, "state", "%.80s", name);
	for (int i = 0; i < CLAIM_TRIES; i++) {
		int dir;

		r = sys_mkdirat(all, name, 0700);
		if (r == -EEXIST) {
			r = clean(all, name, &live);
			/* Locked for a moment is a sweeper's. */
			if (r == -EEXIST && live && i < LIVE_TRIES) {
				nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
				continue;
			}
			if (r == -EEXIST)
				return in_use(name, live, e);
			if (r < 0)
				break;
			continue;
		}
		if (r < 0)
			break;
		dir = open_entry(all, name);
		/*
		 * A sweeper, or somebody else who wants the name, may be faster, and
		 * then holds it for as long as a sandbox lives. Who only asks whether
		 * it is live holds the lock for a moment: wait that long.
		 */
		if (dir >= 0 && lock_soon(dir) && is_still(all, name, dir))
			return dir;
		sys_close(dir);
		r = -EAGAIN;
	}
	return err_set(e, r, "state", "make the directory of %s", name);
}

static const char *next_sandbox(struct sys_listing *l)
{
	const char *name;

	do
		name = sys_list_next(l);
	while (name && !sandbox_name_ok(name));
	return name;
}

/* The same directory, opened anew: an offset of its own. */
static int list_start(struct sys_listing *l, int all)
{
	sys_list(l, sys_openat(all, ".", O_RDONLY | O_DIRECTORY, 0));
	return l->fd;
}

int state_open(int all, const char *name)
{
	static _cold_data_ struct sandbox_state s;
	struct sys_listing l;
	const char *entry;
	int dir, r = -ENOENT;

	if (!sandbox_name_ok(name))
		return -ENOENT;
	dir = open_entry(all, name);
	if (dir != -ENOENT || strlen(name) != SANDBOX_ID_LEN || list_start(&l, all) < 0)
		return dir;
	while (r == -ENOENT && (entry = next_sandbox(&l)))
		if (state_look(all, entry, &s) >= 0 && streq(s.id, name))
			r = open_entry(all, entry);
	sys_close(l.fd);
	return r;
}

bool state_is_live(int dir)
{
	/* Of an open file of its own: the lock must not be taken from @dir's holder. */
	int again = sys_openat(dir, ".", O_RDONLY | O_DIRECTORY, 0);
	bool live = again >= 0 && !lock(again, LOCK_SH);

	sys_close(again);
	return live;
}

unsigned state_sweep(int all, unsigned most)
{
	unsigned looked = 0, removed = 0;
	struct sys_listing l;
	const char *name;

	if (list_start(&l, all) < 0)
		return 0;
	while ((most == 0 || looked < most) && (name = next_sandbox(&l))) {
		bool live;
		struct stat st;

		looked++;
		/* One that was made this moment may not be locked yet. */
		if (fstatat(all, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
			continue;
		if (clean(all, name, &live) == 0)
			removed++;
	}
	sys_close(l.fd);
	return removed;
}

static int address(int dir, int flags, struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(a->sun_path, sizeof(a->sun_path), "/proc/self/fd/%d/control", dir);
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
}

static int connect_to(int dir, int flags)
{
	struct sockaddr_un a;
	int fd = address(dir, flags, &a);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0) {
		int r = -errno;

		sys_close(fd);
		return r;
	}
	return fd;
}

int state_connect(int dir)
{
	return connect_to(dir, 0);
}

int state_connect_now(int dir)
{
	return connect_to(dir, SOCK_NONBLOCK);
}

int state_listen(int dir)
{
	struct sockaddr_un a;
	int fd = address(dir, 0, &a), r = 0;

	if (fd < 0)
		return -errno;
	sys_call(SYS_fcntl, fd, F_SETFL, O_RDWR | O_NONBLOCK);
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 64) < 0) {
		r = -errno;
		sys_close(fd);
	}
	return r < 0 ? r : fd;
}
