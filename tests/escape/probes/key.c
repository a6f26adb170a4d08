/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key find NAME        is the caller's key in our session keyring?
 * key with NAME CMD…   put it into a new session keyring, then execute CMD: the caller
 */
#include <linux/keyctl.h>

#include "probe.h"

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "find") == 0)
		judge(syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", argv[2],
			      0),
		      "find the key");
	if (argc < 4 || strcmp(argv[1], "with") != 0)
		usage("key find NAME | key with NAME CMD…");
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0) < 0 ||
	    syscall(SYS_add_key, "user", argv[2], "secret", 6, KEY_SPEC_SESSION_KEYRING) < 0)
		verdict(CANNOT, "add a key: %s", strerror(errno));
	execv(argv[3], argv + 3);
	return 127;
}
