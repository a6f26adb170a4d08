/* SPDX-License-Identifier: Apache-2.0 */
/* caps [CAP…]: all five sets are empty but for CAP (numbers); the securebits are locked. */
#include <sys/prctl.h>

#include "probe.h"

int main(int argc, char **argv)
{
	static const char *const names[] = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" };
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long keep = 0;
	char line[256];
	int seen = 0;

	for (int i = 1; i < argc; i++)
		keep |= 1ULL << atoi(argv[i]);
	while (f && fgets(line, sizeof(line), f)) {
		for (int i = 0; i < 5; i++) {
			if (strncmp(line, names[i], 6) != 0)
				continue;
			seen++;
			if (strtoull(line + 8, NULL, 16) & ~keep)
				verdict(ESCAPED, "%.*s", (int)strcspn(line, "\n"), line);
		}
	}
	if (seen != 5)
		verdict(CANNOT, "no sets in /proc/self/status");
	/* noroot and no_setuid_fixup with their locks, and keep_caps locked */
	if ((prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) & 0x2f) != 0x2f)
		verdict(ESCAPED, "securebits are %#x", prctl(PR_GET_SECUREBITS, 0, 0, 0, 0));
	verdict(CONTAINED, "five empty sets, securebits locked");
}
