/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setid PATH: execute PATH, a copy of this program with the setuid bit of
 * somebody else, and see whether it takes effect.
 * setid flag: is no_new_privs set?
 */
#include <sys/prctl.h>

#include "probe.h"

int main(int argc, char **argv)
{
	int flag = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);

	if (argc != 2)
		usage("setid PATH|check|flag");
	if (strcmp(argv[1], "flag") == 0)
		verdict(flag == 1 ? CONTAINED : ESCAPED, "no_new_privs is %d", flag);
	if (strcmp(argv[1], "check") == 0)
		verdict(geteuid() == getuid() ? CONTAINED : ESCAPED, "uid %d, effective %d",
			(int)getuid(), (int)geteuid());
	execl(argv[1], argv[1], "check", (char *)NULL);
	verdict(CANNOT, "exec %s: %s", argv[1], strerror(errno));
}
