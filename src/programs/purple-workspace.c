/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-workspace: `purple diff`: what a sandbox changed and the host does not have yet;
 * `purple apply` lands it; `purple discard` drops it.
 *
 * Runs as:  the caller, with the caller's rights, outside any sandbox.
 * Reads:    the layers in the state directory: names, links, modes and contents are a
 *           sandbox's, so hostile; the workspace.
 * Writes:   apply: the workspace.
 * Trusts:   the command line; what lies beside the layers.
 * May call: the caller's $PAGER.
 */
#include "base/macros.h"
#include "base/str.h"
#include "cli/caller.h"
#include "cli/review.h"
#include "cli/sandboxes.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "apply", cmd_apply },
	{ "diff", cmd_diff },
	{ "discard", cmd_discard },
};

int main(int argc, char **argv)
{
	struct err e = { 0 };

	caller_clean_environment();
	for (size_t i = 0; argc > 0 && i < ARRAY_SIZE(commands); i++)
		if (streq(argv[0], commands[i].name))
			return commands[i].run(argc, argv);
	err_set(&e, 71 /* EPROTO */, "usage",
		"this program is `purple diff`, `purple apply` and others");
	return command_failed(&e);
}
