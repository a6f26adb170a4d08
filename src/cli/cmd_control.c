/* SPDX-License-Identifier: Apache-2.0 */
/* stop, kill, pause, resume and wait: words to the supervisors, one after the other. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/sandboxes.h"

enum { GRACE_MAX_S = 86400, UNLOCK_MS = 5000, GONE_MS = 1000, STATUS_UNKNOWN = -1 };

struct target {
	const char *name;
	struct found_sandbox found;
	int fd;	    /* of the supervisor; -1: it has ended, or failed */
	int status; /* how it ended */
};

struct targets {
	struct target *items;
	int count;
	int failed;	    /* exit status of the first failure */
	bool end_ok;	    /* one that has ended, or does while we ask, is no fault */
	bool status_wanted; /* if it is known how */
};

static void targets_free(struct targets *t)
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

static void failed(struct targets *t, const struct err *e)
{
	int status = command_failed(e);

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
	r = state_read(one->found.dir, s);
	if (r == 0 && s->phase == SANDBOX_ENDED)
		one->status = s->exit_status;
	return one->status != STATUS_UNKNOWN || (r == -ENOENT && !t->status_wanted);
}

static void drop(struct targets *t, struct target *one, const struct err *e)
{
	if (!has_ended(t, one))
		failed(t, e);
	close_fdp(&one->fd);
}

/* Find all that are named and connect; each that fails is told, and the others go on. */
static int open_targets(struct targets *t, char **names, int count, bool wake)
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

		*one = (struct target){ names[i], FOUND_SANDBOX_INIT, -1, STATUS_UNKNOWN };
		if (sandbox_find(&one->found, names[i], &e) < 0) {
			failed(t, &e);
			continue;
		}
		if (!one->found.sandbox.live && t->end_ok) {
			one->status = one->found.sandbox.state.exit_status;
			continue;
		}
		one->fd = sandbox_talk(&one->found, wake, &e);
		if (one->fd < 0)
			drop(t, one, &e);
	}
	return 0;
}

/* Ask each live one @request, whose answer is OK. */
static void ask_all(struct targets *t, enum control_type request, uint32_t value)
{
	static struct control_message answer;

	for (int i = 0; i < t->count; i++) {
		struct target *one = &t->items[i];
		struct err e = { 0 };

		if (one->fd >= 0 && sandbox_ask(one->fd, one->found.sandbox.state.name, request,
						value, CONTROL_OK, &answer, &e) < 0)
			drop(t, one, &e);
	}
}

/* To be told of the end; before whatever brings it. */
static void watch_all(struct targets *t)
{
	for (int i = 0; i < t->count; i++)
		if (t->items[i].fd >= 0)
			control_send_value(t->items[i].fd, CONTROL_WAIT, 0, 0);
}

/* Until all have ended, and their supervisors with them. */
static void wait_all(struct targets *t)
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

static const char *const stop_help[] = {
	"Ends sandboxes in order: SIGTERM to the command, and SIGKILL to all that still runs when",
	"the grace is over. Returns when they have ended.",
	"",
	"  -t, --time SECONDS   the grace, instead of the policy's kill_grace_seconds",
	"  -h, --help           this text",
	NULL,
};

int cmd_stop(int argc, char **argv)
{
	const char *seconds = NULL;
	const struct option_word options[] = { { 't', "time", &seconds, NULL } };
	const struct command_line line = {
		stop_help, "purple stop [-t SECONDS] NAME…", options, ARRAY_SIZE(options), 1, -1,
	};
	_cleanup_(targets_free) struct targets t = { .end_ok = true };
	uint32_t grace = CONTROL_GRACE_POLICY;
	struct err e = { 0 };
	uint64_t n;
	int names, r = command_line(&line, argc, argv, &names, &e);

	if (r == 1)
		return 0;
	if (r == 0 && seconds) {
		if (parse_u64(seconds, &n) < 0 || n > GRACE_MAX_S) {
			r = err_set(&e, EPROTO, "usage",
				    "the grace is a whole number of seconds up to %d, not %.40s",
				    GRACE_MAX_S, seconds);
			err_remedy(&e, "%s", line.usage);
		}
		grace = (uint32_t)n * 1000;
	}
	if (r < 0)
		return command_failed(&e);
	r = open_targets(&t, argv, names, true);
	if (r)
		return r;
	watch_all(&t);
	ask_all(&t, CONTROL_STOP, grace);
	wait_all(&t);
	return t.failed;
}

/* A number, or a name with or without SIG. 0: neither. */
static int parse_signal(const char *s)
{
	const char *name = str_after(s, "SIG") ? s + 3 : s;
	uint64_t n;

	if (parse_u64(s, &n) == 0)
		return n >= 1 && n <= 64 ? (int)n : 0;
	for (int sig = 1; sig < NSIG; sig++) {
		const char *abbreviation = sigabbrev_np(sig);

		if (abbreviation && streq(abbreviation, name))
			return sig;
	}
	return 0;
}

static const char *const kill_help[] = {
	"Sends a signal to the command of each sandbox; SIGKILL, when none is named, to everything",
	"in it, and returns when it has ended.",
	"",
	"  -s, --signal SIGNAL   a name (TERM, SIGUSR1) or a number",
	"  -h, --help            this text",
	NULL,
};

int cmd_kill(int argc, char **argv)
{
	const char *word = NULL;
	const struct option_word options[] = { { 's', "signal", &word, NULL } };
	const struct command_line line = {
		kill_help, "purple kill [-s SIGNAL] NAME…", options, ARRAY_SIZE(options), 1, -1,
	};
	_cleanup_(targets_free) struct targets t = { 0 };
	struct err e = { 0 };
	int sig = SIGKILL, names, r = command_line(&line, argc, argv, &names, &e);

	if (r == 1)
		return 0;
	if (r == 0 && word) {
		sig = parse_signal(word);
		if (sig == 0) {
			r = err_set(&e, EPROTO, "usage", "there is no signal %.40s", word);
			err_remedy(&e, "one of TERM, KILL, INT, HUP, QUIT, USR1, …, or a number");
		}
	}
	if (r < 0)
		return command_failed(&e);
	r = open_targets(&t, argv, names, sig == SIGKILL);
	if (r)
		return r;
	if (sig == SIGKILL)
		watch_all(&t);
	ask_all(&t, CONTROL_KILL, (uint32_t)sig);
	if (sig == SIGKILL)
		wait_all(&t);
	return t.failed;
}

static int ask(int argc, char **argv, const struct command_line *line, enum control_type request)
{
	_cleanup_(targets_free) struct targets t = { 0 };
	struct err e = { 0 };
	int names, r = command_line(line, argc, argv, &names, &e);

	if (r == 1)
		return 0;
	if (r < 0)
		return command_failed(&e);
	r = open_targets(&t, argv, names, request == CONTROL_RESUME);
	if (r)
		return r;
	ask_all(&t, request, 0);
	return t.failed;
}

static const char *const pause_help[] = {
	"Stops every process of the sandboxes until `purple resume`. Returns when it is so.",
	"",
	"  -h, --help   this text",
	NULL,
};

int cmd_pause(int argc, char **argv)
{
	static const struct command_line line = { pause_help, "purple pause NAME…", NULL, 0, 1, -1 };

	return ask(argc, argv, &line, CONTROL_PAUSE);
}

static const char *const resume_help[] = {
	"Lets sandboxes go on that `purple pause` has stopped.",
	"",
	"  -h, --help   this text",
	NULL,
};

int cmd_resume(int argc, char **argv)
{
	static const struct command_line line = {
		resume_help, "purple resume NAME…", NULL, 0, 1, -1
	};

	return ask(argc, argv, &line, CONTROL_RESUME);
}

static const char *const wait_help[] = {
	"Waits until the sandboxes have ended, and exits as they did: with the status of the one",
	"that is named, or of several the first that is not 0.",
	"",
	"  -h, --help   this text",
	NULL,
};

int cmd_wait(int argc, char **argv)
{
	static const struct command_line line = { wait_help, "purple wait NAME…", NULL, 0, 1, -1 };
	_cleanup_(targets_free) struct targets t = { .end_ok = true, .status_wanted = true };
	struct err e = { 0 };
	int names, r = command_line(&line, argc, argv, &names, &e);

	if (r == 1)
		return 0;
	if (r < 0)
		return command_failed(&e);
	r = open_targets(&t, argv, names, false);
	if (r)
		return r;
	watch_all(&t);
	wait_all(&t);
	if (t.failed)
		return t.failed;
	for (int i = 0; i < t.count; i++)
		if (t.items[i].status > 0)
			return t.items[i].status;
	return 0;
}
