/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/path.h"

#include <string.h>

#include "base/str.h"

const struct path_variable path_variables[PATH_VARIABLES] = {
	{ "${HOME}", "~" },
	{ "${WORKSPACE}", "." },
	{ "${XDG_CONFIG_HOME}", "~/.config" },
	{ "${XDG_CACHE_HOME}", "~/.cache" },
	{ "${XDG_DATA_HOME}", "~/.local/share" },
	{ "${USER}", NULL },
};

int path_variable(const char *s)
{
	for (int i = 0; i < PATH_VARIABLES; i++)
		if (str_after(s, path_variables[i].name))
			return i;
	return -1;
}

bool path_normal(const char *path, char *ret, size_t size)
{
	int v = path_variable(path);
	const char *rest;
	size_t n = 0;

	if (v >= 0 && path_variables[v].normal) {
		path += strlen(path_variables[v].name);
		n = strlen(path_variables[v].normal);
		if (n >= size)
			return false;
		memcpy(ret, path_variables[v].normal, n);
	}
	for (; *path != '\0'; path++) {
		if (path[0] == '/' && (path[1] == '/' || path[1] == '\0'))
			continue;
		if (path[0] == '/' && path[1] == '.' && (path[2] == '/' || path[2] == '\0')) {
			path++;
			continue;
		}
		if (n + 1 >= size)
			return false;
		ret[n++] = *path;
	}
	if (n == 0)
		ret[n++] = '/';
	ret[n] = '\0';
	rest = str_after(ret, "/var/run");
	if (rest && (*rest == '/' || *rest == '\0'))
		memmove(ret, ret + strlen("/var"), n - strlen("/var") + 1);
	return true;
}

bool path_below(const char *path, const char *top)
{
	const char *rest = str_after(path, top);

	return streq(top, "/") ? path[0] == '/' : rest && (*rest == '\0' || *rest == '/');
}
