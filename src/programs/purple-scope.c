/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs as:  the caller, outside any sandbox; a child of the launcher, which
 *           waits for it.
 * Reads:    what the user's systemd and bus answer.
 * Trusts:   them: they are the caller's own, and may move its processes anyway.
 * May call: the user's bus. It starts nothing, and changes nothing but by
 *           asking systemd for one scope.
 *
 * A program of its own, because the launcher is static and libsystemd is not.
 */
#include "cli/caller.h"
#include "cli/cmd_scope.h"

int main(int argc, char **argv)
{
	caller_clean_environment();
	return cmd_scope(argc, argv);
}
