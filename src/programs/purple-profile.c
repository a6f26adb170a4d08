/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-profile: `purple profile`, the policies and what they may say.
 *
 * Runs as:  the caller, with the caller's rights; no set-uid, no daemon.
 * Reads:    policy files of the three profile directories, and those named.
 * Trusts:   nothing of what it reads beyond printing it; the caller's $EDITOR.
 * May call: the editor, for `edit`. Writes below the caller's own profile
 *           directory and nowhere else.
 */
#include "cli/caller.h"
#include "cli/cmd_profile.h"

int main(int argc, char **argv)
{
	caller_clean_environment();
	return cmd_profile(argc, argv);
}
