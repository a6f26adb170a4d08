/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-doctor: `purple doctor`, what this kernel and host offer.
 *
 * Runs as:  the caller, with the caller's rights; no set-uid, no daemon.
 * Reads:    /proc, /sys/fs/cgroup, /sys/kernel/security/lsm, /etc/subuid, and
 *           whether Purple's own files are where they belong.
 * Trusts:   nothing of what it reads beyond printing it.
 * May call: clone with new namespaces, mounts inside them, seccomp, Landlock:
 *           each in a child that ends at once. Changes nothing outside them.
 */
#include "cli/caller.h"
#include "cli/cmd_doctor.h"

int main(int argc, char **argv)
{
	caller_clean_environment();
	return cmd_doctor(argc, argv);
}
