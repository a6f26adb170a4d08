/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "plan/cache.h"

/* mkdir -p; what is made is the caller's alone. */
static int make_dirs(const char *path)
{
	char part[PATH_MAX];
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(part))
		return -ENAMETOOLONG;
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		/* The exact mode: the caller's umask may leave even the owner nothing. */
		if (mkdir(part, 0700) == 0 ? chmod(part, 0700) < 0 : errno != EEXIST)
			return -errno;
	}
	return 0;
}

enum { UNFINISHED_SECONDS = 60 };

struct entry {
	char name[2 * SHA256_SIZE + 1];
	int64_t mtime;
};

/* Remove the oldest plans until there is room for one more. */
static void prune(int dirfd)
{
	_cleanup_close_ int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct entry oldest = { .mtime = INT64_MAX };
	unsigned count = 0;
	struct dirent *d;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);

	if (!dir)
		return;
	(void)TAKE_FD(copy);
	while ((d = readdir(dir))) {
		struct stat st;

		if (fstatat(dirfd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		/* What write_file_atomic() could not finish: its writer was killed. */
		if (d->d_name[0] == '.' && S_ISREG(st.st_mode) &&
		    st.st_mtim.tv_sec < time(NULL) - UNFINISHED_SECONDS)
			unlinkat(dirfd, d->d_name, 0);
		if (strlen(d->d_name) != 2 * SHA256_SIZE)
			continue;
		count++;
		if (st.st_mtim.tv_sec < oldest.mtime) {
			oldest.mtime = st.st_mtim.tv_sec;
			memcpy(oldest.name, d->d_name, sizeof(oldest.name));
		}
	}
	closedir(dir);
	if (count > CACHE_ENTRIES)
		unlinkat(dirfd, oldest.name, 0);
}

int cache_store(const char *dir, const uint8_t key[SHA256_SIZE], const void *data, size_t size)
{
	char name[2 * SHA256_SIZE + 1];
	_cleanup_close_ int fd = -1;
	struct stat st;
	const char *home = getenv("HOME");
	int r;

	/* A home that is not there is not made for the sake of a cache. */
	if (geteuid() != 0 && home && access(home, F_OK) < 0)
		return -errno;
	r = make_dirs(dir);
	if (r < 0)
		return r;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return -EPERM;
	hex_encode(key, SHA256_SIZE, name);
	r = write_file_atomic(fd, name, data, size, 0600);
	if (r == 0)
		prune(fd);
	return r;
}
