/* SPDX-License-Identifier: Apache-2.0 */
/* Where profiles are. Part of the static launcher too: no libraries, no memory. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/macros.h"
#include "base/str.h"
#include "policy/policy.h"

enum { NAME_LEN_MAX = 64 };

static bool name_char(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (!first && (c == '.' || c == '_' || c == '-'));
}

bool policy_name_ok(const char *name)
{
	size_t i;

	for (i = 0; name[i] != '\0'; i++)
		if (i >= NAME_LEN_MAX || !name_char(name[i], i == 0))
			return false;
	return i > 0 && !strstr(name, "..");
}

int policy_find(const char *name, const struct policy_dirs *dirs, char *path, size_t size)
{
	const char *const order[] = { dirs->admin, dirs->user, dirs->shipped };
	size_t n = strlen(name);

	if (!policy_name_ok(name))
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		size_t dir = order[i] ? strlen(order[i]) : 0;
		struct stat st;

		if (dir == 0 || dir + 1 + n + sizeof(".yaml") > size)
			continue;
		memcpy(path, order[i], dir);
		path[dir] = '/';
		memcpy(path + dir + 1, name, n);
		memcpy(path + dir + 1 + n, ".yaml", sizeof(".yaml"));
		/* What is there but cannot be read is found, and reading it says why. */
		if (stat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR))
			return 0;
	}
	return -ENOENT;
}

bool policy_nearest(const char *name, const struct policy_dirs *dirs, char *ret, size_t size)
{
	const char *const order[] = { dirs->admin, dirs->user, dirs->shipped };
	/* One wrong letter in a short name, two in a long one. */
	unsigned best = strlen(name) < 6 ? 2 : 3;
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		DIR *d = order[i] ? opendir(order[i]) : NULL;
		struct dirent *e;

		while (d && (e = readdir(d))) {
			size_t n = strlen(e->d_name);
			unsigned distance;

			if (n < 6 || n - 5 >= size || !streq(e->d_name + n - 5, ".yaml"))
				continue;
			e->d_name[n - 5] = '\0';
			distance = str_distance(name, e->d_name);
			if (distance >= best || !policy_name_ok(e->d_name))
				continue;
			best = distance;
			found = str_copy(ret, size, e->d_name);
		}
		if (d)
			closedir(d);
	}
	return found;
}
