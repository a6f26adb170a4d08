/* SPDX-License-Identifier: Apache-2.0 */
/* What of the host no bind may show. */
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/str.h"
#include "policy/path.h"
#include "policy/policy.h"

#define AUDIT_KEY "the key that the audit trail is signed with"

/*
 * Paths of the host that no bind may show. Patterns are fnmatch(3)'s, of
 * normal paths (path_normal()).
 */
/* clang-format off */
static const struct policy_forbidden forbidden[] = {
	{ "/proc", "the kernel's processes; see filesystem.proc", false, true },
	{ "/sys", "the kernel's devices; see filesystem.sys", false, true },
	{ "/dev", "the host's devices; see devices.allow", false, true },
	{ "/boot", "the machine's kernels", false, true },
	{ "/root", "the administrator's home; write ~/ for your own", false, true },
	{ "/run/docker.sock", "a container engine's socket: whoever has it has the machine",
	  false, true },
	{ "/run/docker", "a container engine", false, true },
	{ "/run/containerd", "a container engine", false, true },
	{ "/run/podman", "a container engine", false, true },
	{ "/run/crio", "a container engine", false, true },
	{ "/run/k3s", "a container engine", false, true },
	{ "/run/user/*/docker.sock", "a container engine's socket", false, true },
	{ "/run/user/*/podman", "a container engine", false, true },
	{ "/run/user/*/systemd", "the service manager, which starts programs outside",
	  false, true },
	{ "/run/user/*/bus", "the session bus, which starts programs outside", false, true },
	{ "/run/dbus", "the system bus, which starts programs outside", false, true },
	{ "/run/systemd", "the service manager, which starts programs outside", false, true },
	{ "/run/purple", "Purple's own state", false, true },
	{ "/run/user/*/purple", "Purple's own state", false, true },
	{ "/var/lib/purple", "Purple's own state", false, false },
	{ "/var/lib/docker", "a container engine's files", false, false },
	{ "/var/lib/containerd", "a container engine's files", false, false },
	{ "/var/cache/purple", "Purple's own state", true, true },
	{ "/var/lib", "the system's state; name a directory below it", true, true },
	{ "/etc", "the system's configuration, and Purple's policies", true, true },
	{ "/usr", "the system's programs", true, true },
	{ "~/.config/purple", "Purple's policies", true, true },
	{ "~/.config" POLICY_AUDIT_KEY, AUDIT_KEY, false, false },
	{ "/etc" POLICY_AUDIT_KEY, AUDIT_KEY, false, false },
	{ "~/.cache/purple", "Purple's own state", true, true },
	{ "~/.local/share/purple", "Purple's own state", true, true },
	{ "~/.local/state/purple", "Purple's own state", false, false },
	{ "~/.local/state/purple", "Purple's own state", true, true }, /* nor above it */
};
/* clang-format on */

/* The first @parts components of @path, for comparing with a pattern. */
static void cut_parts(const char *path, unsigned parts, char *ret)
{
	size_t n = 0;

	for (; path[n] != '\0'; n++) {
		if (path[n] == '/' && n > 0 && parts-- == 1)
			break;
		ret[n] = path[n];
	}
	ret[n] = '\0';
}

static unsigned count_parts(const char *path)
{
	unsigned n = path[0] == '/' ? 0 : 1;

	if (streq(path, "/"))
		return 0;
	for (; *path != '\0'; path++)
		n += *path == '/';
	return n;
}

/* @path is what the pattern names, or below it. */
static bool matches_below(const char *path, const char *pattern)
{
	char cut[PATH_NORMAL_MAX];

	cut_parts(path, count_parts(pattern), cut);
	return fnmatch(pattern, cut, FNM_PATHNAME | FNM_NOESCAPE) == 0;
}

/* @path is above what the pattern names. */
static bool matches_above(const char *path, const char *pattern)
{
	char cut[64];
	unsigned parts = count_parts(path);

	if (parts >= count_parts(pattern) || (path[0] == '/') != (pattern[0] == '/'))
		return false;
	if (parts == 0)
		return true;
	cut_parts(pattern, parts, cut);
	return fnmatch(cut, path, FNM_PATHNAME | FNM_NOESCAPE) == 0;
}

/* Where /etc/resolv.conf leads on many hosts; what lies beside them is a service's socket. */
static const char *const not_forbidden[] = { "/run/systemd/resolve/stub-resolv.conf",
					     "/run/systemd/resolve/resolv.conf" };

static const struct policy_forbidden *look_up(const char *path, bool write, bool *above)
{
	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++) {
		if (forbidden[i].write_only && !write)
			continue;
		*above = false;
		if (matches_below(path, forbidden[i].path))
			return &forbidden[i];
		*above = true;
		if (forbidden[i].above && matches_above(path, forbidden[i].path))
			return &forbidden[i];
	}
	return NULL;
}

static const char *absolute_env(const char *name)
{
	const char *s = getenv(name);

	return s && s[0] == '/' ? s : NULL;
}

bool path_to_home(const char *path, char ret[PATH_NORMAL_MAX])
{
	const char *home = absolute_env("HOME"), *rest;
	char normal[PATH_NORMAL_MAX];

	if (!home || !path_normal(home, normal, sizeof(normal)) || streq(normal, "/"))
		return false;
	rest = str_after(path, normal);
	if (!rest || (*rest != '/' && *rest != '\0'))
		return false;
	snprintf(ret, PATH_NORMAL_MAX, "~%s", rest);
	return true;
}

/* The other way round: "~/x" as an absolute path. */
static bool from_home(const char *path, char ret[PATH_NORMAL_MAX])
{
	const char *home = absolute_env("HOME");
	char joined[2 * PATH_NORMAL_MAX];

	if (path[0] != '~' || !home)
		return false;
	snprintf(joined, sizeof(joined), "%s%s", home, path + 1);
	return path_normal(joined, ret, PATH_NORMAL_MAX);
}

/*
 * Where Purple keeps what is the user's, when the environment says so: the
 * table has the places without it. As it is written, and where it leads.
 */
static const struct policy_forbidden *look_up_own(const char *path, bool write, bool *above)
{
	static struct policy_forbidden own[] = {
		{ NULL, "Purple's policies", true, true },
		{ NULL, "Purple's own state", true, true },
		{ NULL, "Purple's own state", false, true }, /* sockets: to read is to steer */
		{ NULL, "Purple's own state", false, true },
		{ NULL, AUDIT_KEY, false, false },
	};
	static const struct {
		const char *variable, *below;
	} where[] = {
		{ "XDG_CONFIG_HOME", "/purple" },	 { "XDG_CACHE_HOME", "/purple" },
		{ "XDG_STATE_HOME", "/purple" },	 { "XDG_RUNTIME_DIR", "/purple" },
		{ "XDG_CONFIG_HOME", POLICY_AUDIT_KEY },
	};
	static _cold_data_ char places[ARRAY_SIZE(own)][PATH_NORMAL_MAX];
	char absolute[PATH_NORMAL_MAX], joined[PATH_MAX], real[PATH_MAX];

	if (from_home(path, absolute))
		path = absolute;
	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		const char *dir = write || !own[i].write_only ? absolute_env(where[i].variable)
							      : NULL;

		for (int follow = 0; dir && follow < 2; follow++) {
			const char *use = follow ? real : dir;

			/* The last component may not be there yet. */
			if (follow && !realpath(dir, real))
				break;
			if (snprintf(joined, sizeof(joined), "%s%s", use, where[i].below) >=
			    (int)sizeof(joined))
				break;
			if (follow && realpath(joined, real))
				snprintf(joined, sizeof(joined), "%s", real);
			if (!path_normal(joined, places[i], PATH_NORMAL_MAX))
				break;
			own[i].path = places[i];
			*above = !path_below(path, places[i]);
			if (!*above || (own[i].above && path_below(places[i], path)))
				return &own[i];
		}
	}
	return NULL;
}

const struct policy_forbidden *policy_forbidden(const char *path, bool write, bool *above)
{
	const struct policy_forbidden *f;
	char home[PATH_NORMAL_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(not_forbidden) && !write; i++)
		if (streq(path, not_forbidden[i]))
			return NULL;
	f = look_up(path, write, above);
	/* The shell has made /root/x of ~/x: that is the caller's own. */
	if ((!f || streq(f->path, "/root")) && path_to_home(path, home))
		f = look_up(home, write, above);
	if (!f)
		f = look_up_own(path, write, above);
	return f;
}
