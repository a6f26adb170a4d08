/* SPDX-License-Identifier: Apache-2.0 */
/* caps [CAP…]: all five sets are empty but for CAP (numbers); the securebits are locked. */
#include <linux/capability.h>
#include <sys/prctl.h>

#include "probe.h"

int main(int argc, char **argv)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	unsigned long long keep = 0, sets[5] = { 0 };
	static const char *const names[] = { "effective", "permitted", "inheritable", "bounding",
					     "ambient" };

	for (int i = 1; i < argc; i++)
		keep |= 1ULL << atoi(argv[i]);
	if (syscall(SYS_capget, &head, data) < 0)
		verdict(CANNOT, "capget: %s", strerror(errno));
	for (int i = 0; i < 2; i++) {
		sets[0] |= (unsigned long long)data[i].effective << (32 * i);
		sets[1] |= (unsigned long long)data[i].permitted << (32 * i);
		sets[2] |= (unsigned long long)data[i].inheritable << (32 * i);
	}
	for (int cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) > 0)
			sets[3] |= 1ULL << cap;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) > 0)
			sets[4] |= 1ULL << cap;
	}
	for (int i = 0; i < 5; i++)
		if (sets[i] & ~keep)
			verdict(ESCAPED, "the %s set is %#llx", names[i], sets[i]);
	/* noroot and no_setuid_fixup with their locks, and keep_caps locked */
	if ((prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) & 0x2f) != 0x2f)
		verdict(ESCAPED, "securebits are %#x", prctl(PR_GET_SECUREBITS, 0, 0, 0, 0));
	verdict(CONTAINED, "five empty sets, securebits locked");
}
