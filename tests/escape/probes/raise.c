/* SPDX-License-Identifier: Apache-2.0 */
/* raise CMD…: execute CMD with every capability inheritable and ambient, as a careless caller. */
#include <linux/capability.h>
#include <sys/prctl.h>

#include "probe.h"

int main(int argc, char **argv)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	int raised = 0;

	if (argc < 2)
		usage("raise CMD…");
	if (syscall(SYS_capget, &head, data) < 0)
		return 127;
	for (int i = 0; i < 2; i++)
		data[i].inheritable = data[i].permitted;
	if (syscall(SYS_capset, &head, data) < 0)
		return 127;
	for (int cap = 0; cap < 64; cap++)
		raised += prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) == 0;
	if (raised == 0)
		verdict(CANNOT, "there is no capability to raise");
	execv(argv[1], argv + 1);
	return 127;
}
