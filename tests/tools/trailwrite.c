/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trailwrite PATH COUNT ROTATE_BYTES [BATCH [NAME_FILE]]: append COUNT events as a
 * supervisor does, BATCH (1) at a time. The
 * process' number is their pid, and they are counted by "count". Each has the bytes
 * of NAME_FILE as its path, if one is given. When a batch is written its last count
 * is printed, so that a test knows what must be there after a SIGKILL.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macros.h"
#include "base/str.h"
#include "event/trail.h"

enum { WAIT_MS = 60000 };

static void add(struct trail *t, uint64_t number, const struct buf *name)
{
	struct event ev = { .type = EV_FILE_WRITE };

	event_number(&ev, EF_PID, (uint64_t)getpid());
	event_number(&ev, EF_COUNT, number);
	event_text(&ev, EF_ACCESS, "write");
	event_text(&ev, EF_SOURCE, "seccomp");
	if (name->len > 0)
		event_bytes(&ev, EF_PATH, name->data, name->len);
	else
		event_text(&ev, EF_PATH, "/usr/lib/gcc/x86_64-linux-gnu/12/cc1");
	trail_add(t, &ev);
}

int main(int argc, char **argv)
{
	static struct trail t;
	_cleanup_buf_ struct buf name = BUF_INIT(1 << 16);
	uint64_t count = 0, batch = 1;
	struct err e = { 0 };
	int r;

	if (argc < 4 || parse_u64(argv[2], &count) < 0 || parse_u64(argv[3], &t.rotate_bytes) < 0 ||
	    (argc > 4 && (parse_u64(argv[4], &batch) < 0 || batch == 0)) ||
	    (argc > 5 && read_file_at(AT_FDCWD, argv[5], &name) < 0)) {
		fprintf(stderr, "usage: trailwrite PATH COUNT ROTATE_BYTES [BATCH [NAME_FILE]]\n");
		return 2;
	}
	t.sandbox = "trailwriter2";
	t.name = "test";
	r = trail_open(&t, argv[1], &e);
	for (uint64_t i = 1; r == 0 && i <= count; i++) {
		add(&t, i, &name);
		if (i % batch != 0 && i < count)
			continue;
		r = trail_flush(&t, WAIT_MS, &e);
		if (r == 0)
			dprintf(STDOUT_FILENO, "%llu\n", (unsigned long long)i);
	}
	if (r < 0) {
		err_print(&e);
		return 1;
	}
	trail_sync(&t);
	trail_close(&t);
	return 0;
}
