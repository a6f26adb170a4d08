/* SPDX-License-Identifier: Apache-2.0 */
/* stop, kill, pause, resume and wait: words to the supervisors, see targets.h. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/str.h"
#include "cli/targets.h"

enum { GRACE_MAX_S = 86400 };

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
	_cleanup_targets_ struct targets t = { .end_ok = true };
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
	r = targets_open(&t, argv, names, true);
	if (r)
		return r;
	targets_watch(&t);
	targets_ask(&t, CONTROL_STOP, grace);
	targets_wait(&t);
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
	_cleanup_targets_ struct targets t = { 0 };
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
	r = targets_open(&t, argv, names, sig == SIGKILL);
	if (r)
		return r;
	if (sig == SIGKILL)
		targets_watch(&t);
	targets_ask(&t, CONTROL_KILL, (uint32_t)sig);
	if (sig == SIGKILL)
		targets_wait(&t);
	return t.failed;
}

static int ask(int argc, char **argv, const struct command_line *line, enum control_type request)
{
	_cleanup_targets_ struct targets t = { 0 };
	struct err e = { 0 };
	int names, r = command_line(line, argc, argv, &names, &e);

	if (r == 1)
		return 0;
	if (r < 0)
		return command_failed(&e);
	r = targets_open(&t, argv, names, request == CONTROL_RESUME);
	if (r)
		return r;
	targets_ask(&t, request, 0);
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
	_cleanup_targets_ struct targets t = { .end_ok = true, .status_wanted = true };
	struct err e = { 0 };
	int names, r = command_line(&line, argc, argv, &names, &e);

	if (r == 1)
		return 0;
	if (r < 0)
		return command_failed(&e);
	r = targets_open(&t, argv, names, false);
	if (r)
		return r;
	targets_watch(&t);
	targets_wait(&t);
	if (t.failed)
		return t.failed;
	for (int i = 0; i < t.count; i++)
		if (t.items[i].status > 0)
			return t.items[i].status;
	return 0;
}
