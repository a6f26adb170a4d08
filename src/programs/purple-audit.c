/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-audit: `purple audit`, `events` and `why`: what the trail says.
 *
 * Runs as:  the caller, with the caller's rights, outside any sandbox.
 * Reads:    the files of an audit trail: damaged ones too, and what they say is
 *           hostile text; the caller's rules for reports.
 * Trusts:   the command line.
 * May call: anything; it writes what it is told to write, and nothing else.
 */
#include <stdio.h>

#include "base/macros.h"
#include "base/str.h"
#include "cli/caller.h"
#include "cli/cmd_audit.h"
#include "cli/sandboxes.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
	{ "show", cmd_audit_show, "print its lines: by sandbox, type, time or text; as OCSF" },
	{ "report", cmd_audit_report, "tell what a sandbox did: as text, JSON or HTML" },
	{ "verify", cmd_audit_verify, "check that no line was changed, and none is missing" },
	{ "init", cmd_audit_init, "make the key that trails are signed with" },
	{ "sign", cmd_audit_sign, "sign a trail as it is now" },
};

static int usage(FILE *to, int status)
{
	fputs("usage: purple audit COMMAND [ARGUMENT…]\n\n", to);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "  %-9s%s\n", commands[i].name, commands[i].summary);
	fputs("\n`purple audit COMMAND --help` says more.\n", to);
	return status;
}

int main(int argc, char **argv)
{
	struct err e = { 0 };

	caller_clean_environment();
	if (argc > 0 && streq(argv[0], "events"))
		return cmd_events(argc, argv);
	if (argc > 0 && streq(argv[0], "why"))
		return cmd_why(argc, argv);
	if (argc < 2 || streq(argv[1], "--help") || streq(argv[1], "-h"))
		return argc < 2 ? usage(stderr, EXIT_PURPLE) : usage(stdout, 0);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (streq(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	err_set(&e, 71 /* EPROTO */, "usage", "there is no command `purple audit %.40s`", argv[1]);
	err_remedy(&e, "`purple audit --help` lists them");
	return command_failed(&e);
}
