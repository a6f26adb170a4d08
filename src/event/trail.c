/* SPDX-License-Identifier: Apache-2.0 */
#include "event/trail.h"

#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "event/trail_internal.h"

enum { LOCK_PAUSE_US = 200, NAMED_TRIES = 8 };
enum { KEEP_ROOM = 256 * 1024 }; /* a pending buffer that is larger is given back */

int trail_open(struct trail *t, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	int64_t size;
	int r;

	t->dir = t->file = t->head = -1;
	t->pending = BUF_INIT(TRAIL_PENDING_MAX);
	t->pending_lines = t->lost = 0;
	t->known = (struct trail_head){ 0 };
	if (!str_copy(t->path, sizeof(t->path), path) || path[0] != '/' || slash[1] == '\0')
		return err_set(e, EINVAL, "audit", "%s is no absolute path of a file", path);
	t->base = t->path + (slash - path) + 1;
	r = trail_open_dir(t, true, e);
	if (r == 0)
		r = trail_open_head(t, e);
	if (r == 0)
		r = trail_open_file(t, &size, e);
	if (r < 0)
		trail_close(t);
	return r;
}

void trail_close(struct trail *t)
{
	close_fdp(&t->file);
	close_fdp(&t->head);
	close_fdp(&t->dir);
	buf_free(&t->pending);
	t->pending_lines = t->lost = 0;
}

void trail_sync(struct trail *t)
{
	if (t->file >= 0)
		fdatasync(t->file);
	if (t->head >= 0)
		fdatasync(t->head);
}

void trail_add(struct trail *t, const struct event *ev)
{
	struct buf *b = &t->pending;
	size_t before = b->len;

	event_encode(ev, t->sandbox ? t->sandbox : "", t->name ? t->name : "", b);
	buf_add(b, "", 1);
	if (b->failed || b->len - before > EVENT_LINE_MAX - TRAIL_LINK_ROOM) {
		b->failed = false;
		b->len = before;
		t->lost++;
		t->lost_total++;
		return;
	}
	t->pending_lines++;
}

static int lock(int fd, unsigned wait_ms)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_US * 1000 };
	struct timespec start, now;

	for (bool first = true;; first = false) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (first)
			start = now;
		if ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 >=
		    (long)wait_ms)
			return -EAGAIN;
		nanosleep(&pause, NULL);
	}
}

/* Have the lock of what is PATH.head now. */
static int lock_named(struct trail *t, unsigned wait_ms, struct err *e)
{
	int r;

	for (int i = 0; i < NAMED_TRIES; i++) {
		if (t->head < 0 || !trail_head_is_named(t)) {
			struct err quiet = { 0 };

			/* The directory may have been removed, and made again. */
			r = trail_open_head(t, &quiet);
			if (r == -ENOENT || r == -ESTALE) {
				r = trail_open_dir(t, false, e);
				if (r == 0)
					r = trail_open_head(t, e);
			} else if (r < 0) {
				*e = err_is_set(e) ? *e : quiet;
			}
			if (r < 0)
				return r;
		}
		r = lock(t->head, wait_ms);
		if (r == -EAGAIN)
			return r;
		if (r < 0)
			return trail_failed(e, t, r, "lock its head");
		if (trail_head_is_named(t))
			return 0;
		flock(t->head, LOCK_UN);
	}
	return trail_failed(e, t, EBUSY, "its head is replaced all the time");
}

static void compose(struct flush *f)
{
	const struct trail *t = f->t;
	const char *line = t->pending.data;

	for (uint64_t i = 0; i < t->pending_lines; i++) {
		size_t len = strlen(line);

		trail_line(&f->out, &f->next, line, len);
		line += len + 1;
	}
	if (t->lost > 0) {
		struct event ev = { .type = EV_AUDIT_GAP };

		event_number(&ev, EF_COUNT, t->lost);
		event_text(&ev, EF_REASON, "more than could be held until the file was written");
		trail_own_line(f, &ev);
	}
}

/* All lines by one write, then the head; or the file is as it was. */
static int put(struct flush *f)
{
	struct trail *t = f->t;
	int r = 0, again;

	if (f->out.failed)
		return trail_failed(f->e, t, ENOMEM, "make its lines");
	if (t->file < 0)
		r = trail_make_file(t, f->e);
	if (r < 0)
		return r;
	r = trail_pwrite(t->file, f->out.data, f->out.len, f->head.size);
	if (r == 0) {
		r = trail_write_head(t, &f->next);
		if (r < 0 && (again = trail_write_head(t, &f->head)) < 0)
			return trail_failed(f->e, t, again, "write its head");
	}
	if (r == 0)
		return 0;
	if (ftruncate(t->file, (off_t)f->head.size) < 0)
		return trail_failed(f->e, t, r, "write it; and what was written cannot be undone");
	return trail_failed(f->e, t, r, "write it");
}

static int flush_locked(struct flush *f)
{
	struct trail *t = f->t;
	uint64_t more = t->pending.len + t->pending_lines * TRAIL_LINK_ROOM;
	int r = trail_settle(f);

	if (r < 0)
		return r;
	/* What settling has to say stays with the file that it is about. */
	if (t->rotate_bytes > 0 && f->out.len == 0 && f->head.size > 0 &&
	    f->head.size + more > t->rotate_bytes) {
		f->head = f->next;
		r = trail_rotate(t, &f->head, f->e);
		if (r < 0)
			return r;
		f->next = f->head;
		trail_opened(f);
	}
	compose(f);
	r = put(f);
	if (r < 0)
		return r;
	t->known = f->next;
	t->pending_lines = t->lost = 0;
	t->pending.len = 0;
	if (t->pending.room > KEEP_ROOM)
		buf_free(&t->pending);
	return 0;
}

int trail_flush(struct trail *t, unsigned wait_ms, struct err *e)
{
	struct flush f = { .t = t, .e = e, .text = BUF_INIT(EVENT_LINE_MAX) };
	int r;

	if (t->pending_lines == 0 && t->lost == 0)
		return 0;
	r = lock_named(t, wait_ms, e);
	if (r < 0)
		return r;
	f.out = BUF_INIT(t->pending.len + (t->pending_lines + 8) * TRAIL_LINK_ROOM +
			 4 * EVENT_LINE_MAX);
	r = flush_locked(&f);
	flock(t->head, LOCK_UN);
	buf_free(&f.out);
	buf_free(&f.text);
	return r;
}
