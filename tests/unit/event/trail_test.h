/* SPDX-License-Identifier: Apache-2.0 */
/* A trail in a directory of the test's own, and a plain reading of it. */
#ifndef PURPLE_TESTS_TRAIL_TEST_H
#define PURPLE_TESTS_TRAIL_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "event/trail.h"
#include "event/trail_line.h"

static char top[] = "/tmp/purple-trail-XXXXXX";
static char path[128];

static void remove_top(void)
{
	char command[128];

	snprintf(command, sizeof(command), "chmod -R u+rwx %s && rm -rf %s", top, top);
	assert_int_equal(system(command), 0);
}

static void make_top(void)
{
	memcpy(strrchr(top, '-'), "-XXXXXX", 7);
	assert_non_null(mkdtemp(top));
	snprintf(path, sizeof(path), "%s/audit.jsonl", top);
}

static void open_trail(struct trail *t)
{
	struct err e = { 0 };

	*t = (struct trail){ .sandbox = "abc", .name = "box" };
	if (trail_open(t, path, &e) < 0)
		fail_msg("%s (%s)", e.message, e.remedy);
}

static void add(struct trail *t, const char *text)
{
	struct event ev = { .type = EV_INTENT };

	event_text(&ev, EF_TEXT, text);
	trail_add(t, &ev);
}

static void flush(struct trail *t)
{
	struct err e = { 0 };

	if (trail_flush(t, 1000, &e) < 0)
		fail_msg("%d: %s (%s)", e.code, e.message, e.remedy);
}

static void name_of(unsigned n, const char *suffix, char ret[256])
{
	if (n > 0)
		snprintf(ret, 256, "%s.%u%s", path, n, suffix);
	else
		snprintf(ret, 256, "%s%s", path, suffix);
}

static struct trail_head head_of(unsigned n)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1000);
	struct trail_head h;
	char name[256];

	name_of(n, ".head", name);
	assert_int_equal(read_file_at(AT_FDCWD, name, &b), 0);
	assert_int_equal(trail_head_parse(b.data, b.len, &h), 0);
	return h;
}

/* Lines of the whole trail whose text has @needle; the chain holds and ends at the heads. */
static unsigned read_chain(const char *needle)
{
	struct trail_head h = { .seq = 1 }, says;
	unsigned count = 0, files = 0;
	char name[256];

	for (name_of(1, "", name); access(name, F_OK) == 0; name_of(files + 1, "", name))
		files++;
	for (unsigned i = 1; i <= files + 1; i++) {
		_cleanup_buf_ struct buf b = BUF_INIT(64 << 20);
		char *line, *end;

		name_of(i <= files ? i : 0, "", name);
		assert_int_equal(read_file_at(AT_FDCWD, name, &b), 0);
		h.size = 0;
		for (line = b.data; line && *line; line = end + 1) {
			end = strchr(line, '\n');
			assert_non_null(end);
			*end = '\0';
			if (line == b.data)
				assert_non_null(strstr(line, "audit.opened"));
			if (!trail_continue(&h, line, strlen(line)))
				fail_msg("%s at %llu: %s", name, (unsigned long long)h.size, line);
			count += strstr(line, needle) != NULL;
		}
		says = head_of(i <= files ? i : 0);
		assert_int_equal(says.seq, h.seq);
		assert_int_equal(says.size, h.size);
		assert_memory_equal(says.hash, h.hash, SHA256_SIZE);
	}
	return count;
}

static void put_file(const char *name, const char *data, size_t len, int flags)
{
	int fd = open(name, O_WRONLY | O_CREAT | flags, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, data, len), 0);
	close(fd);
}

#endif
