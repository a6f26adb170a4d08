/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks a command up in PATH and executes it, for PID 1's child and for
 * purple-init's. As execvp(3) does, but for two things: an empty element of
 * PATH is not the working directory, and no shell is tried for an ENOEXEC
 * script. Without a C library: purple-init has none.
 */
#ifndef PURPLE_JAIL_SEARCH_H
#define PURPLE_JAIL_SEARCH_H

#include <linux/limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sys/raw.h"

static inline const char *search_path(char *const *envp)
{
	for (; *envp; envp++) {
		const char *e = *envp;

		if (e[0] == 'P' && e[1] == 'A' && e[2] == 'T' && e[3] == 'H' && e[4] == '=')
			return e + 5;
	}
	return "";
}

static inline bool search_has_slash(const char *name)
{
	while (*name && *name != '/')
		name++;
	return *name == '/';
}

/* DIR/@name of the element of PATH at @path, of @n bytes, in @file; false: no room. */
static inline bool search_join(char file[PATH_MAX], const char *path, size_t n, const char *name)
{
	size_t i;

	if (n >= PATH_MAX - 1)
		return false;
	for (i = 0; i < n; i++)
		file[i] = path[i];
	file[i++] = '/';
	while (i < PATH_MAX && (file[i] = *name++) != '\0')
		i++;
	return i < PATH_MAX;
}

static inline int search_try(const char *file, char *const *argv, char *const *envp,
			     uint32_t *tries)
{
	if (tries)
		__atomic_store_n(tries, *tries + 1, __ATOMIC_RELEASE);
	return (int)sys_call(SYS_execve, file, argv, envp);
}

/*
 * Returns only on failure, -errno: the first that says more than "not there". @tries
 * counts what was tried, before it is; may be NULL.
 */
static inline int search_exec(char *const *argv, char *const *envp, char file[PATH_MAX],
			      uint32_t *tries)
{
	const char *name = argv[0], *path = search_path(envp);
	int seen = -ENOENT;

	if (*name == '\0')
		return -ENOENT;
	if (search_has_slash(name))
		return search_try(name, argv, envp, tries);
	while (*path) {
		size_t n = 0;
		int r;

		while (path[n] && path[n] != ':')
			n++;
		if (n > 0 && search_join(file, path, n, name)) {
			r = search_try(file, argv, envp, tries);
			if (r != -ENOENT && r != -ENOTDIR && seen != -EACCES)
				seen = r;
			if (r != -ENOENT && r != -ENOTDIR && r != -EACCES)
				return r;
		}
		path += path[n] ? n + 1 : n;
	}
	return seen;
}

#endif
