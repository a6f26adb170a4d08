/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/obtain.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "cgroup/cgroup.h"
#include "cli/caller.h"
#include "plan/cache.h"
#include "policy/policy.h"
#include "sys/files.h"

_cold_data_ char plan_memory[PLAN_MAX] __attribute__((__aligned__(4096)));

/* The file of the profile; for purple-compile a bare name stays a name. */
static int find_policy(const struct run_options *o, const struct dirs *dirs, char *path,
		       size_t size, struct err *e)
{
	char near[80];
	int r;

	if (strchr(o->profile, '/')) {
		if (!str_copy(path, size, o->profile))
			return err_set(e, ENAMETOOLONG, "policy", "%.80s…", o->profile);
		return 0;
	}
	r = policy_find(o->profile, &dirs->policy, path, size);
	if (r == -EINVAL)
		err_set(e, EPROTO, "policy",
			"%.80s is no profile name: lower-case letters, "
			"digits, dots, dashes and underscores",
			o->profile);
	else if (r < 0 && policy_nearest(o->profile, &dirs->policy, near, sizeof(near)))
		err_set(e, EPROTO, "policy", "there is no profile %s; did you mean %s?", o->profile,
			near);
	else if (r < 0)
		err_set(e, EPROTO, "policy", "there is no profile %s", o->profile);
	if (r < 0)
		err_remedy(e,
			   "`purple profile list` shows the profiles; a file is given with a /, "
			   "as in ./%s",
			   o->profile);
	return r;
}

static int hash_policy(const char *path, uint8_t ret[SHA256_SIZE], struct err *e)
{
	/* The plan goes to the same memory later. */
	char *mem = plan_memory;
	struct sha256 s;
	size_t total = 0;
	long n;
	int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0);

	if (fd < 0) {
		err_set(e, fd, "policy", "%s", path);
		if (fd == -EACCES)
			err_remedy(e,
				   "is HOME (or XDG_CONFIG_HOME) that of another user? Set it to "
				   "a directory of yours");
		return fd;
	}
	sha256_init(&s);
	while ((n = sys_read(fd, mem, PLAN_MAX)) > 0 && total <= POLICY_FILE_MAX) {
		sha256_add(&s, mem, (size_t)n);
		total += (size_t)n;
	}
	sys_close(fd);
	if (n < 0)
		return err_set(e, (int)n, "policy", "%s", path);
	if (total > POLICY_FILE_MAX)
		return err_set(e, EPROTO, "policy", "%s: larger than %d KiB", path,
			       POLICY_FILE_MAX / 1024);
	sha256_done(&s, ret);
	return 0;
}

static int run_compiler(const struct run_options *o, const struct dirs *dirs, const char *key,
			int out, struct err *e)
{
	const char *argv[2 * RUN_OVERRIDES_MAX + RUN_OVERRIDES_MAX + 16];
	char program[PATH_MAX];
	posix_spawn_file_actions_t actions;
	int n = 0, status = 0, r;
	pid_t pid;

	if (!dirs_program(dirs, "purple-compile", program, sizeof(program)))
		return err_set(e, ENAMETOOLONG, "plan", "purple-compile");
	argv[n++] = "purple-compile";
	for (size_t i = 0; i < o->overrides_count; i++) {
		argv[n++] = "--set";
		argv[n++] = o->overrides[2 * i];
		argv[n++] = o->overrides[2 * i + 1];
	}
	if (o->best_effort)
		argv[n++] = "--best-effort";
	argv[n++] = "--key";
	argv[n++] = key;
	if (!o->no_cache && dirs->cache) {
		argv[n++] = "--cache";
		argv[n++] = dirs->cache;
	}
	argv[n++] = "--out";
	argv[n++] = "3";
	argv[n++] = o->profile;
	argv[n] = NULL;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out, 3);
	r = posix_spawn(&pid, program, &actions, NULL, (char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r != 0) {
		err_set(e, r, "plan", "start %s", program);
		err_remedy(e, "this installation of Purple is not whole; install it again");
		return -r;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	/* It has said why. An error without a message, or a crash. */
	if (WIFEXITED(status)) {
		e->code = ECANCELED;
		e->exit_code = EXIT_PURPLE;
		return -ECANCELED;
	}
	return err_set(e, EPROTO, "plan", "purple-compile was ended by signal %d",
		       WTERMSIG(status));
}

static const struct plan *compile_plan(const struct run_options *o, const struct dirs *dirs,
				       const uint8_t key[SHA256_SIZE], struct err *e)
{
	char hex[2 * SHA256_SIZE + 1];
	const struct plan *p = NULL;
	const char *why = "";
	int fd = (int)sys_call(SYS_memfd_create, "plan", 1 /* MFD_CLOEXEC */);
	long len;

	if (fd < 0) {
		err_set(e, fd, "plan", "make room for the plan");
		return NULL;
	}
	hex_encode(key, SHA256_SIZE, hex);
	if (run_compiler(o, dirs, hex, fd, e) == 0) {
		len = sys_call(SYS_pread64, fd, plan_memory, PLAN_MAX, 0);
		p = len < 0 ? NULL : plan_open(plan_memory, (size_t)len, &why);
		if (!p)
			err_set(e, EPROTO, "plan", "purple-compile made a bad plan: %s", why);
	}
	sys_close(fd);
	return p;
}

static int64_t cgroup_identity(void)
{
	return (int64_t)cg_site_identity(cg_here());
}

/* The policy may have changed between our reading of it and the compiler's. */
static bool made_from(const struct plan *p, const uint8_t policy[SHA256_SIZE])
{
	const struct plan_source *s = plan_items(p, sources, struct plan_source);

	return p->sources.count > 0 && memcmp(s[0].sha256, policy, SHA256_SIZE) == 0;
}

const struct plan *obtain_plan(const struct run_options *o, const struct dirs *dirs,
			       enum plan_origin *origin, struct err *e)
{
	char path[PATH_MAX];
	struct probe_quick probe;
	struct cache_key k = {
		.policy_path = path,
		.overrides = o->overrides,
		.best_effort = o->best_effort,
		.uid = geteuid(),
		.gid = getegid(),
		.home = getenv("HOME"),
		.config = dirs->policy.user,
		.cache = dirs->cache,
		.runtime = dirs->runtime,
		.state = dirs->state,
		.probe = &probe,
	};
	const struct plan *p = NULL;
	uint8_t key[SHA256_SIZE];
	const char *why;
	int r;

	if (find_policy(o, dirs, path, sizeof(path), e) < 0 ||
	    hash_policy(path, k.policy_sha256, e) < 0)
		return NULL;
	r = probe_quick(&probe);
	if (r < 0) {
		err_set(e, r, "plan", "ask the kernel what it is");
		return NULL;
	}
	cache_key(&k, key);
	if (*origin == PLAN_CACHED && !o->no_cache && dirs->cache)
		p = cache_load(dirs->cache, key, plan_memory, cgroup_identity, &why);
	if (p && !made_from(p, k.policy_sha256))
		p = NULL;
	/* A plan of a container's uid 0 would give the real one away. */
	if (p && k.uid == 0 && p->idmap != IDMAP_RANGE && caller_is_root())
		p = NULL;
	*origin = p ? PLAN_CACHED : PLAN_COMPILED;
	return p ? p : compile_plan(o, dirs, key, e);
}
