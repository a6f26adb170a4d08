/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs one fuzz target over every file of the given directories, so that a
 * corpus is a regression test with any compiler. Usage: replay DIR…
 */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/fd.h"

enum { INPUT_MAX = 8 << 20 };

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* The number of inputs, or -1. */
static int replay_dir(const char *dir)
{
	_cleanup_(closedirp) DIR *d = opendir(dir);
	struct dirent *e;
	int count = 0;

	if (!d) {
		perror(dir);
		return -1;
	}
	while ((e = readdir(d))) {
		_cleanup_buf_ struct buf b = BUF_INIT(INPUT_MAX);

		if (e->d_name[0] == '.')
			continue;
		if (read_file_at(dirfd(d), e->d_name, &b) < 0) {
			fprintf(stderr, "%s/%s: cannot read\n", dir, e->d_name);
			return -1;
		}
		LLVMFuzzerTestOneInput((const uint8_t *)(b.data ? b.data : ""), b.len);
		count++;
	}
	return count;
}

int main(int argc, char **argv)
{
	int total = 0;

	for (int i = 1; i < argc; i++) {
		int n = replay_dir(argv[i]);

		if (n < 0)
			return 1;
		total += n;
	}
	printf("%d inputs\n", total);
	return total > 0 ? 0 : 1;
}
