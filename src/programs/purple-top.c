/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-top: `purple top`, what the sandboxes use, in a terminal.
 *
 * Runs as:  the caller, with the caller's rights.
 * Reads:    the state of the caller's own sandboxes, what their supervisors answer, keys.
 * Trusts:   the supervisors, which are the caller's own. What comes from inside (commands,
 *           paths) is printed escaped.
 * May call: the supervisors' control sockets: figures, pause, resume, stop, kill.
 */
#include "base/str.h"
#include "cli/caller.h"
#include "cli/sandboxes.h"
#include "cli/top.h"

int main(int argc, char **argv)
{
	struct err e = { 0 };

	caller_clean_environment();
	if (argc > 0 && streq(argv[0], "top"))
		return cmd_top(argc, argv);
	err_set(&e, 71 /* EPROTO */, "usage", "purple-top is started by purple");
	err_remedy(&e, "purple top");
	return command_failed(&e);
}
