/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/syscall.h"

#include <linux/audit.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "plan/filter.h"

uint32_t syscall_native_arch(void)
{
#if defined(__x86_64__) && defined(__LP64__)
	return AUDIT_ARCH_X86_64;
#elif defined(__aarch64__) && defined(__LP64__)
	return AUDIT_ARCH_AARCH64;
#else
	return 0;
#endif
}

int syscall_number(const char *name, uint32_t arch)
{
	int nr;

	for (size_t i = 0; i < syscalls_new_count; i++) {
		if (streq(syscalls_new[i].name, name))
			return syscalls_new[i].nr;
	}
	if (arch == 0)
		arch = syscall_native_arch();
	/* libseccomp's architecture tokens are the kernel's AUDIT_ARCH_*. */
	nr = seccomp_syscall_resolve_name_arch(arch, name);
	if (nr >= 0)
		return nr;
	/* Other negative values are its pseudo numbers: a call of other architectures. */
	return nr == __NR_SCMP_ERROR ? -2 : -1;
}

const char *syscall_name(int nr, uint32_t arch, char buf[64])
{
	char *name;

	for (size_t i = 0; i < syscalls_new_count; i++) {
		if (syscalls_new[i].nr == nr) {
			str_copy(buf, 64, syscalls_new[i].name);
			return buf;
		}
	}
	if (nr < 0)
		return NULL;
	name = seccomp_syscall_resolve_num_arch(arch ? arch : syscall_native_arch(), nr);
	if (!name)
		return NULL;
	str_copy(buf, 64, name);
	free(name);
	return buf;
}

const char *syscall_nearest(const char *name, char buf[64])
{
	static const uint32_t archs[] = { SCMP_ARCH_X86_64, SCMP_ARCH_AARCH64 };
	unsigned best = strlen(name) < 5 ? 2 : 3, d; /* farther is another word */
	const char *ret = NULL;
	char one[64];

	for (size_t a = 0; a < ARRAY_SIZE(archs); a++) {
		for (int nr = 0; nr < SYSCALL_LIMIT; nr++) {
			if (!syscall_name(nr, archs[a], one))
				continue;
			d = str_distance(name, one);
			if (d < best) {
				best = d;
				str_copy(buf, 64, one);
				ret = buf;
			}
		}
	}
	return ret;
}
