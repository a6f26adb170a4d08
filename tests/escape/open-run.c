/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple that hands in whatever it has as 0, 1 and 2 where PURPLE_OPEN is "stdio": a control of
 * test_exfil.py. Linked with --wrap. Never installed.
 */
#include <stdlib.h>

#include "base/err.h"
#include "base/str.h"

int __real_jail_check_stdio(const int fds[3], struct err *e);
int __wrap_jail_check_stdio(const int fds[3], struct err *e);

int __wrap_jail_check_stdio(const int fds[3], struct err *e)
{
	const char *off = getenv("PURPLE_OPEN");

	return off && streq(off, "stdio") ? 0 : __real_jail_check_stdio(fds, e);
}
