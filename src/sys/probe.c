/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/probe.h"

#include <linux/landlock.h>
#include <string.h>
#include <sys/utsname.h>

#include "sys/raw.h"

static void copy_field(char *dst, const char *src, size_t size)
{
	size_t n = strnlen(src, size - 1);

	memcpy(dst, src, n);
	dst[n] = '\0';
}

int probe_quick(struct probe_quick *ret)
{
	struct utsname u;
	long r, abi;

	r = sys_call(SYS_uname, &u);
	if (r < 0)
		return (int)r;
	abi = sys_call(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	memset(ret, 0, sizeof(*ret));
	copy_field(ret->release, u.release, sizeof(ret->release));
	copy_field(ret->version, u.version, sizeof(ret->version));
	copy_field(ret->machine, u.machine, sizeof(ret->machine));
	ret->landlock_abi = abi > 0 ? (uint32_t)abi : 0;
	return 0;
}
