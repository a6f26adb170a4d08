/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple that takes any socket as 0, 1 or 2 for a UNIX one where PURPLE_OPEN is "stdio": a
 * control of test_exfil.py. Linked with --wrap. Never installed.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"

int __real_getsockopt(int fd, int level, int option, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *len);

int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	const char *off = getenv("PURPLE_OPEN");
	const int family = AF_UNIX;

	if (!off || !streq(off, "stdio") || option != SO_DOMAIN || *len != sizeof(family))
		return __real_getsockopt(fd, level, option, value, len);
	memcpy(value, &family, sizeof(family));
	return 0;
}
