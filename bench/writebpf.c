/* SPDX-License-Identifier: Apache-2.0 */
/* Write the bench's filter to standard output, in the form that bubblewrap's --seccomp reads. */
#include <stdio.h>

#include "filter.h"

int main(void)
{
	struct sock_filter code[BENCH_FILTER_MAX];
	unsigned n = bench_filter(code);

	if (fwrite(code, sizeof(code[0]), n, stdout) != n || fflush(stdout) != 0)
		return 1;
	fprintf(stderr, "%u instructions\n", n);
	return 0;
}
