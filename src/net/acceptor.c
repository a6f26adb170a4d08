/* SPDX-License-Identifier: Apache-2.0 */
#include "net/acceptor.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

void acceptor_run(struct acceptor *a)
{
	const struct acceptor_owner *o = a->owner;

	for (unsigned i = 0; i < ACCEPTOR_AT_ONCE; i++) {
		int fd;

		if (o->has_room && !o->has_room(a))
			return;
		fd = accept4(a->watch.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			o->take(a, fd);
		} else if (errno == EAGAIN) {
			return;
		} else if ((errno == EMFILE || errno == ENFILE) && o->no_descriptor &&
			   o->no_descriptor(a)) {
			continue;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			loop_set(a->loop, &a->timer, ACCEPTOR_AGAIN_MS);
			return;
		}
	}
	acceptor_later(a);
}

void acceptor_later(struct acceptor *a)
{
	loop_later(a->loop, &a->again);
}

static void on_event(struct loop_watch *w, uint32_t events)
{
	acceptor_run(LOOP_OWNER(w, struct acceptor, watch));
}

static void on_timer(struct loop_timer *t)
{
	acceptor_run(LOOP_OWNER(t, struct acceptor, timer));
}

static void on_again(struct loop_task *t)
{
	acceptor_run(LOOP_OWNER(t, struct acceptor, again));
}

int acceptor_open(struct acceptor *a, struct loop *loop, int fd, const struct acceptor_owner *owner)
{
	*a = (struct acceptor){ .loop = loop,
				.owner = owner,
				.watch = { .fn = on_event, .fd = fd },
				.timer.fn = on_timer,
				.again.fn = on_again };
	return loop_add(loop, &a->watch, EPOLLIN);
}

void acceptor_close(struct acceptor *a)
{
	loop_remove(a->loop, &a->watch);
	loop_clear(a->loop, &a->timer);
	loop_not_later(&a->again);
	close(a->watch.fd);
}
