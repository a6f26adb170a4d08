/* SPDX-License-Identifier: Apache-2.0 */
/* What others may know of this sandbox: the state directory and the socket in it. */
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "supervisor/internal.h"
#include "sys/clock.h"
#include "sys/files.h"

enum { SWEEP = 16 };

static uint64_t wall_ms(void)
{
	return sys_clock_ms(CLOCK_REALTIME);
}

/* The arguments in one line. */
static const char *join_command(char to[SANDBOX_TEXT], char *const *argv)
{
	static const char more[] = "…";
	size_t n = 0;

	for (; *argv; argv++) {
		size_t len = strlen(*argv), room = SANDBOX_TEXT - sizeof(more) - n;

		if (len + 1 > room) {
			/* Not within a character. */
			for (len = MIN(len, room); len > 0 && ((*argv)[len] & 0xc0) == 0x80; len--)
				;
			memcpy(to + n, *argv, len);
			memcpy(to + n + len, more, sizeof(more));
			return to;
		}
		if (n > 0)
			to[n++] = ' ';
		memcpy(to + n, *argv, len);
		n += len;
	}
	to[n] = '\0';
	return to;
}

static void describe(struct supervisor *s)
{
	struct sandbox_state *t = &s->state;
	const char *profile = plan_string(s->plan, s->plan->profile);

	str_copy(t->name, sizeof(t->name), s->request->name ? s->request->name : t->id);
	t->kind = s->request->kind;
	t->stays = s->request->stays;
	t->terminal = t->kind == SANDBOX_FOREGROUND ? s->launch->terminal != 0
						    : s->request->terminal;
	t->supervisor = getpid();
	if (t->started_ms == 0)
		t->started_ms = wall_ms();
	str_copy(t->profile, sizeof(t->profile), profile ? profile : "");
	t->workspace = s->launch->workspace;
	t->command = join_command(s->command_line, s->launch->argv);
	str_copy(s->out->id, sizeof(s->out->id), t->id);
	str_copy(s->out->name, sizeof(s->out->name), t->name);
}

static int no_runtime(struct err *e)
{
	err_set(e, EPROTO, "state", "there is no directory for the state of sandboxes");
	err_remedy(e, "set XDG_RUNTIME_DIR or HOME");
	return -EPROTO;
}

int register_claim(struct supervisor *s, struct err *e)
{
	int r;

	describe(s);
	if (!s->request->runtime)
		return no_runtime(e);
	s->all = state_open_all(s->request->runtime, true);
	if (s->all < 0)
		return err_set(e, s->all, "state", "%s/sandboxes", s->request->runtime);
	s->dir = state_claim(s->all, s->state.name, e);
	if (s->dir < 0)
		return s->dir;
	s->state.phase = s->phase;
	s->state.pid1 = s->jail.pid1 > 0 ? s->jail.pid1 : 0;
	r = state_write(s->dir, &s->state_file, &s->state);
	if (r < 0)
		err_set(e, r, "state", "write %s/sandboxes/%s/state", s->request->runtime,
			s->state.name);
	if (r == 0) {
		s->listener = state_listen(s->dir);
		r = s->listener < 0 ? err_set(e, s->listener, "state", "open the control socket")
				    : 0;
	}
	if (r < 0) {
		sys_close(TAKE_FD(s->state_file.fd));
		state_remove(s->all, s->state.name, TAKE_FD(s->dir));
		s->listener = -1;
	}
	return r;
}

/*
 * A host where no state can be kept is no reason to stop a command that runs,
 * nor to speak of it each time: only a disk that is full, or broken, is news.
 */
static bool is_news(int code)
{
	return code != EROFS && code != EACCES && code != EPERM && code != ENOENT &&
	       code != EPROTO && code != ENOTDIR;
}

void register_late(struct supervisor *s)
{
	struct err e = { 0 };

	if (!s->request->runtime)
		return;
	server_init(s);
	output_init(s);
	if (s->state.id[0] == '\0' && sandbox_make_id(s->state.id) < 0)
		return;
	if (register_claim(s, &e) < 0) {
		if (is_news(e.code)) {
			err_remedy(&e, "the command runs on; `purple ps` will not show it");
			err_print(&e);
		}
		return;
	}
	state_sweep(s->all, SWEEP);
}

void register_update(struct supervisor *s)
{
	int r;

	/* That it has ended is written with how, by register_end(): others may read at once. */
	if (s->dir < 0 || s->state.phase == s->phase ||
	    (s->phase == SANDBOX_ENDED && !s->state.ended_ms))
		return;
	s->state.phase = s->phase;
	s->state.pid1 = s->jail.pid1 > 0 ? s->jail.pid1 : 0;
	r = state_write(s->dir, &s->state_file, &s->state);
	if (r < 0 && !s->told_state) {
		struct err e = { 0 };

		s->told_state = true;
		err_set(&e, r, "state", "write the state of %s", s->state.name);
		err_print(&e);
	}
}

void register_end(struct supervisor *s)
{
	sys_close(TAKE_FD(s->listener));
	if (s->dir >= 0 && (s->request->kind == SANDBOX_FOREGROUND || !s->out->started)) {
		state_remove(s->all, s->state.name, TAKE_FD(s->dir));
	} else if (s->dir >= 0) {
		s->state.phase = SANDBOX_STOPPING; /* whatever it was: write it */
		s->state.ended_ms = wall_ms();
		s->state.exit_status = s->out->exit_status;
		str_copy(s->state.reason, sizeof(s->state.reason), s->out->reason);
		register_update(s);
		sys_call(SYS_unlinkat, s->dir, "control", 0);
		sys_close(TAKE_FD(s->dir));
	}
	sys_close(TAKE_FD(s->state_file.fd));
	sys_close(TAKE_FD(s->all));
}
