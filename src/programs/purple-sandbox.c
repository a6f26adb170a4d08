/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-sandbox: `purple ps`, `stats`, `stop`, `kill`, `pause`, `resume`,
 * `wait`, `logs`, `rm`, `net`, `intent` and `metrics`: which sandboxes there are,
 * and words to them.
 *
 * Runs as:  the caller, with the caller's rights; no set-uid, no daemon.
 * Reads:    the state of the caller's own sandboxes in the runtime directory,
 *           their logs, what their supervisors answer; /proc/PID/stat of a
 *           supervisor.
 * Trusts:   the supervisors, which are the caller's own. What the state says of
 *           a command (its name and arguments) is printed escaped; a log is
 *           printed as the command wrote it, as `purple run` would have. What
 *           purple-net says of its connections is checked, and printed escaped.
 * May call: signals to a supervisor that is suspended; removes what dead
 *           supervisors left, directories and control groups.
 */
#include "base/macros.h"
#include "base/str.h"
#include "cli/caller.h"
#include "cli/sandboxes.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "ps", cmd_ps },     { "stats", cmd_stats },	{ "stop", cmd_stop },
	{ "kill", cmd_kill }, { "pause", cmd_pause },	{ "resume", cmd_resume },
	{ "wait", cmd_wait }, { "logs", cmd_logs },	{ "rm", cmd_rm },
	{ "net", cmd_net },   { "intent", cmd_intent }, { "metrics", cmd_metrics },
};

int main(int argc, char **argv)
{
	struct err e = { 0 };

	caller_clean_environment();
	for (size_t i = 0; argc > 0 && i < ARRAY_SIZE(commands); i++)
		if (streq(argv[0], commands[i].name))
			return commands[i].run(argc, argv);
	err_set(&e, 71 /* EPROTO */, "usage", "purple-sandbox is started by purple");
	err_remedy(&e, "purple ps");
	return command_failed(&e);
}
