/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs as:  the caller, outside any sandbox, when no compiled plan fits.
 * Reads:    policy files (hostile text), the file system's shape, the kernel's probe.
 * Trusts:   the caller's own command line and environment.
 * May call: anything; it starts nothing and changes nothing but the cache.
 */
#include "cli/caller.h"
#include "cli/cmd_compile.h"

int main(int argc, char **argv)
{
	caller_clean_environment();
	return cmd_compile(argc, argv);
}
