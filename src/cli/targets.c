/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/targets.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"

enum { UNLOCK_MS = 5000, GONE_MS = 1000 };

void targets_free(struct targets *t)
{
	for (int i = 0; i < t->count; i++) {
		close_fdp(&t->items[i].fd);
		sandbox_close(&t->items[i].found);
	}
	free(t->items);
}

/* Each takes three descriptors. */
static void allow_descriptors(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

void target_failed(struct targets *t, struct target *one, const struct err *e)
{
	int status = command_failed(e);

	one->failed = true;
	if (!t->failed)
		t->failed = status;
}

/*
 * It ended while we spoke to it: no fault, for who wants that. A foreground run
 * leaves no record of how.
 */
static bool has_ended(const struct targets *t, struct target *one)
{
	struct sandbox_state *s = &one->found.sandbox.state;
	int r;

	if (!t->end_ok || one->found.dir < 0 || !sandbox_wait_unlocked(one->found.dir, GONE_MS))
		return false;
	if (t->remains_ok)
		return true;
	r = state_read(one->found.dir, s);
	if (r == 0 && s->phase == SANDBOX_ENDED)
		one->status = s->exit_status;
	return one->status != STATUS_UNKNOWN || (r == -ENOENT && !t->status_wanted);
}

static void drop(struct targets *t, struct target *one, const struct err *e)
{
	if (!has_ended(t, one))
		target_failed(t, one, e);
	close_fdp(&one->fd);
}

int targets_open(struct targets *t, char **names, int count, bool wake)
{
	allow_descriptors();
	t->items = calloc((size_t)count, sizeof(*t->items));
	if (!t->items) {
		struct err e = { 0 };

		err_set(&e, ENOMEM, "start", "make a list");
		return command_failed(&e);
	}
	for (int i = 0; i < count; i++) {
		struct target *one = &t->items[t->count++];
		struct err e = { 0 };

		*one = (struct target){ .name = names[i],
					.found = FOUND_SANDBOX_INIT,
					.fd = -1,
					.status = STATUS_UNKNOWN };
		if (sandbox_find(&one->found, names[i], &e) < 0) {
			if (!t->none_ok || one->found.dir >= 0 || e.code != EPROTO)
				target_failed(t, one, &e);
			else
				one->failed = true;
			continue;
		}
		if (!one->found.sandbox.live && t->end_ok) {
			one->status = one->found.sandbox.state.exit_status;
			continue;
		}
		if (t->find_only)
			continue;
		one->fd = sandbox_talk(&one->found, wake, &e);
		if (one->fd < 0)
			drop(t, one, &e);
	}
	return 0;
}

static void tell_all(struct targets *t, enum control_type request, uint32_t value)
{
	for (int i = 0; i < t->count; i++) {
		struct target *one = &t->items[i];
		struct err e = { 0 };

		if (one->fd >= 0 &&
		    sandbox_tell(one->fd, one->found.sandbox.state.name, request, value, &e) < 0)
			drop(t, one, &e);
	}
}

void targets_ask(struct targets *t, enum control_type request, uint32_t value)
{
	static struct control_message answer;

	tell_all(t, request, value);
	for (int i = 0; i < t->count; i++) {
		struct target *one = &t->items[i];
		struct err e = { 0 };

		if (one->fd >= 0 && sandbox_hear(one->fd, one->found.sandbox.state.name, false,
						 CONTROL_OK, &answer, &e) < 0)
			drop(t, one, &e);
	}
}

void targets_watch(struct targets *t)
{
	for (int i = 0; i < t->count; i++)
		if (t->items[i].fd >= 0)
			control_send_value(t->items[i].fd, CONTROL_WAIT, 0, 0);
}

void targets_wait(struct targets *t)
{
	static struct control_message answer;

	for (int i = 0; i < t->count; i++) {
		struct target *one = &t->items[i];
		struct err e = { 0 };

		if (one->fd < 0)
			continue;
		if (sandbox_hear(one->fd, one->found.sandbox.state.name, true, CONTROL_ENDED,
				 &answer, &e) < 0) {
			drop(t, one, &e);
			continue;
		}
		one->status = answer.ended.exit_status;
		close_fdp(&one->fd);
		sandbox_wait_unlocked(one->found.dir, UNLOCK_MS);
	}
}
