/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "policy/policy.h"

int policy_audit_key(char *ret, size_t size)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int n;

	if (geteuid() == 0)
		n = snprintf(ret, size, "/etc" POLICY_AUDIT_KEY);
	else if (config && config[0] == '/')
		n = snprintf(ret, size, "%s" POLICY_AUDIT_KEY, config);
	else if (home && home[0] == '/')
		n = snprintf(ret, size, "%s/.config" POLICY_AUDIT_KEY, home);
	else
		return -ENOENT;
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}
