/* SPDX-License-Identifier: Apache-2.0 */
/* The state file: one line a field, and a checksum. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "base/str.h"
#include "supervisor/state.h"
#include "sys/files.h"

const char *const sandbox_phase_names[SANDBOX_PHASES] = { "starting", "running", "paused",
							  "stopping", "ended" };
const char *const sandbox_kind_names[SANDBOX_KINDS] = { "run", "detached", "created" };

/* Its size changes in steps, so that it is mostly written over and nothing else. */
enum { STATE_FILE_MAX = 16384, STATE_STEP = 512, READ_TRIES = 12, LOCK_TRIES = 20 };
#define CHECKSUM_INIT 0xcbf29ce484222325ULL

/* Fields as text. TEXT: an array; STRING: a pointer to as much as SANDBOX_TEXT. */
enum field_kind { TEXT, STRING, NUMBER32, NUMBER64, PHASE, KIND, FLAG };
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
	FIELD("workspace", STRING, workspace),
	FIELD("command", STRING, command),
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

/* One line whatever is in it: control characters and the backslash as \xNN. Cut if need be. */
static void put_escaped(struct text *t, const char *s)
{
	for (size_t n = 1; *s && n < SANDBOX_TEXT; s++, n++) {
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
	const char *value = (const char *)s + f->off, *string;
	char number[24];
	uint64_t wide = 0;
	uint32_t word = 0;
	bool flag = false;

	put(t, f->key, strlen(f->key));
	put(t, "=", 1);
	if (f->kind == TEXT) {
		put_escaped(t, value);
	} else if (f->kind == STRING) {
		memcpy(&string, value, sizeof(string));
		put_escaped(t, string ? string : "");
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

/*
 * Not for an enemy, who could write the file anew: for a reader that meets a writer.
 * FNV-1a, a word at a time.
 */
static uint64_t checksum(uint64_t h, const char *text, size_t n)
{
	for (; n > 0; text += MIN(n, sizeof(h)), n -= MIN(n, sizeof(h))) {
		uint64_t word = 0;

		memcpy(&word, text, MIN(n, sizeof(word)));
		h = (h ^ word) * 0x100000001b3ULL;
		h ^= h >> 32;
	}
	return h;
}

/* Who looks holds it for a moment. That it is not locked costs only those who look. */
static void lock_file(int fd)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (sys_call(SYS_flock, fd, LOCK_EX | LOCK_NB) == 0)
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}

/* @last: nothing shall be left behind it, not even what somebody else wrote there. */
static int write_file(int dir, struct state_file *f, const char *text, size_t size, bool last)
{
	long n;

	if (f->fd < 0) {
		f->size = 0;
		f->fd = sys_openat(dir, "state", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
		if (f->fd < 0)
			return f->fd;
		lock_file(f->fd);
	}
	n = sys_call(SYS_pwrite64, f->fd, text, size, 0);
	if (n != (long)size)
		return n < 0 ? (int)n : -ENOSPC;
	if (size < f->size || last)
		sys_call(SYS_ftruncate, f->fd, size);
	f->size = size;
	return 0;
}

/* "end=" and @h, as in a line of its own. */
static void put_end(struct text *t, uint64_t h)
{
	put(t, "end=", 4);
	for (int shift = 60; shift >= 0; shift -= 4)
		put(t, &"0123456789abcdef"[h >> shift & 15], 1);
	put(t, "\n", 1);
}

int state_write(int dir, struct state_file *f, const struct sandbox_state *s)
{
	static _scratch_data_ char room[STATE_FILE_MAX];
	struct text t = { room, room + sizeof(room), false };
	uint64_t h = CHECKSUM_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const char *line = t.at;

		put_field(&t, &fields[i], s);
		h = checksum(h, line, (size_t)(t.at - line));
	}
	put_end(&t, h);
	while (!t.full && (t.at - room) % STATE_STEP != 0)
		put(&t, "\n", 1);
	if (t.full)
		return -E2BIG;
	return write_file(dir, f, room, (size_t)(t.at - room), s->phase == SANDBOX_ENDED);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* @to may be @value. */
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

static int take_field(const struct field *f, char *value, struct sandbox_state *s)
{
	char *to = (char *)s + f->off;
	uint64_t wide = 0;
	uint32_t word = 0;
	bool flag;

	if (f->kind == TEXT)
		return take_text(to, f->size, value);
	if (f->kind == STRING) {
		memcpy(to, &value, sizeof(value));
		return take_text(value, SANDBOX_TEXT, value);
	}
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

/* @text, which is changed and then @s's, in the order in which it was written. */
static int parse(char *text, struct sandbox_state *s)
{
	uint64_t h = CHECKSUM_INIT;
	char *line = text, end[24];
	struct text t = { end, end + sizeof(end), false };

	memset(s, 0, sizeof(*s));
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		size_t n = strlen(fields[i].key);
		char *newline = strchr(line, '\n');

		if (!newline || strncmp(line, fields[i].key, n) != 0 || line[n] != '=')
			return -EBADMSG;
		h = checksum(h, line, (size_t)(newline + 1 - line));
		*newline = '\0';
		if (take_field(&fields[i], line + n + 1, s) < 0)
			return -EBADMSG;
		line = newline + 1;
	}
	put_end(&t, h);
	/* Earlier versions replaced the file, and had no sum. */
	if (strncmp(line, end, (size_t)(t.at - end)) != 0 && !streq(line, "end\n"))
		return -EBADMSG;
	return sandbox_name_ok(s->name) ? 0 : -EBADMSG;
}

static int read_file(int fd, struct sandbox_state *s)
{
	static _scratch_data_ char room[STATE_FILE_MAX + 1];
	int r = -EBADMSG;

	for (int i = 0; i < READ_TRIES; i++) {
		long n = sys_call(SYS_pread64, fd, room, STATE_FILE_MAX, 0);

		if (n < 0)
			return (int)n;
		room[n] = '\0';
		r = strlen(room) == (size_t)n ? parse(room, s) : -EBADMSG;
		if (r == 0 || n == 0)
			break;
		/* It is written at this moment; or rubbish. */
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return r;
}

static int open_file(int dir, const char *name)
{
	int fd = sys_openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

	return fd == -ELOOP ? -EBADMSG : fd;
}

int state_read(int dir, struct sandbox_state *s)
{
	int fd = open_file(dir, "state"), r = fd < 0 ? fd : read_file(fd, s);

	if (r < 0)
		*s = (struct sandbox_state){ .workspace = "", .command = "" };
	sys_close(fd);
	return r;
}

int state_look(int all, const char *name, struct sandbox_state *s)
{
	char path[SANDBOX_NAME_MAX + sizeof("/state")];
	size_t n = strlen(name);
	int fd, r;

	if (n > SANDBOX_NAME_MAX)
		return -ENOENT;
	memcpy(path, name, n);
	memcpy(path + n, "/state", sizeof("/state"));
	fd = open_file(all, path);
	r = fd < 0 ? fd : read_file(fd, s);
	if (r == 0)
		r = sys_call(SYS_flock, fd, LOCK_SH | LOCK_NB) == -EWOULDBLOCK;
	sys_close(fd);
	return r;
}
