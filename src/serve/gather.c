/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/gather.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "sys/files.h"

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static struct gathered_sandbox *add(struct gathered *g)
{
	if (g->count == g->room) {
		size_t room = g->room ? g->room * 2 : 64;
		struct gathered_sandbox *items = reallocarray(g->items, room, sizeof(*items));

		if (!items)
			return NULL;
		g->items = items;
		g->room = room;
	}
	memset(&g->items[g->count], 0, sizeof(g->items[0]));
	return &g->items[g->count++];
}

static bool is_live(int all, const char *name)
{
	int dir = state_open(all, name);
	bool live = dir >= 0 && state_is_live(dir);

	sys_close(dir);
	return live;
}

/* One entry of the directory. -ENOMEM. */
static int look(struct gathered *g, int all, const char *name)
{
	struct gathered_sandbox *one;
	struct sandbox_state s;
	int r = state_look(all, name, &s);

	if (r >= 0 && s.phase == SANDBOX_ENDED) {
		g->phases[SANDBOX_ENDED]++;
		return 0;
	}
	/* One that cannot be read starts this moment, or is damaged; it may live all the same. */
	if (r != 1 && !is_live(all, name))
		return 0;
	one = add(g);
	if (!one)
		return -ENOMEM;
	str_copy(one->name, sizeof(one->name), name);
	if (r >= 0) {
		str_copy(one->id, sizeof(one->id), s.id);
		str_copy(one->profile, sizeof(one->profile), s.profile);
		one->phase = s.phase;
		one->kind = s.kind;
		one->started_ms = s.started_ms;
	}
	g->phases[one->phase]++;
	return 0;
}

static int list(struct gathered *g, int all)
{
	int fd = openat(all, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!d) {
		r = -errno;
		sys_close(fd);
		return r;
	}
	while (r == 0 && (entry = readdir(d)))
		if (sandbox_name_ok(entry->d_name))
			r = look(g, all, entry->d_name);
	closedir(d);
	return r;
}

/* A connection on which it is asked, or -1. */
static int ask(int all, struct gathered_sandbox *one)
{
	int dir = state_open(all, one->name), fd = dir < 0 ? -1 : state_connect_now(dir);

	one->gone = dir == -ENOENT;
	sys_close(dir);
	if (fd < 0)
		return -1;
	if (control_send_value(fd, CONTROL_STATS, 0, MSG_DONTWAIT) == 0)
		return fd;
	sys_close(fd);
	return -1;
}

static void hear(int fd, struct gathered_sandbox *one)
{
	struct control_message m;
	int r = control_receive(fd, &m, NULL, NULL, MSG_DONTWAIT);

	/* Its end is the end of the connection, with or without a last word. */
	one->gone = r == 0 || r == -ECONNRESET;
	if (r <= 0 || m.head.type != CONTROL_STATS_ARE)
		return;
	one->stats = m.stats;
	one->answered = true;
}

/* Without those that have ended since they were listed. */
static void drop_gone(struct gathered *g)
{
	size_t kept = 0;

	for (size_t i = 0; i < g->count; i++) {
		struct gathered_sandbox *one = &g->items[i];

		if (one->gone) {
			g->phases[one->phase]--;
			continue;
		}
		/* One that starts has other things to do. */
		g->silent += !one->answered && one->phase != SANDBOX_STARTING;
		if (kept != i)
			g->items[kept] = *one;
		kept++;
	}
	g->count = kept;
}

/* Of @count from @items on, all at the same time, until @deadline. */
static void ask_some(int all, struct gathered_sandbox *items, size_t count, uint64_t deadline)
{
	struct pollfd fds[GATHER_AT_ONCE];
	size_t open = 0;

	for (size_t i = 0; i < count; i++) {
		fds[i] = (struct pollfd){ .fd = ask(all, &items[i]), .events = POLLIN };
		open += fds[i].fd >= 0;
	}
	while (open > 0) {
		uint64_t now = now_ns();
		int n = now >= deadline ? 0
					: poll(fds, (nfds_t)count,
					       (int)((deadline - now + 999999) / 1000000));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		for (size_t i = 0; i < count; i++) {
			if (fds[i].fd < 0 || !fds[i].revents)
				continue;
			hear(fds[i].fd, &items[i]);
			sys_close(TAKE_FD(fds[i].fd));
			open--;
		}
	}
	for (size_t i = 0; i < count; i++)
		sys_close(fds[i].fd);
}

static int by_name(const void *a, const void *b)
{
	const struct gathered_sandbox *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int gather(int all, struct gathered *g)
{
	uint64_t start = now_ns(), end = start + (uint64_t)GATHER_ALL_MS * 1000000;
	int r;

	g->count = g->silent = 0;
	memset(g->phases, 0, sizeof(g->phases));
	r = all < 0 ? 0 : list(g, all);
	if (r < 0)
		return r;
	if (g->count > 1)
		qsort(g->items, g->count, sizeof(g->items[0]), by_name);
	for (size_t at = 0; at < g->count && now_ns() < end; at += GATHER_AT_ONCE)
		ask_some(all, g->items + at, MIN(g->count - at, (size_t)GATHER_AT_ONCE),
			 MIN(now_ns() + (uint64_t)GATHER_MS * 1000000, end));
	drop_gone(g);
	g->at_ns = now_ns();
	g->took_us = (g->at_ns - start) / 1000;
	return 0;
}

void gathered_free(struct gathered *g)
{
	free(g->items);
	*g = (struct gathered){ 0 };
}
