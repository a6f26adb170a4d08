/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A head, then the bytes of a trail's file: read as `purple audit verify` does, and
 * given to a writer, which has to settle them. The writer may refuse a file that is no
 * trail. Else what it adds is chained to the end, the head agrees, and what the head
 * had counted is still there; a second writer has nothing to settle. A trail that was
 * good before is good afterwards.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macros.h"
#include "event/trail.h"
#include "event/trail_check.h"
#include "event/trail_json.h"
#include "event/trail_line.h"

enum { SIZE_MAX_INPUT = 64 * 1024 };

static char top[] = "/tmp/purple-fuzz-trail-XXXXXX";
static char path[sizeof(top) + 32], head_path[sizeof(top) + 32];

static void clean(void)
{
	unlink(path);
	unlink(head_path);
	rmdir(top);
}

static void start(void)
{
	if (path[0])
		return;
	require(mkdtemp(top) != NULL);
	snprintf(path, sizeof(path), "%s/t", top);
	snprintf(head_path, sizeof(head_path), "%s/t.head", top);
	atexit(clean);
}

static void put(const char *name, const void *data, size_t len)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	require(fd >= 0 && write_full(fd, data, len) == 0);
	close(fd);
}

static struct buf get(const char *name)
{
	struct buf b = BUF_INIT(SIZE_MAX_INPUT + (1 << 20));

	require(read_file_at(AT_FDCWD, name, &b) == 0);
	return b;
}

/* How many faults; the chain's end in *end. */
static size_t check(const char *data, size_t len, const struct trail_head *head,
		    struct trail_head *end)
{
	const char *rest = data, *stop = data + len, *newline;
	struct trail_check c;
	size_t faults;

	trail_check_init(&c);
	trail_check_file(&c);
	for (; (newline = memchr(rest, '\n', (size_t)(stop - rest))); rest = newline + 1)
		trail_check_line(&c, rest, (size_t)(newline - rest));
	trail_check_file_end(&c, rest, (size_t)(stop - rest), head);
	require(trail_check_done(&c) == 0);
	for (size_t i = 0; i < c.faults_count; i++)
		require(c.faults[i].kind < TRAIL_FAULTS && c.faults[i].why &&
			c.faults[i].at.file == 0);
	faults = c.faults_count;
	*end = c.chain;
	trail_check_free(&c);
	return faults;
}

/* One line more. False: it was refused, and then nothing has changed. */
static bool append(const char *text)
{
	struct event ev = { .type = EV_INTENT };
	struct err e = { 0 };
	struct trail t = { .sandbox = "fuzz", .name = "fuzz" };
	int r;

	require(trail_open(&t, path, &e) == 0);
	event_text(&ev, EF_TEXT, text);
	trail_add(&t, &ev);
	r = trail_flush(&t, 1000, &e);
	require(r == 0 || r == -17 /* EEXIST */);
	trail_close(&t);
	return r == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t head_len = MIN(size, (size_t)TRAIL_HEAD_SIZE), len = size - head_len;
	const char *lines = (const char *)data + head_len;
	_cleanup_buf_ struct buf after = { 0 }, text = { 0 }, again = { 0 };
	struct trail_head head = { 0 }, now, end;
	bool has_head = trail_head_parse((const char *)data, head_len, &head) == 0;
	size_t faults, before = MIN(len, has_head ? head.size : 0);

	if (size > SIZE_MAX_INPUT)
		return 0;
	start();
	faults = check(lines, len, has_head ? &head : NULL, &end);
	if (has_head && len > head.size)
		trail_check_is_left(&head, lines + head.size, len - head.size);
	put(path, lines, len);
	put(head_path, data, head_len);
	if (!append("first")) {
		after = get(path);
		require(after.len == len && memcmp(after.data, lines, len) == 0 && !has_head);
		return 0;
	}
	after = get(path);
	text = get(head_path);
	require(trail_head_parse(text.data, text.len, &now) == 0 && now.size == after.len);
	require(after.len >= before && memcmp(after.data, lines, before) == 0);
	require(memmem(after.data, after.len, "\"text\":\"first\"", 14) != NULL);
	if (faults == 0 && has_head && len > 0)
		require(check(after.data, after.len, &now, &end) == 0);
	require(append("second"));
	again = get(path);
	require(again.len > after.len && memcmp(again.data, after.data, after.len) == 0);
	require(trail_continue(&now, again.data + after.len, again.len - after.len - 1));
	return 0;
}
