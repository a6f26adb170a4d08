/* SPDX-License-Identifier: Apache-2.0 */
/* What is there when a writer has the lock: nothing new mostly, else what others left. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "event/trail_internal.h"

enum { CHUNK = 256 * 1024 };
_Static_assert(CHUNK > 2 * EVENT_LINE_MAX, "a line fits");

void trail_own_line(struct flush *f, const struct event *ev)
{
	const struct trail *t = f->t;

	f->text.len = 0;
	event_encode(ev, t->sandbox ? t->sandbox : "", t->name ? t->name : "", &f->text);
	trail_line(&f->out, &f->next, f->text.data, f->text.len);
	f->out.failed |= f->text.failed;
}

/* @count: lines; 0: nobody knows. */
static void gap(struct flush *f, uint64_t count, const char *reason)
{
	struct event ev = { .type = EV_AUDIT_GAP };

	if (count > 0)
		event_number(&ev, EF_COUNT, count);
	event_text(&ev, EF_REASON, reason);
	trail_own_line(f, &ev);
}

/* How the lines from an offset on are read. */
struct scan {
	int fd;
	uint64_t at, end; /* of the file */
	char *data;	  /* CHUNK bytes; owned */
	size_t from, have;
};

/*
 * The next whole line; NULL: there is none, or it is longer than any may be
 * (*error: -errno). It is good until the next call.
 */
static const char *next_line(struct scan *s, size_t *len, int *error)
{
	for (;;) {
		char *line = s->data + s->from, *end = memchr(line, '\n', s->have - s->from);
		ssize_t n;

		if (end) {
			*len = (size_t)(end - line);
			s->from += *len + 1;
			return line;
		}
		memmove(s->data, line, s->have - s->from);
		s->have -= s->from;
		s->from = 0;
		if (s->have == CHUNK || s->at == s->end)
			return NULL;
		n = pread(s->fd, s->data + s->have, MIN(CHUNK - s->have, s->end - s->at),
			  (off_t)s->at);
		if (n <= 0) {
			*error = n < 0 ? -errno : -EIO;
			return NULL;
		}
		s->at += (uint64_t)n;
		s->have += (size_t)n;
	}
}

static int scan_start(struct scan *s, struct flush *f, uint64_t from, uint64_t to)
{
	*s = (struct scan){ .fd = f->t->file, .at = from, .end = to, .data = malloc(CHUNK) };
	return s->data ? 0 : trail_failed(f->e, f->t, ENOMEM, "read it");
}

static int cut(struct flush *f, uint64_t size)
{
	if (ftruncate(f->t->file, (off_t)size) < 0)
		return trail_failed(f->e, f->t, -errno, "cut off what a killed writer left");
	return 0;
}

/* Lines behind the head's size: those that continue the chain are as good as any. */
static int take_over(struct flush *f, uint64_t size)
{
	uint64_t lines = 0, start = f->head.size, bytes;
	const char *line;
	struct scan s;
	char why[160];
	int error = 0;
	size_t len;

	if (scan_start(&s, f, start, size) < 0)
		return -ENOMEM;
	while ((line = next_line(&s, &len, &error)))
		if (!trail_continue(&f->head, line, len))
			break;
	for (; line; line = next_line(&s, &len, &error))
		lines++;
	free(s.data);
	if (error < 0)
		return trail_failed(f->e, f->t, error, "read what a killed writer left");
	bytes = size - f->head.size;
	f->next = f->head;
	if (bytes == 0)
		return 0;
	error = cut(f, f->head.size);
	if (error < 0)
		return error;
	snprintf(why, sizeof(why), "%llu bytes that no writer finished were cut off",
		 (unsigned long long)bytes);
	gap(f, MAX(lines, UINT64_C(1)), why);
	return 0;
}

/* There is a file and no head for it: it is found again. Whether all is right a reader sees. */
static int rebuild(struct flush *f, uint64_t size)
{
	struct trail_head h = { .seq = 1 };
	uint64_t end = 0, links = 0;
	struct trail_link link;
	const char *line;
	struct scan s;
	int error = 0;
	size_t len;

	if (scan_start(&s, f, 0, size) < 0)
		return -ENOMEM;
	while ((line = next_line(&s, &len, &error))) {
		end += len + 1;
		if (trail_link_parse(line, len, &link) == 0 && link.seq < UINT64_MAX) {
			h.seq = link.seq + 1;
			trail_hash(line, len, h.hash);
			links++;
		} else if (links == 0) {
			break;
		}
	}
	free(s.data);
	if (error < 0)
		return trail_failed(f->e, f->t, error, "read it");
	if (links == 0)
		return trail_failed(f->e, f->t, EEXIST, "it is there, and is no audit trail");
	h.size = end;
	f->head = f->next = h;
	if (end < size) {
		error = cut(f, end);
		if (error < 0)
			return error;
	}
	gap(f, 0,
	    "the head was missing, or none; it was made again from the lines: whether some at "
	    "the end are gone, nobody can say");
	return 0;
}

/* Bytes that the head counts are gone. The lines that follow leave the hole to be seen. */
static int cut_by_others(struct flush *f, uint64_t size)
{
	char why[160], last = '\n';

	if (pread(f->t->file, &last, 1, (off_t)size - 1) != 1)
		return trail_failed(f->e, f->t, EIO, "read it");
	snprintf(why, sizeof(why), "the file was cut to %llu bytes, of %llu",
		 (unsigned long long)size, (unsigned long long)f->head.size);
	f->head.size = f->next.size = size;
	if (last != '\n') {
		buf_puts(&f->out, "\n");
		f->next.size++;
	}
	gap(f, 0, why);
	return 0;
}

/* The head says what the file was; there is none now. */
static int begin_anew(struct flush *f)
{
	int r;

	f->head.size = f->next.size = 0;
	r = trail_write_head(f->t, &f->head);
	return r < 0 ? trail_failed(f->e, f->t, r, "write its head") : 0;
}

/* Did somebody put an older head back, or take it away? The chain goes on from what we know. */
static bool remember(struct flush *f)
{
	const struct trail_head *known = &f->t->known;

	if (f->next.seq >= known->seq)
		return false;
	f->next.seq = known->seq;
	memcpy(f->next.hash, known->hash, sizeof(known->hash));
	return true;
}

void trail_opened(struct flush *f)
{
	struct event ev = { .type = EV_AUDIT_OPENED };
	char name[TRAIL_NAME];
	uint64_t n;

	if (f->next.seq > 1) {
		n = trail_find_rotated(f->t, &f->next);
		if (n > 0 && trail_name(f->t, n, "", name))
			event_text(&ev, EF_FILE, name);
		event_text(&ev, EF_REASON,
			   n > 0 ? "rotated" : "the file before was moved away or removed");
	} else {
		event_text(&ev, EF_REASON, "new");
	}
	trail_own_line(f, &ev);
}

int trail_settle(struct flush *f)
{
	struct trail *t = f->t;
	int r, head = trail_read_head(t->head, &f->head);
	int64_t size;
	bool stale;

	if (head < 0 && head != -ENODATA && head != -EBADMSG)
		return trail_failed(f->e, t, head, "read its head");
	r = trail_open_file(t, &size, f->e);
	if (r < 0)
		return r;
	if (head == -EBADMSG && ftruncate(t->head, 0) < 0)
		return trail_failed(f->e, t, -errno, "empty its head, which is none");
	if (head < 0)
		f->head = (struct trail_head){ .seq = 1 };
	f->next = f->head;
	if (size <= 0 && (head < 0 || f->head.size > 0))
		r = begin_anew(f);
	else if (head < 0)
		r = rebuild(f, (uint64_t)size);
	else if (size > 0 && (uint64_t)size < f->head.size)
		r = cut_by_others(f, (uint64_t)size);
	else if (size > 0 && (uint64_t)size > f->head.size)
		r = take_over(f, (uint64_t)size);
	if (r < 0)
		return r;
	stale = remember(f);
	if (f->next.size == 0)
		trail_opened(f);
	if (stale)
		gap(f, 0, "the head was put back or removed while this sandbox ran");
	return 0;
}
