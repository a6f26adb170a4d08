/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Part of the build: prints the names of this machine's system calls as
 * initializers, for programs that are linked without libseccomp; see
 * call_names.c.
 */
#include <stdio.h>

#include "plan/syscall.h"

int main(void)
{
	char name[64];

	for (int nr = 0; nr < SYSCALL_LIMIT; nr++)
		if (syscall_name(nr, 0, name))
			printf("[%d] = \"%s\",\n", nr, name);
	return 0;
}
