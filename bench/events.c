/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many events a second one supervisor writes down: events FILE SECONDS RATE
 * offers RATE process.exec events a second (0: as many as it can) to the trail of
 * src/event, in turns of at most 256, as the supervisor's loop does. Prints, as
 * JSON, how many a second were written, and how many were lost. Uses what is
 * linked into purple itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "event/event.h"
#include "event/trail.h"

enum { A_TURN = 256 };

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add(struct trail *t, unsigned long n)
{
	static const char argv[] = "cc\0-O2\0-Isrc\0-c\0-o\0src/event/event.c.o\0src/event/event.c";
	struct event ev = { .type = EV_PROCESS_EXEC };

	event_number(&ev, EF_PID, 1000 + n % 30000);
	event_number(&ev, EF_PPID, 1000);
	event_text(&ev, EF_PATH, "/usr/bin/cc");
	event_list(&ev, EF_ARGV, argv, sizeof(argv));
	event_text(&ev, EF_CWD, "/home/user/project");
	event_text(&ev, EF_SOURCE, "seccomp");
	trail_add(t, &ev);
}

int main(int argc, char **argv)
{
	struct trail t = { 0 };
	struct err e = { 0 };
	unsigned long written = 0, offered, lost = 0;
	double seconds, rate, start, passed = 0;

	if (argc != 4)
		return 2;
	seconds = strtod(argv[2], NULL);
	rate = strtod(argv[3], NULL);
	if (trail_open(&t, argv[1], &e) < 0) {
		err_print(&e);
		return 1;
	}
	t.sandbox = t.name = "bench";
	start = now();
	while (passed < seconds) {
		offered = rate > 0 ? (unsigned long)(rate * passed) - written : A_TURN;
		offered = offered > A_TURN ? A_TURN : offered;
		for (unsigned long i = 0; i < offered; i++)
			add(&t, written + i);
		written += offered;
		if (trail_flush(&t, 0, &e) < 0) {
			err_print(&e);
			return 1;
		}
		lost += t.lost;
		passed = now() - start;
	}
	trail_close(&t);
	printf("{\"per_second\": %.0f, \"lost\": %lu, \"written\": %lu}\n",
	       (double)written / passed, lost, written);
	return 0;
}
