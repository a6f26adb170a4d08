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

const char *const sandbox_phase_names[SANDBOX_PHASES] = { "starting", "running", "paused",
							  "stopping", "ended" };
const char *const sandbox_kind_names[SANDBOX_KINDS] = { "run", "detached", "created" };

enum { STATE_FILE_MAX = 16384, CLAIM_TRIES = 100, LIVE_TRIES = 3, REMOVE_ROUNDS = 16 };
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

/* The directories on the way to @path, and @path. */
static int make_path(const char *path)
{
	char part[PATH_MAX];
	size_t n = strlen(path);
	int r;

	if (n >= sizeof(part))
		return -ENAMETOOLONG;
	/* Mostly it is there, or only the last one is missing. */
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		r = sys_mkdirat(AT_FDCWD, part, i == n && geteuid() == 0 ? 0755 : 0700);
		if (r < 0 && r != -EEXIST && access(part, F_OK) < 0)
			return r;
	}
	return 0;
}

int state_open_all(const char *runtime, bool make)
{
	char path[PATH_MAX];
	struct stat st;
	int fd, r, n = snprintf(path, sizeof(path), "%s/sandboxes", runtime);

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd == -ENOENT && make) {
		r = make_path(runtime);
		if (r == 0)
			r = sys_mkdirat(AT_FDCWD, path, 0700);
		if (r < 0 && r != -EEXIST)
			return r;
		fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	}
	if (fd < 0)
		return fd;
	r = fstat(fd, &st) < 0 ? -errno : st.st_uid != geteuid() || st.st_mode & 077 ? -EPERM : 0;
	if (r < 0)
		sys_close(fd);
	return r < 0 ? r : fd;
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
	static _cold_data_ struct sandbox_state s;

	return state_read(dir, &s) == 0 && s.phase == SANDBOX_ENDED;
}

int state_remove(int all, const char *name, int dir)
{
	static _cold_data_ char entries[4096];
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

/* The next entry of a directory that is read in pieces; NULL at the end. */
struct listing {
	int fd;
	long n, at;
	char room[4096];
};

static const char *next_entry(struct listing *l)
{
	for (;;) {
		const char *name;
		uint16_t length;

		if (l->at >= l->n) {
			l->n = sys_call(SYS_getdents64, l->fd, l->room, sizeof(l->room));
			l->at = 0;
			if (l->n <= 0)
				return NULL;
		}
		memcpy(&length, l->room + l->at + 16, sizeof(length));
		name = l->room + l->at + 19;
		l->at += length;
		if (sandbox_name_ok(name))
			return name;
	}
}

/* The same directory, opened anew: an offset of its own. */
static int list_start(struct listing *l, int all)
{
	l->n = l->at = 0;
	l->fd = sys_openat(all, ".", O_RDONLY | O_DIRECTORY, 0);
	return l->fd;
}

int state_open(int all, const char *name)
{
	static _cold_data_ struct sandbox_state s;
	struct listing l = { .fd = -1 };
	const char *entry;
	int dir, r = -ENOENT;

	if (!sandbox_name_ok(name))
		return -ENOENT;
	dir = open_entry(all, name);
	if (dir != -ENOENT || strlen(name) != SANDBOX_ID_LEN || list_start(&l, all) < 0)
		return dir;
	while (r == -ENOENT && (entry = next_entry(&l))) {
		dir = open_entry(all, entry);
		if (dir < 0)
			continue;
		if (state_read(dir, &s) == 0 && streq(s.id, name))
			r = dir;
		else
			sys_close(dir);
	}
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
	struct listing l = { .fd = -1 };
	const char *name;

	if (list_start(&l, all) < 0)
		return 0;
	while ((most == 0 || looked < most) && (name = next_entry(&l))) {
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

/* Fields as text. */
enum field_kind { TEXT, NUMBER32, NUMBER64, PHASE, KIND, FLAG };
static const struct field {
	const char *key;
	enum field_kind kind;
	size_t off, size;
} fields[] = {
#define FIELD(key, kind, member)                                    \
	{                                                           \
		key, kind, offsetof(struct sandbox_state, member),  \
			sizeof(((struct sandbox_state *)0)->member) \
	}
	FIELD("id", TEXT, id),
	FIELD("name", TEXT, name),
	FIELD("state", PHASE, phase),
	FIELD("kind", KIND, kind),
	FIELD("stays", FLAG, stays),
	FIELD("terminal", FLAG, terminal),
	FIELD("supervisor", NUMBER32, supervisor),
	FIELD("pid1", NUMBER32, pid1),
	FIELD("started_ms", NUMBER64, started_ms),
	FIELD("ended_ms", NUMBER64, ended_ms),
	FIELD("exit_status", NUMBER32, exit_status),
	FIELD("reason", TEXT, reason),
	FIELD("profile", TEXT, profile),
	FIELD("workspace", TEXT, workspace),
	FIELD("command", TEXT, command),
#undef FIELD
};

struct text {
	char *at, *end;
	bool full;
};

static void put(struct text *t, const char *s, size_t n)
{
	if ((size_t)(t->end - t->at) < n) {
		t->full = true;
		return;
	}
	memcpy(t->at, s, n);
	t->at += n;
}

/* One line whatever is in it: control characters and the backslash as \xNN. */
static void put_escaped(struct text *t, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		char hex[5];

		if (c >= ' ' && c != 0x7f && c != '\\') {
			put(t, s, 1);
			continue;
		}
		snprintf(hex, sizeof(hex), "\\x%02x", c);
		put(t, hex, 4);
	}
}

static void put_field(struct text *t, const struct field *f, const struct sandbox_state *s)
{
	const char *value = (const char *)s + f->off;
	char number[24];
	uint64_t wide = 0;
	uint32_t word = 0;
	bool flag = false;

	put(t, f->key, strlen(f->key));
	put(t, "=", 1);
	if (f->kind == TEXT) {
		put_escaped(t, value);
	} else {
		if (f->kind == NUMBER64)
			memcpy(&wide, value, sizeof(wide));
		else if (f->kind == FLAG)
			memcpy(&flag, value, sizeof(flag));
		else
			memcpy(&word, value, sizeof(word));
		if (f->kind == PHASE)
			snprintf(number, sizeof(number), "%s", sandbox_phase_names[word]);
		else if (f->kind == KIND)
			snprintf(number, sizeof(number), "%s", sandbox_kind_names[word]);
		else
			snprintf(number, sizeof(number), "%llu",
				 (unsigned long long)(wide | word | (uint64_t)flag));
		put(t, number, strlen(number));
	}
	put(t, "\n", 1);
}

/* Only the supervisor writes here: a fixed name will do. */
static int write_file(int dir, const char *name, int flags, const char *text, size_t size)
{
	int fd = sys_openat(dir, name, O_WRONLY | O_NOFOLLOW | flags, 0600), r;
	long n;

	if (fd < 0)
		return fd;
	n = sys_write(fd, text, size);
	r = n < 0 ? (int)n : (size_t)n != size ? -ENOSPC : (int)sys_call(SYS_ftruncate, fd, size);
	sys_close(fd);
	return r;
}

int state_write(int dir, const struct sandbox_state *s)
{
	static _cold_data_ char room[STATE_FILE_MAX];
	struct text t = { room, room + sizeof(room), false };
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		put_field(&t, &fields[i], s);
	put(&t, "end\n", 4);
	if (t.full)
		return -E2BIG;
	r = write_file(dir, "state.new", O_CREAT | O_TRUNC, room, (size_t)(t.at - room));
	if (r == 0)
		r = (int)sys_call(SYS_renameat2, dir, "state.new", dir, "state", 0);
	if (r < 0)
		sys_call(SYS_unlinkat, dir, "state.new", 0);
	/* On a full disk there may be no room for a second file, and yet for this one. */
	if ((r == -ENOSPC || r == -EDQUOT) &&
	    write_file(dir, "state", 0, room, (size_t)(t.at - room)) == 0)
		r = 0;
	return r;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int take_text(char *to, size_t size, const char *value)
{
	size_t n = 0;

	while (*value) {
		if (n + 1 >= size)
			return -EBADMSG;
		if (*value != '\\') {
			to[n++] = *value++;
			continue;
		}
		if (value[1] != 'x' || hex_digit(value[2]) < 0 || hex_digit(value[3]) < 0 ||
		    (value[2] == '0' && value[3] == '0'))
			return -EBADMSG;
		to[n++] = (char)(hex_digit(value[2]) << 4 | hex_digit(value[3]));
		value += 4;
	}
	to[n] = '\0';
	return 0;
}

static int take_name(const char *const *names, unsigned count, const char *value, uint32_t *ret)
{
	for (unsigned i = 0; i < count; i++) {
		if (streq(names[i], value)) {
			*ret = i;
			return 0;
		}
	}
	return -EBADMSG;
}

static int take_field(const struct field *f, const char *value, struct sandbox_state *s)
{
	char *to = (char *)s + f->off;
	uint64_t wide = 0;
	uint32_t word = 0;
	bool flag;

	if (f->kind == TEXT)
		return take_text(to, f->size, value);
	if (f->kind == PHASE || f->kind == KIND) {
		if (take_name(f->kind == PHASE ? sandbox_phase_names : sandbox_kind_names,
			      f->kind == PHASE ? (unsigned)SANDBOX_PHASES : (unsigned)SANDBOX_KINDS,
			      value, &word) < 0)
			return -EBADMSG;
		memcpy(to, &word, sizeof(word));
		return 0;
	}
	if (parse_u64(value, &wide) < 0 || (f->kind == NUMBER32 && wide > INT_MAX) ||
	    (f->kind == FLAG && wide > 1))
		return -EBADMSG;
	word = (uint32_t)wide;
	flag = wide != 0;
	if (f->kind == NUMBER64)
		memcpy(to, &wide, sizeof(wide));
	else if (f->kind == FLAG)
		memcpy(to, &flag, sizeof(flag));
	else
		memcpy(to, &word, sizeof(word));
	return 0;
}

int state_read(int dir, struct sandbox_state *s)
{
	static _cold_data_ char room[STATE_FILE_MAX + 1];
	int fd = sys_openat(dir, "state", O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	char *line = room;
	long n;

	memset(s, 0, sizeof(*s));
	if (fd < 0)
		return fd == -ELOOP ? -EBADMSG : fd;
	n = sys_read(fd, room, STATE_FILE_MAX);
	sys_close(fd);
	if (n < 0)
		return (int)n;
	if (memchr(room, '\0', (size_t)n))
		return -EBADMSG;
	room[n] = '\0';
	/* In the order in which they are written, and all of them. */
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		char *end = strchr(line, '\n'), *equals = strchr(line, '=');

		if (!end || !equals || equals > end)
			return -EBADMSG;
		*end = *equals = '\0';
		if (!streq(line, fields[i].key) || take_field(&fields[i], equals + 1, s) < 0)
			return -EBADMSG;
		line = end + 1;
	}
	return streq(line, "end\n") && sandbox_name_ok(s->name) ? 0 : -EBADMSG;
}

static int address(int dir, struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(a->sun_path, sizeof(a->sun_path), "/proc/self/fd/%d/control", dir);
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

int state_connect(int dir)
{
	struct sockaddr_un a;
	int fd = address(dir, &a);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0) {
		int r = -errno;

		sys_close(fd);
		return r;
	}
	return fd;
}

int state_listen(int dir)
{
	struct sockaddr_un a;
	int fd = address(dir, &a), r = 0;

	if (fd < 0)
		return -errno;
	sys_call(SYS_fcntl, fd, F_SETFL, O_RDWR | O_NONBLOCK);
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 64) < 0) {
		r = -errno;
		sys_close(fd);
	}
	return r < 0 ? r : fd;
}
