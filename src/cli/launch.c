/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/launch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/caller.h"
#include "supervisor/give.h"
#include "sys/files.h"

/* What is usual has room of its own: the start touches a page less, and keeps one less. */
enum { ENVIRONMENT_MAX = 512, ENVIRONMENT_USUAL = 48, WORKSPACE_USUAL = 256 };

/* NAME, or PREFIX_*: does the plan let this variable of the caller in? */
static bool passes(const struct plan *p, const char *entry)
{
	const struct plan_env *pass = plan_items(p, env_pass, struct plan_env);

	for (uint32_t i = 0; i < p->env_pass.count; i++) {
		const char *want = plan_string(p, pass[i].text);
		size_t n = pass[i].text.len;

		if (want[n - 1] == '*' ? strncmp(entry, want, n - 1) == 0
				       : strncmp(entry, want, n) == 0 && entry[n] == '=')
			return true;
	}
	return false;
}

static bool is_set(const struct plan *p, const char *entry)
{
	const struct plan_env *set = plan_items(p, env_set, struct plan_env);
	size_t n = (size_t)(strchrnul(entry, '=') - entry) + 1;

	for (uint32_t i = 0; i < p->env_set.count; i++)
		if (strncmp(entry, plan_string(p, set[i].text), n) == 0)
			return true;
	return false;
}

/* The variables into @list, which has room for @max and a NULL; how many: @max may be too many. */
static size_t list_environment(const struct plan *p, char **list, size_t max)
{
	const struct plan_env *set = plan_items(p, env_set, struct plan_env);
	size_t n = 0;

	for (uint32_t i = 0; i < p->env_set.count && n < max; i++)
		list[n++] = (char *)(uintptr_t)plan_string(p, set[i].text);
	for (char **v = environ; *v && n < max; v++)
		if (strchr(*v, '=') && passes(p, *v) && !is_set(p, *v))
			list[n++] = *v;
	list[n] = NULL;
	return n;
}

static int prepare_environment(struct launch *l, const struct plan *p, struct err *e)
{
	static _cold_data_ char *many[ENVIRONMENT_MAX + 1];
	static char *usual[ENVIRONMENT_USUAL + 1];

	l->envp = usual;
	if (list_environment(p, usual, ENVIRONMENT_USUAL) < ENVIRONMENT_USUAL)
		return 0;
	l->envp = many;
	if (list_environment(p, many, ENVIRONMENT_MAX) == ENVIRONMENT_MAX)
		return err_set(e, E2BIG, "environment", "more than %d variables", ENVIRONMENT_MAX);
	return 0;
}

static bool is_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return strncmp(path, top, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* What is open as @fd, from procfs. The length, or -errno. */
static long resolve_fd(int fd, char *path, size_t size)
{
	char link[32];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return sys_call(SYS_readlinkat, AT_FDCWD, link, path, size);
}

/* @path with its links followed, as far as it exists; in @real, unless it has none. */
static const char *canonical(const char *path, char real[PATH_MAX])
{
	int fd = sys_open_canonical(path, O_PATH);
	size_t n = strlen(path), cut = n;
	long len;

	if (fd >= 0)
		sys_close(fd);
	if (fd != -ELOOP || n >= PATH_MAX)
		return path;
	memcpy(real, path, n + 1);
	while ((fd = sys_openat(AT_FDCWD, real, O_PATH, 0)) < 0 && cut > 1) {
		while (--cut > 1 && real[cut] != '/')
			;
		real[cut] = '\0';
	}
	len = fd < 0 ? fd : resolve_fd(fd, real, PATH_MAX - 1);
	sys_close(fd);
	if (len < 0 || (size_t)len + n - cut >= PATH_MAX)
		return path;
	memcpy(real + len, path + cut, n - cut + 1);
	return real;
}

/* Does the workspace @path hold @own, or lie in it? */
static bool touches(const char *path, const char *own)
{
	char real[PATH_MAX];

	own = canonical(own, real);
	return is_below(own, path) || is_below(path, own);
}

/* Who can write a plan or a policy of ours decides what the next sandbox may. */
static bool holds_our_state(const char *path, const struct dirs *dirs)
{
	return (dirs->cache && touches(path, dirs->cache)) ||
	       (dirs->runtime && touches(path, dirs->runtime)) ||
	       (dirs->state && touches(path, dirs->state)) ||
	       (dirs->policy.user && touches(path, dirs->policy.user));
}

/* Directories that as a workspace would hand over the host, or break it. */
static const struct {
	const char *path;
	bool below; /* what lies in it is refused too */
} system_dirs[] = {
	{ "/bin", true },     { "/boot", true },    { "/dev", true },	     { "/etc", true },
	{ "/home", false },   { "/lib", true },	    { "/lib32", true },	     { "/lib64", true },
	{ "/proc", true },    { "/run", true },	    { "/sbin", true },	     { "/sys", true },
	{ "/usr", true },     { "/var", false },    { "/var/cache", false }, { "/var/lib", false },
	{ "/var/log", true }, { "/var/run", true },
};

static bool is_system(const char *path)
{
	if (is_below(path, "/usr/src") || is_below(path, "/usr/local/src"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(system_dirs); i++)
		if (streq(path, system_dirs[i].path) ||
		    (system_dirs[i].below && is_below(path, system_dirs[i].path)))
			return true;
	return false;
}

static const char *refuse_workspace(const char *path, const struct dirs *dirs)
{
	const char *home = getenv("HOME");
	char real[PATH_MAX];

	if (streq(path, "/"))
		return "it is the whole file system";
	if (home && home[0] == '/' && is_below(canonical(home, real), path))
		return "your home directory lies in it, with its keys and settings";
	if (is_system(path))
		return "it belongs to the system";
	return holds_our_state(path, dirs) ? "Purple's own plans or policies lie there" : NULL;
}

/* What the policy mounts at or below the workspace's own path would be covered by it. */
static const char *covered(const struct plan *p, const char *path)
{
	const struct plan_mount *m = plan_items(p, mounts, struct plan_mount);

	for (uint32_t i = 0; i < p->mounts.count; i++) {
		const char *target = plan_string(p, m[i].target);

		if (target && target[0] == '/' && is_below(target, path))
			return target;
	}
	return NULL;
}

static int prepare_workspace(struct launch *l, const struct plan *p, const char *dir,
			     const struct dirs *dirs, struct err *e)
{
	static _cold_data_ char any[PATH_MAX];
	static char usual[WORKSPACE_USUAL];
	char path[PATH_MAX];
	const char *why;
	long n;

	l->workspace_fd = -1;
	if (!plan_workspace(p))
		return 0;
	l->workspace_fd = sys_openat(AT_FDCWD, dir ? dir : ".", O_PATH | O_DIRECTORY, 0);
	if (l->workspace_fd < 0) {
		err_set(e, l->workspace_fd, "workspace", "%s", dir ? dir : "the current directory");
		if (dir && strchr(dir, ':'))
			err_remedy(e, "behind a directory and a colon stands direct, read-only, "
				      "review or scratch");
		return l->workspace_fd;
	}
	/* Canonical. PID 1 walks it again and checks that it leads to what is open here. */
	n = dir ? resolve_fd(l->workspace_fd, path, sizeof(path) - 1)
		: sys_call(SYS_getcwd, path, sizeof(path)) - 1;
	if (n < 0)
		return err_set(e, (int)n, "workspace", "find the path of %s",
			       dir ? dir : "the current directory");
	path[n] = '\0';
	if (path[0] != '/')
		return err_set(e, EPROTO, "workspace", "%s cannot be reached from /", path);
	why = refuse_workspace(path, dirs);
	if (why) {
		err_set(e, EPROTO, "workspace", "%s is refused as a workspace: %s", path, why);
		err_remedy(e, "go to a project's directory, or name one: purple run -w DIR; "
			      "--workspace=none runs without");
		return -EPROTO;
	}
	if (p->audit.flags & PA_ON && touches(path, plan_string(p, p->audit.path))) {
		err_set(e, EPROTO, "workspace",
			"the audit trail %s lies in it, where the sandbox "
			"could reach it",
			plan_string(p, p->audit.path));
		err_remedy(e, "name another file by audit.log_path");
		return -EPROTO;
	}
	why = covered(p, path);
	if (why) {
		err_set(e, EPROTO, "workspace", "%s would cover %s, which the policy mounts", path,
			why);
		err_remedy(e, "use another directory, or write the path relative to the workspace: "
			      "./…");
		return -EPROTO;
	}
	l->workspace = memcpy(n < WORKSPACE_USUAL ? usual : any, path, (size_t)n + 1);
	return 0;
}

/*
 * As root the command gets ids of its own. Inside, it has those of the
 * workspace's owner, so that what it makes there belongs to the same.
 */
static int prepare_ids(struct launch *l, const struct plan *p, struct err *e)
{
	struct stat st = { 0 };
	int r;

	l->host_uid = l->uid = geteuid();
	l->host_gid = l->gid = getegid();
	if (p->idmap != IDMAP_RANGE)
		return 0;
	l->uid = l->gid = 1000;
	if (l->workspace_fd >= 0) {
		r = (int)sys_call(SYS_newfstatat, l->workspace_fd, "", &st, AT_EMPTY_PATH);
		if (r < 0)
			return err_set(e, r, "workspace", "%s", l->workspace);
		l->uid = st.st_uid;
		l->gid = st.st_gid;
	}
	if (l->uid > 65533 || l->gid > 65533) {
		err_set(e, EPROTO, "ids",
			"%s belongs to %u:%u, which is outside the range 0 to "
			"65533 that is mapped into the sandbox",
			l->workspace, l->uid, l->gid);
		err_remedy(e, "run purple as that user");
		return -EPROTO;
	}
	/* The lock goes with the process. */
	r = caller_reserve_ids(&l->range_base);
	if (r < 0)
		return err_set(e, r, "ids", "reserve a range of ids (/run/purple/ids)");
	stdio_give(l, p->idmap, (const int[]){ 0, 1, 2 });
	/* No group of ours goes inside; see user_namespaces(7) on setgroups. */
	r = (int)sys_call(SYS_setgroups, 0, 0);
	return r < 0 ? err_set(e, r, "ids", "give up the supplementary groups") : 0;
}

int launch_prepare(struct launch *l, const struct plan *p, const struct run_options *o,
		   const struct dirs *dirs, struct err *e)
{
	int r;

	memset(l, 0, sizeof(*l));
	l->argv = o->command;
	l->init_socket = l->cgroup_fd = -1;
	l->init_path = dirs->init;
	for (int fd = 0; fd <= 2; fd++) {
		struct termios t;

		if (sys_call(SYS_ioctl, fd, TCGETS, &t) == 0)
			l->terminal |= 1U << fd;
	}
	r = prepare_environment(l, p, e);
	if (r == 0)
		r = prepare_workspace(l, p, o->workspace, dirs, e);
	return r == 0 ? prepare_ids(l, p, e) : r;
}
