/* SPDX-License-Identifier: Apache-2.0 */
/* The half that the launcher needs: keys and loading. cache_store.c is the other. */
#include "plan/cache.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "config.h"
#include "plan/planner_id.inc"
#include "sys/files.h"

/* Each field with its length, so that no two lists of fields look alike. */
static void add_field(struct sha256 *s, const void *data, size_t len)
{
	uint64_t n = len;

	sha256_add(s, &n, sizeof(n));
	sha256_add(s, data, len);
}

static void add_string(struct sha256 *s, const char *text)
{
	add_field(s, text ? text : "", text ? strlen(text) : 0);
}

void cache_key(const struct cache_key *k, uint8_t ret[SHA256_SIZE])
{
	struct sha256 s;
	uint32_t numbers[] = { PLAN_VERSION, k->best_effort,  k->uid,
			       k->gid,	     k->home != NULL, k->probe->landlock_abi };

	sha256_init(&s);
	add_string(&s, PURPLE_VERSION);
	add_string(&s, PLANNER_ID);
	add_field(&s, numbers, sizeof(numbers));
	add_field(&s, k->policy_sha256, SHA256_SIZE);
	add_string(&s, k->policy_path);
	add_string(&s, k->home);
	add_string(&s, k->config);
	add_string(&s, k->cache);
	add_string(&s, k->runtime);
	add_string(&s, k->state);
	add_string(&s, k->probe->release);
	add_string(&s, k->probe->version);
	add_string(&s, k->probe->machine);
	for (const char *const *o = k->overrides; o && *o; o++)
		add_string(&s, *o);
	sha256_done(&s, ret);
}

static bool source_is_current(const struct plan *p, const struct plan_source *src)
{
	char text[4096];
	uint8_t now[SHA256_SIZE];
	struct sha256 s;
	int fd = sys_openat(AT_FDCWD, plan_string(p, src->path), O_RDONLY | O_NOCTTY | O_NONBLOCK,
			    0);
	long n;

	if (fd < 0)
		return false;
	sha256_init(&s);
	while ((n = sys_read(fd, text, sizeof(text))) > 0)
		sha256_add(&s, text, (size_t)n);
	sys_close(fd);
	if (n < 0)
		return false;
	sha256_done(&s, now);
	return memcmp(now, src->sha256, sizeof(now)) == 0;
}

static bool fact_holds(const struct plan *p, const struct plan_fact *f, cache_cgroup *cgroup)
{
	struct stat st = { 0 }; /* for an analyzer that does not know raw calls */
	int r;

	if (f->kind == PF_CGROUP)
		return cgroup() == f->value;
	r = (int)sys_call(SYS_newfstatat, AT_FDCWD, plan_string(p, f->path), &st,
			  f->kind == PF_ABSENT ? AT_SYMLINK_NOFOLLOW : 0);

	if (f->kind == PF_ABSENT)
		return r == -ENOENT || r == -ENOTDIR;
	if (f->kind == PF_IS)
		return r == 0 && plan_identity(st.st_dev, st.st_ino) == f->value;
	return r == 0 && (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec == f->value;
}

/* Are the policy's other files and the host's facts still what the plan was made from? */
static bool plan_is_current(const struct plan *p, cache_cgroup *cgroup)
{
	const struct plan_source *s = plan_items(p, sources, struct plan_source);
	const struct plan_fact *f = plan_items(p, facts, struct plan_fact);

	/* The first source is the policy itself, which the key covers. */
	for (uint32_t i = 1; i < p->sources.count; i++)
		if (!source_is_current(p, &s[i]))
			return false;
	for (uint32_t i = 0; i < p->facts.count; i++)
		if (!fact_holds(p, &f[i], cgroup))
			return false;
	return true;
}

/* Ours, and nobody else could have written it. */
static bool trusted(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_uid == geteuid() && !(st->st_mode & 022) &&
	       st->st_size <= PLAN_MAX;
}

const struct plan *cache_load(const char *dir, const uint8_t key[SHA256_SIZE], void *mem,
			      cache_cgroup *cgroup, const char **why)
{
	char path[PATH_MAX], name[2 * SHA256_SIZE + 1];
	const struct plan *p;
	struct stat st;
	size_t n = strlen(dir);
	long len;
	int fd;

	*why = "no such plan yet";
	if (n == 0 || n + 1 + sizeof(name) > sizeof(path))
		return NULL;
	hex_encode(key, SHA256_SIZE, name);
	memcpy(path, dir, n);
	path[n] = '/';
	memcpy(path + n + 1, name, sizeof(name));
	fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0)
		return NULL;
	*why = "the file in the cache is not safely ours";
	if (sys_call(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH) != 0 || !trusted(&st)) {
		sys_close(fd);
		return NULL;
	}
	len = sys_read(fd, mem, PLAN_MAX);
	sys_close(fd);
	p = len < 0 ? NULL : plan_open(mem, (size_t)len, why);
	if (!p)
		return NULL;
	*why = "it was made for something else";
	if (memcmp(p->key, key, SHA256_SIZE) != 0)
		return NULL;
	*why = "the host or a file that the policy extends has changed";
	return plan_is_current(p, cgroup) ? p : NULL;
}
