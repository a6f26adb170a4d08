/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dirs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/str.h"
#include "sys/files.h"

#define ADMIN_DIR "/etc/purple/profiles"
#define ROOT_CACHE "/var/cache/purple"
#define ROOT_RUNTIME "/run/purple"
#define ROOT_STATE "/var/lib/purple"

/* @a and @b as one string in the room; NULL when it is full. */
static const char *join(struct dirs *d, const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b);
	char *s = d->room + d->used;

	if (na >= DIRS_ROOM || nb >= DIRS_ROOM || na + nb + 1 > DIRS_ROOM - d->used)
		return NULL;
	memcpy(s, a, na);
	memcpy(s + na, b, nb + 1);
	d->used += na + nb + 1;
	return s;
}

/* Cut "/bin/purple" or "/libexec/purple/purple-x" off, in place. */
static int cut_program(char *exe)
{
	static const char *const dirs[] = { "/libexec/purple", "/bin" };
	char *slash = strrchr(exe, '/');

	if (!slash)
		return -ENOENT;
	*slash = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		size_t n = strlen(dirs[i]), len = strlen(exe);

		if (len >= n && streq(exe + len - n, dirs[i])) {
			exe[len - n] = '\0';
			return 0;
		}
	}
	return -ENOENT;
}

static const char *absolute_env(const char *name)
{
	const char *s = getenv(name);

	return s && s[0] == '/' ? s : NULL;
}

/* $@variable, else $HOME and @below; NULL without either. -ENAMETOOLONG in *error. */
static const char *user_dir(struct dirs *d, const char *variable, const char *below, int *error)
{
	const char *base = absolute_env(variable), *home = absolute_env("HOME"), *ret;

	if (!base && !home)
		return NULL;
	ret = base ? join(d, base, "") : join(d, home, below);
	if (!ret)
		*error = -ENAMETOOLONG;
	return ret;
}

/* The user's runtime directory is gone with the session; without one the state is kept longer. */
static const char *runtime_dir(struct dirs *d, int *error)
{
	const char *run = absolute_env("XDG_RUNTIME_DIR");

	if (geteuid() == 0)
		return ROOT_RUNTIME;
	if (!run) {
		run = user_dir(d, "XDG_STATE_HOME", "/.local/state", error);
		return run ? join(d, run, "/purple/run") : NULL;
	}
	run = join(d, run, "/purple");
	if (!run)
		*error = -ENAMETOOLONG;
	return run;
}

/*
 * Where we lie, as readlink(2) gives it. procfs takes as long to ask as ten
 * other calls, so the path that we were executed by will do, if it is absolute
 * and no link is on it: getauxval(3), AT_EXECFN.
 */
static ssize_t own_path(char *ret, size_t size)
{
	const char *path = (const char *)getauxval(AT_EXECFN);
	size_t n = path ? strlen(path) : 0;
	int fd;

	if (n > 0 && n < size && path[0] == '/' && !strstr(path, "/.")) {
		fd = sys_open_canonical(path, O_PATH);
		sys_close(fd);
		if (fd >= 0) {
			memcpy(ret, path, n);
			return (ssize_t)n;
		}
	}
	return readlink("/proc/self/exe", ret, size);
}

static const char *state_dir(struct dirs *d, int *error)
{
	const char *base;

	if (geteuid() == 0)
		return ROOT_STATE;
	base = user_dir(d, "XDG_STATE_HOME", "/.local/state", error);
	base = base ? join(d, base, "/purple") : NULL;
	if (!base && absolute_env("HOME"))
		*error = -ENAMETOOLONG;
	return base;
}

int dirs_init(struct dirs *d)
{
	ssize_t n = own_path(d->room, DIRS_ROOM / 2);
	const char *cache;
	int r = 0;

	d->used = 0;
	d->config = d->cache = d->runtime = d->state = NULL;
	d->policy = (struct policy_dirs){ .admin = ADMIN_DIR };
	if (n < 0)
		return -errno;
	if (n == DIRS_ROOM / 2)
		return -ENAMETOOLONG;
	d->room[n] = '\0';
	r = cut_program(d->room);
	if (r < 0)
		return r;
	d->prefix = d->room;
	d->used = strlen(d->room) + 1;
	d->libexec = join(d, d->prefix, "/libexec/purple");
	d->init = d->libexec ? join(d, d->libexec, "/purple-init") : NULL;
	d->policy.shipped = join(d, d->prefix, "/share/purple/profiles");
	if (!d->init || !d->policy.shipped)
		return -ENAMETOOLONG;
	d->config = user_dir(d, "XDG_CONFIG_HOME", "/.config", &r);
	if (d->config)
		d->policy.user = join(d, d->config, "/purple/profiles");
	if (geteuid() == 0) {
		d->cache = ROOT_CACHE;
	} else if ((cache = user_dir(d, "XDG_CACHE_HOME", "/.cache", &r))) {
		d->cache = join(d, cache, "/purple");
	}
	d->runtime = runtime_dir(d, &r);
	d->runtime_stays = geteuid() != 0 && !absolute_env("XDG_RUNTIME_DIR");
	d->state = state_dir(d, &r);
	if ((d->config && !d->policy.user) || (!d->cache && absolute_env("HOME")))
		return -ENAMETOOLONG;
	return r;
}

bool dirs_program(const struct dirs *d, const char *program, char *ret, size_t size)
{
	size_t n = strlen(d->libexec), m = strlen(program);

	if (n + 1 + m >= size)
		return false;
	memcpy(ret, d->libexec, n);
	ret[n] = '/';
	memcpy(ret + n + 1, program, m + 1);
	return true;
}
