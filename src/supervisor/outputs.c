/* SPDX-License-Identifier: Apache-2.0 */
/* What the sandbox leaves in its output boxes, when it has ended. */
#include "supervisor/outputs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "supervisor/internal.h"
#include "sys/files.h"

enum { DEPTH_MAX = 32, EVENTS_MAX = 256 };

static _cold_data_ struct collect {
	struct supervisor *s;
	struct collected told;
	unsigned events, serial;
	uint64_t unsaid; /* beyond EVENTS_MAX */
	uint64_t left;	 /* bytes that the box may still take: a file counts for each link */
	size_t len;
	char path[PATH_MAX]; /* on the host, of what is in hand */
	char rooms[DEPTH_MAX][4096];
} c;

static void keep(uint64_t bytes, int error)
{
	struct collected *t = &c.told;

	if (t->count == ARRAY_SIZE(t->items) || t->used + c.len + 1 > sizeof(t->room)) {
		t->more++;
		return;
	}
	memcpy(t->room + t->used, c.path, c.len + 1);
	t->items[t->count].path = t->room + t->used;
	t->items[t->count].bytes = bytes;
	t->items[t->count++].error = -error;
	t->used += c.len + 1;
}

static void tell(uint64_t bytes, int error)
{
	struct event ev = { .type = EV_OUTPUT };
	char name[ERR_NAME];

	keep(bytes, error);
	c.told.failed += error < 0;
	if (c.events == EVENTS_MAX) {
		c.unsaid++;
		return;
	}
	c.events++;
	event_bytes(&ev, EF_PATH, c.path, c.len);
	event_number(&ev, EF_BYTES, bytes);
	if (error < 0)
		event_text(&ev, EF_ERROR, err_name(error, name));
	supervisor_emit(c.s, &ev);
}

/* Behind what is in hand; false: no room. */
static bool push(const char *name)
{
	int n = snprintf(c.path + c.len, sizeof(c.path) - c.len, "/%s", name);

	if (n >= (int)(sizeof(c.path) - c.len)) {
		c.path[c.len] = '\0';
		return false;
	}
	c.len += (size_t)n;
	return true;
}

static void pop(size_t len)
{
	c.len = len;
	c.path[len] = '\0';
}

static void collect_dir(int from, const struct output_place *to, unsigned depth);

static void collect_file(int from, const char *name, const struct stat *st,
			 const struct output_place *to)
{
	uint64_t size = (uint64_t)st->st_size, disk = (uint64_t)st->st_blocks * 512;
	uint64_t most = c.s->plan->output_bytes;
	char landed[NAME_MAX + 1];
	size_t len = c.len;
	int r = size > most || disk > c.left ? -EFBIG : 0;

	str_copy(landed, sizeof(landed), name);
	if (r == 0)
		r = output_copy(from, name, st, to, landed);
	if (r == 0)
		c.left -= disk;
	if (!push(landed))
		r = r < 0 ? r : -ENAMETOOLONG;
	tell(size, r);
	pop(len);
}

static void collect_subdir(int from, const char *name, const struct output_place *to,
			   unsigned depth)
{
	struct output_place below = *to;
	char landed[NAME_MAX + 1];
	size_t len = c.len;
	int in;

	if (!to->chown)
		sys_call(SYS_fchmodat, from, name, 0700);
	in = depth == DEPTH_MAX ? -ELOOP
				: sys_openat2(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
					      OUTPUT_BENEATH);
	str_copy(landed, sizeof(landed), name);
	below.dir = in < 0 ? in : output_dir(name, to, landed);
	if (!push(landed) && below.dir >= 0) {
		sys_close(below.dir);
		below.dir = -ENAMETOOLONG;
	}
	if (below.dir < 0)
		tell(0, below.dir);
	else
		collect_dir(in, &below, depth);
	sys_close(below.dir);
	sys_close(in);
	pop(len);
}

static void collect_entry(int from, const char *name, const struct output_place *to, unsigned depth)
{
	struct stat st;
	size_t len = c.len;
	int r = (int)sys_call(SYS_newfstatat, from, name, &st, AT_SYMLINK_NOFOLLOW);

	if (r == 0 && S_ISREG(st.st_mode)) {
		collect_file(from, name, &st, to);
	} else if (r == 0 && S_ISDIR(st.st_mode)) {
		collect_subdir(from, name, to, depth + 1);
	} else {
		push(name);
		tell(0, r < 0 ? r : S_ISLNK(st.st_mode) ? -ELOOP : -EINVAL);
		pop(len);
	}
}

static void collect_dir(int from, const struct output_place *to, unsigned depth)
{
	char *room = c.rooms[MIN(depth, DEPTH_MAX - 1U)];
	long n;

	while ((n = sys_call(SYS_getdents64, from, room, sizeof(c.rooms[0]))) > 0)
		for (long at = 0; at < n;) {
			/* struct linux_dirent64, getdents64(2) */
			const char *name = room + at + 19;
			uint16_t length;

			memcpy(&length, room + at + 16, sizeof(length));
			at += length;
			if (!streq(name, ".") && !streq(name, ".."))
				collect_entry(from, name, to, depth);
		}
	if (n < 0)
		tell(0, (int)n);
}

static void collect_box(int box, int dir, const char *path)
{
	struct output_place to = { .dir = dir, .id = c.s->state.id, .serial = &c.serial };
	struct stat st = { 0 };
	int from;

	str_copy(c.path, sizeof(c.path), path);
	c.len = strlen(c.path);
	c.left = c.s->plan->output_bytes;
	/* As root the box belongs to others, and what lands to whom the directory does. */
	to.chown = c.s->plan->idmap == IDMAP_RANGE &&
		   sys_call(SYS_newfstatat, dir, "", &st, AT_EMPTY_PATH) == 0;
	to.uid = st.st_uid;
	to.gid = st.st_gid;
	if (!to.chown)
		sys_call(SYS_fchmodat, box, ".", 0700);
	from = sys_openat(box, ".", O_RDONLY | O_DIRECTORY, 0);
	if (from < 0)
		tell(0, from);
	else
		collect_dir(from, &to, 0);
	sys_close(from);
}

static void complain(void)
{
	const struct collected *t = &c.told;
	char line[160];
	struct err e = { 0 };

	for (unsigned i = 0; i < t->count && !err_is_set(&e); i++)
		if (t->items[i].error)
			err_set(&e, t->items[i].error, "outputs",
				"%u of what was written there could not be collected; %.300s",
				t->failed, t->items[i].path);
	if (!err_is_set(&e))
		err_set(&e, EPROTO, "outputs", "%u files could not be collected", t->failed);
	err_remedy(&e, "filesystem.output_bytes says how much a box may hold; --report and the "
		       "audit trail list what is lost");
	err_print(&e);
	snprintf(line, sizeof(line), "%u of what was written could not be collected", t->failed);
	output_note(c.s, "outputs", line);
}

void outputs_collect(struct supervisor *s)
{
	struct run_outputs *o = s->request->outputs;

	if (!o)
		return;
	c.s = s;
	for (unsigned i = 0; i < o->count; i++) {
		if (s->jail.output_fds[i] >= 0 && s->jail.pid1_fd >= 0)
			collect_box(s->jail.output_fds[i], o->fds[i], o->paths[i]);
		sys_close(TAKE_FD(o->fds[i]));
	}
	if (c.unsaid) {
		struct event ev = { .type = EV_OUTPUT };

		event_text(&ev, EF_PATH, "…");
		event_number(&ev, EF_COUNT, c.unsaid);
		supervisor_emit(s, &ev);
	}
	s->out->outputs = &c.told;
	if (c.told.failed)
		complain();
}
