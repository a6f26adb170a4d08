/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs as:  the caller; the launcher of a sandbox, then its supervisor.
 * Reads:    policy bytes (to hash them), compiled plans (hostile), its command line.
 * Trusts:   the caller.
 * May call: purple-compile on a cache miss, purple-init inside, and the programs
 *           of the other commands in its place.
 *
 * Static and without libraries: what stands here stands between the user and
 * execve.
 */
#include "cli/caller.h"
#include "cli/dispatch.h"
#include "cli/obtain.h"
#include "sys/prefault.h"

int main(int argc, char **argv)
{
	sys_prefault_program(28 * 1024, plan_memory, PLAN_USUAL);
	caller_clean_environment();
	return dispatch(argc, argv);
}
