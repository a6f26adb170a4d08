/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs as:  the caller, outside any sandbox.
 * Reads:    policy files (hostile text), the file system's shape, the kernel's probe.
 * Trusts:   the caller's own command line and environment.
 * May call: anything; it starts nothing and changes nothing.
 */
#include "cli/caller.h"
#include "cli/cmd_plan.h"

int main(int argc, char **argv)
{
	caller_clean_environment();
	return cmd_plan(argc, argv);
}
