/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-snapshot: `purple snapshot`, `snapshots`, `rollback` and `fork`: states of what a
 * sandbox changed in its workspace, kept and gone back to.
 *
 * Runs as:  the caller, with the caller's rights, outside any sandbox; while it copies what
 *           a running one has changed, with those of a user namespace over the caller's files.
 * Reads:    the layers in the state directory: names, links, modes and contents are a
 *           sandbox's, so hostile. It writes only there.
 * Trusts:   the command line; what lies beside the layers; the supervisor.
 * May call: nothing.
 */
#include "base/macros.h"
#include "base/str.h"
#include "cli/caller.h"
#include "cli/held.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "fork", cmd_fork },
	{ "rollback", cmd_rollback },
	{ "snapshot", cmd_snapshot },
	{ "snapshots", cmd_snapshots },
};

int main(int argc, char **argv)
{
	struct err e = { 0 };

	caller_clean_environment();
	for (size_t i = 0; argc > 0 && i < ARRAY_SIZE(commands); i++)
		if (streq(argv[0], commands[i].name))
			return commands[i].run(argc, argv);
	err_set(&e, 71 /* EPROTO */, "usage", "this program is `purple snapshot` and others");
	return command_failed(&e);
}
