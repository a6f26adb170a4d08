/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dirs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

static bool join(char *ret, size_t size, const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	if (n + m >= size) {
		ret[0] = '\0';
		return false;
	}
	memcpy(ret, a, n);
	memcpy(ret + n, b, m + 1);
	return true;
}

static const char *absolute_env(const char *name)
{
	const char *v = getenv(name);

	return v && v[0] == '/' ? v : NULL;
}

/* $VARIABLE/rest, else $HOME/under/rest, else "". */
static void xdg(char *ret, size_t size, const char *variable, const char *under, const char *rest)
{
	const char *base = absolute_env(variable), *home = absolute_env("HOME");
	char dir[PATH_MAX];

	ret[0] = '\0';
	if (base)
		join(ret, size, base, rest);
	else if (home && join(dir, sizeof(dir), home, under))
		join(ret, size, dir, rest);
}

/* …/bin/purple and …/libexec/purple/purple-x both lead to the prefix. */
static int find_prefix(struct dirs *d)
{
	ssize_t n = readlink("/proc/self/exe", d->prefix, sizeof(d->prefix) - 1);
	char *slash;

	if (n < 0)
		return -errno;
	d->prefix[n] = '\0';
	for (int up = 0; up < 2; up++) {
		slash = strrchr(d->prefix, '/');
		if (!slash)
			return -ENOENT;
		*slash = '\0';
	}
	slash = strrchr(d->prefix, '/');
	if (slash && streq(slash, "/libexec"))
		*slash = '\0';
	return 0;
}

int dirs_init(struct dirs *d)
{
	int r;

	memset(&d->policy, 0, sizeof(d->policy));
	r = find_prefix(d);
	if (r < 0)
		return r;
	if (!join(d->shipped, sizeof(d->shipped), d->prefix, "/share/purple/profiles"))
		return -ENAMETOOLONG;
	xdg(d->user, sizeof(d->user), "XDG_CONFIG_HOME", "/.config", "/purple/profiles");
	if (geteuid() == 0)
		join(d->cache, sizeof(d->cache), "/var/cache/purple", "");
	else
		xdg(d->cache, sizeof(d->cache), "XDG_CACHE_HOME", "/.cache", "/purple");
	d->policy.admin = "/etc/purple/profiles";
	d->policy.user = d->user[0] ? d->user : NULL;
	d->policy.shipped = d->shipped;
	return 0;
}

bool dirs_program(const struct dirs *d, const char *program, char *ret, size_t size)
{
	char dir[PATH_MAX];

	return join(dir, sizeof(dir), d->prefix, "/libexec/purple/") &&
	       join(ret, size, dir, program);
}
