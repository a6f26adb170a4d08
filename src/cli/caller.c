/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/caller.h"

#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "sys/files.h"

enum { RANGE_FIRST = 0x70000000, RANGE_SIZE = 65536, RANGES = 4096 };

bool caller_is_root(void)
{
	static const char all[] = "0 0 4294967295";
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	char map[128], packed[128];
	size_t n = 0;
	long len;
	int fd;

	if (geteuid() != 0 || sys_call(SYS_capget, &head, data) != 0 ||
	    !(data[0].effective & 1U << CAP_SYS_ADMIN))
		return false;
	fd = sys_openat(AT_FDCWD, "/proc/self/uid_map", O_RDONLY, 0);
	if (fd < 0)
		return false;
	len = sys_read(fd, map, sizeof(map));
	sys_close(fd);
	/* Columns are padded with blanks. */
	for (long i = 0; i < len; i++) {
		if (map[i] == '\n')
			map[i] = ' ';
		if (map[i] != ' ' || (n > 0 && packed[n - 1] != ' '))
			packed[n++] = map[i];
	}
	while (n > 0 && packed[n - 1] == ' ')
		n--;
	return n == sizeof(all) - 1 && memcmp(packed, all, n) == 0;
}

/* In place, since it only ever becomes shorter. False: of no use as a directory. */
static bool clean_directory(char *path)
{
	char *to = path;

	if (path[0] != '/')
		return false;
	for (const char *from = path; *from != '\0';) {
		size_t n = strcspn(from + 1, "/");

		if (n == 2 && from[1] == '.' && from[2] == '.')
			return false;
		if (n > 0 && !(n == 1 && from[1] == '.')) {
			memmove(to, from, n + 1);
			to += n + 1;
		}
		from += n + 1;
	}
	*to = '\0';
	return to > path;
}

void caller_clean_environment(void)
{
	static const char *const names[] = { "HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME",
					     "XDG_RUNTIME_DIR", "XDG_STATE_HOME" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char *value = getenv(names[i]);

		if (value && !clean_directory(value))
			unsetenv(names[i]);
	}
}

int caller_reserve_ids(uint32_t *base)
{
	static const char file[] = "/run/purple/ids";
	int fd = sys_openat(AT_FDCWD, file, O_RDWR | O_NOFOLLOW, 0), r;

	if (fd == -ENOENT) {
		r = sys_mkdirat(AT_FDCWD, "/run/purple", 0755);
		if (r < 0 && r != -EEXIST)
			return r;
		fd = sys_openat(AT_FDCWD, file, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	}
	if (fd < 0)
		return fd;
	/* Start somewhere else each time: the first one tried is nearly always free. */
	for (unsigned i = 0, at = (unsigned)getpid(); i < RANGES; i++, at++) {
		struct flock lock = {
			.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at % RANGES, .l_len = 1
		};

		r = (int)sys_call(SYS_fcntl, fd, F_OFD_SETLK, &lock);
		if (r == 0) {
			*base = RANGE_FIRST + at % RANGES * RANGE_SIZE;
			return fd;
		}
		if (r != -EAGAIN && r != -EACCES)
			break;
	}
	sys_close(fd);
	return r;
}
