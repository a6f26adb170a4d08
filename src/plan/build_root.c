/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The new root: which host paths are bound where, what is made anew, and what
 * is covered. Parents come before what lies in them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/str.h"
#include "plan/builder.h"
#include "sys/landlock.h"

enum {
	RO = PMF_RDONLY | PMF_NOSUID | PMF_NODEV,
	RW = PMF_NOSUID | PMF_NODEV,
	INODE_BYTES = 4096 /* one file of scratch for each 4 KiB of its size */
};

/* Read-only system directories; a link is made again as a link. */
static const char *const system_dirs[] = { "/usr",   "/bin",   "/sbin", "/lib",
					   "/lib32", "/lib64", "/opt",	"/nix/store" };

/*
 * Of /etc, what programs need to start, to find libraries and to check
 * certificates. Accounts, keys and the host's own configuration stay out;
 * passwd, group and hosts are written anew. A name that ends in '*' is a
 * prefix.
 */
static const char *const system_etc[] = { "alternatives", "crypto-policies", "gitconfig",
					  "java-*",	  "ld.so.cache",     "pki",
					  "ssl" };

/* The nodes of /dev, with the numbers of Documentation/admin-guide/devices.txt. */
static const struct {
	const char *path;
	unsigned major, minor;
} devices[] = {
	{ "/dev/null", 1, 3 },	 { "/dev/zero", 1, 5 },	   { "/dev/full", 1, 7 },
	{ "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 },
};

static const struct {
	const char *path, *to;
} links[] = {
	{ "/dev/fd", "/proc/self/fd" },	      { "/dev/stdin", "/proc/self/fd/0" },
	{ "/dev/stdout", "/proc/self/fd/1" }, { "/dev/stderr", "/proc/self/fd/2" },
	{ "/dev/ptmx", "pts/ptmx" },
};

/* Of procfs and sysfs, what tells of the whole machine or commands it. */
struct mask {
	const char *path;
	bool dir;
};
static const struct mask proc_masks[] = {
	{ "/proc/acpi", true },		  { "/proc/asound", true },
	{ "/proc/kcore", false },	  { "/proc/keys", false },
	{ "/proc/latency_stats", false }, { "/proc/scsi", true },
	{ "/proc/sysrq-trigger", false }, { "/proc/timer_list", false },
};
static const struct mask sys_masks[] = {
	{ "/sys/firmware", true },
	{ "/sys/devices/virtual/powercap", true },
	{ "/sys/kernel", true },
};

static void add(struct builder *b, struct plan_mount m, const char *source, const char *target)
{
	m.source = builder_str(b, source);
	m.target = builder_str(b, target);
	m.landlock &= b->head.landlock_fs;
	buf_add(target && target[0] == '.' ? &b->after : &b->mounts, &m, sizeof(m));
}

static void add_fact(struct builder *b, enum plan_fact_kind kind, const char *path, int64_t value)
{
	struct plan_fact f = { .kind = kind, .path = builder_str(b, path), .value = value };

	buf_add(&b->facts, &f, sizeof(f));
}

static int look(struct builder *b, const char *path, struct host_path *ret)
{
	int r = b->host->look(b->host->ctx, path, ret);

	return r < 0 ? err_set(b->e, r, "plan", "look at %s", path) : 0;
}

static const char *built_str(const struct builder *b, struct plan_str s)
{
	return b->strings.data + (s.off - sizeof(struct plan));
}

/* In place: no empty and no "." component, no slash at the end. */
static const char *clean(char *path)
{
	char *to = path, *from = path;

	if (!path)
		return NULL;
	if (*from == '.') /* of the workspace */
		*to++ = *from++;
	while (*from != '\0') {
		size_t n = strcspn(from + 1, "/");

		/* Here *from is a slash, and n the length of what follows it. */
		if (n > 0 && !(n == 1 && from[1] == '.')) {
			memmove(to, from, n + 1);
			to += n + 1;
		}
		from += n + 1;
	}
	if (to == path) /* "/" alone */
		*to++ = '/';
	*to = '\0';
	return path;
}

const char *builder_expand(struct builder *b, const char *path)
{
	static const struct {
		const char *name, *under_home;
	} known[] = {
		{ "~", "" },
		{ "${HOME}", "" },
		{ "${XDG_CONFIG_HOME}", "/.config" },
		{ "${XDG_CACHE_HOME}", "/.cache" },
		{ "${XDG_DATA_HOME}", "/.local/share" },
	};
	const char *rest = str_after(path, "${WORKSPACE}"), *user = strstr(path, "${USER}");

	if (rest)
		return clean(arena_printf(&b->arena, ".%s", rest));
	if (user) {
		const char *name = b->host->user;

		if (!name || strchr(name, '/') || name[0] == '.')
			return NULL;
		return builder_expand(b, arena_printf(&b->arena, "%.*s%s%s", (int)(user - path),
						      path, name, user + strlen("${USER}")));
	}
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		rest = str_after(path, known[i].name);
		if (!rest || (*rest != '/' && *rest != '\0'))
			continue;
		return b->host->home ? clean(arena_printf(&b->arena, "%s%s%s", b->host->home,
							  known[i].under_home, rest))
				     : NULL;
	}
	return clean(arena_strdup(&b->arena, path));
}

static int bind_real(struct builder *b, const struct host_path *at, const char *target,
		     uint32_t flags)
{
	bool file = at->target != HK_DIR;
	uint64_t rights = flags & PMF_RDONLY ? LL_READ : LL_OWN;
	struct plan_mount m = {
		.kind = PM_BIND,
		.mode = file ? 0644 : 0755,
		.flags = flags | (file ? PMF_IS_FILE : PMF_RECURSIVE),
		.landlock = file ? (rights & LL_FILE_RIGHTS) : rights,
	};

	add(b, m, at->real, target);
	return 0;
}

static int bind_system(struct builder *b, const char *path)
{
	struct host_path at;
	int r = look(b, path, &at);

	if (r < 0 || at.kind == HK_ABSENT)
		return r;
	if (at.kind == HK_SYMLINK && strncmp(path, "/etc/", 5) != 0) {
		add(b, (struct plan_mount){ .kind = PM_SYMLINK }, at.link, path);
		return 0;
	}
	if (at.target != HK_DIR && at.target != HK_FILE)
		return 0; /* a link that leads nowhere */
	return bind_real(b, &at, path, RO);
}

/* New names in these two directories change what is bound: watch them. */
static int watch(struct builder *b, const char *path)
{
	struct host_path at;
	int r = look(b, path, &at);

	if (r == 0)
		add_fact(b, PF_MTIME, path, at.mtime);
	return r;
}

struct match {
	struct builder *b;
	int result; /* of the first that failed */
};

static void match_etc(void *arg, const char *name)
{
	struct match *m = arg;
	struct builder *b = m->b;

	for (size_t i = 0; i < ARRAY_SIZE(system_etc) && m->result == 0; i++) {
		const char *want = system_etc[i];
		size_t n = strlen(want);

		if (want[n - 1] == '*' ? strncmp(name, want, n - 1) == 0 : streq(name, want))
			m->result = bind_system(b, arena_printf(&b->arena, "/etc/%s", name));
	}
}

/* Who is inside has a name. As root the ids are the workspace's owner's: the launch knows them. */
static void etc_users(struct builder *b)
{
	const struct host *h = b->host;
	const char *home = b->policy->filesystem.home == HOME_NONE || !h->home ? "/" : h->home;
	const char *user = h->root || !h->user ? "user" : h->user;
	struct plan_mount m = { .kind = PM_FILE,
				.mode = 0644,
				.flags = h->root ? (uint32_t)PMF_IDS : 0 };
	char uid[16] = "{uid}", gid[16] = "{gid}";

	if (!h->root) {
		snprintf(uid, sizeof(uid), "%u", h->uid);
		snprintf(gid, sizeof(gid), "%u", h->gid);
	}
	m.data = builder_str(
		b, !h->root && h->uid == 0
			   ? arena_printf(&b->arena,
					  "root:x:0:0:root:%s:/bin/sh\n"
					  "nobody:x:65534:65534:nobody:/:/bin/false\n",
					  home)
			   : arena_printf(&b->arena,
					  "root:x:0:0:root:%s:/bin/sh\n%s:x:%s:%s:%s:%s:/bin/sh\n"
					  "nobody:x:65534:65534:nobody:/:/bin/false\n",
					  h->root ? home : "/", user, uid, gid, user, home));
	add(b, m, NULL, "/etc/passwd");
	m.data = builder_str(b, !h->root && h->gid == 0
					? "root:x:0:\nnogroup:x:65534:\n"
					: arena_printf(&b->arena,
						       "root:x:0:\n%s:x:%s:\nnogroup:x:65534:\n",
						       user, gid));
	add(b, m, NULL, "/etc/group");
}

static void etc_files(struct builder *b)
{
	static const struct {
		const char *path, *text;
	} files[] = {
		{ "/etc/hosts", "127.0.0.1 localhost purple\n::1 localhost purple\n" },
		/* Any address would do: all that goes to port 53 is answered by purple-net. */
		{ "/etc/resolv.conf", "nameserver " PLAN_RESOLVER "\n" },
	};
	size_t count = ARRAY_SIZE(files) - (b->head.network.flags & PN_ON ? 0 : 1);

	etc_users(b);
	for (size_t i = 0; i < count; i++) {
		struct plan_mount m = { .kind = PM_FILE,
					.mode = 0644,
					.data = builder_str(b, files[i].text) };

		add(b, m, NULL, files[i].path);
	}
}

static int build_system(struct builder *b)
{
	struct plan_mount etc = { .kind = PM_DIR,
				  .mode = 0755,
				  .landlock = LL_READ_FILE | LL_READ_DIR };
	struct match match = { .b = b };
	int r = 0;

	add(b, etc, NULL, "/etc");
	etc_files(b);
	if (b->policy->network.share_host) /* names are the host's resolver's to answer */
		r = bind_system(b, "/etc/resolv.conf");
	if (r == 0 && b->policy->network.share_host)
		r = watch(b, "/etc");
	if (r < 0)
		return r;
	if (!b->policy->filesystem.system)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(system_dirs) && r == 0; i++)
		r = bind_system(b, system_dirs[i]);
	if (r == 0)
		r = watch(b, "/");
	if (r == 0)
		r = watch(b, "/etc");
	if (r == 0)
		r = b->host->list(b->host->ctx, "/etc", match_etc, &match);
	if (r == 0)
		r = match.result;
	return r < 0 ? err_set(b->e, r, "plan", "read /etc") : 0;
}

static void build_dev(struct builder *b)
{
	struct plan_mount dir = { .kind = PM_DIR,
				  .mode = 0755,
				  .landlock = LL_READ_FILE | LL_WRITE_FILE | LL_READ_DIR |
					      LL_TRUNCATE | LL_IOCTL_DEV };
	struct plan_mount pts = { .kind = PM_DEVPTS,
				  .mode = 0755,
				  .flags = PMF_NOSUID | PMF_NOEXEC };
	struct plan_mount shm = {
		.kind = PM_SCRATCH, .mode = 01777, .flags = RW, .landlock = LL_OWN
	};

	add(b, dir, NULL, "/dev");
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		struct plan_mount m = {
			.kind = PM_DEVICE,
			.mode = 0644,
			.flags = PMF_IS_FILE,
			.rdev = makedev(devices[i].major, devices[i].minor),
		};

		add(b, m, devices[i].path, devices[i].path);
	}
	add(b, pts, NULL, "/dev/pts");
	add(b, shm, NULL, "/dev/shm");
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		add(b, (struct plan_mount){ .kind = PM_SYMLINK }, links[i].to, links[i].path);
}

static void add_masks(struct builder *b, const struct mask *masks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct plan_mount m = { .kind = masks[i].dir ? PM_MASK_DIR : PM_MASK_FILE,
					.flags = PMF_RDONLY | PMF_NOSUID | PMF_NOEXEC };

		m.flags |= masks[i].dir ? PMF_NODEV : PMF_IS_FILE; /* a file's is /dev/null */
		add(b, m, NULL, masks[i].path);
	}
}

static void build_kernel_fs(struct builder *b)
{
	const struct policy *p = b->policy;
	struct plan_mount empty = { .kind = PM_DIR, .mode = 0555 };
	struct plan_mount proc = { .kind = PM_PROC,
				   .mode = 0555,
				   .flags = RO | PMF_NOEXEC,
				   .landlock = LL_READ_FILE | LL_READ_DIR };
	struct plan_mount sys = { .kind = PM_SYSFS,
				  .mode = 0555,
				  .flags = RO | PMF_NOEXEC,
				  .landlock = LL_READ_FILE | LL_READ_DIR };

	if (p->filesystem.proc != PROC_NONE) {
		if (p->nesting) { /* uid_map and setgroups of what is nested */
			proc.flags &= ~(uint32_t)PMF_RDONLY;
			proc.landlock |= LL_WRITE_FILE | LL_TRUNCATE;
		}
		if (p->filesystem.proc == PROC_PIDS_ONLY)
			proc.data = builder_str(b, "pid");
		add(b, empty, NULL, "/dev/.masked");
		add(b, proc, NULL, "/proc");
		if (p->filesystem.proc == PROC_MASKED)
			add_masks(b, proc_masks, ARRAY_SIZE(proc_masks));
	}
	if (p->filesystem.sys) {
		add(b, sys, NULL, "/sys");
		add_masks(b, sys_masks, ARRAY_SIZE(sys_masks));
	}
}

static void add_scratch(struct builder *b, const char *path, uint16_t mode)
{
	struct plan_mount m = { .kind = PM_SCRATCH, .mode = mode, .flags = RW, .landlock = LL_OWN };

	add(b, m, NULL, path);
}

static bool is_output(struct builder *b, const char *path)
{
	const struct policy_binds *out = &b->policy->filesystem.output_paths;

	for (size_t i = 0; i < out->count; i++) {
		const char *target = builder_expand(b, out->items[i].sandbox);

		if (target && streq(target, path))
			return true;
	}
	return false;
}

static int build_scratch(struct builder *b)
{
	const struct policy *p = b->policy;

	add_scratch(b, "/tmp", 01777);
	add_scratch(b, "/var/tmp", 01777);
	if (p->filesystem.home == HOME_SCRATCH && b->host->home && !streq(b->host->home, "/"))
		add_scratch(b, b->host->home, 0700);
	for (size_t i = 0; i < p->filesystem.scratch_paths.count; i++) {
		const char *path = builder_expand(b, p->filesystem.scratch_paths.items[i].s);

		if (!path)
			return err_set(b->e, EPROTO, "plan",
				       "filesystem.scratch_paths: %s: there "
				       "is no HOME",
				       p->filesystem.scratch_paths.items[i].s);
		if (path[0] == '.')
			return err_set(b->e, EPROTO, "plan",
				       "filesystem.scratch_paths: %s: a "
				       "scratch directory inside the workspace is not supported",
				       path);
		/* Made already, or an output of the same name, which wins. */
		if (streq(path, "/tmp") || streq(path, "/var/tmp") || streq(path, "/dev/shm") ||
		    is_output(b, path) || (b->host->home && streq(path, b->host->home)))
			continue;
		add_scratch(b, path, 01777);
	}
	return 0;
}

/*
 * For what is refused: nobody inside can write it, since the root is read-only and Landlock
 * grants reading alone. In a directory of its own, so that this grant is no other's.
 */
static void build_denials(struct builder *b)
{
	const char *path = b->policy->denials.file.s;
	struct plan_mount dir = { .kind = PM_DIR,
				  .mode = 0555,
				  .landlock = LL_READ_FILE | LL_READ_DIR };
	struct plan_mount file = { .kind = PM_FILE, .mode = 0444, .flags = PMF_TOLD };

	path = path ? clean(arena_strdup(&b->arena, path)) : NULL;
	if (!path)
		return;
	b->head.audit.denials = builder_str(b, path);
	add(b, dir, NULL, arena_printf(&b->arena, "%.*s", (int)(strrchr(path, '/') - path), path));
	add(b, file, NULL, path);
}

/* What lies over it would be seen in its place, and might be writable. */
static int check_denials(struct builder *b, const struct buf *mounts)
{
	const struct plan_mount *m = (const struct plan_mount *)(const void *)mounts->data;
	const char *path = b->policy->denials.file.s ? built_str(b, b->head.audit.denials) : NULL;

	for (size_t i = 0; path && i < mounts->len / sizeof(*m); i++) {
		const char *at = m[i].target.off ? built_str(b, m[i].target) : NULL;
		size_t n = at ? strlen(at) : 0;

		if (n == 0 || m[i].kind == PM_DIR || m[i].flags & PMF_TOLD ||
		    strncmp(path, at, n) != 0 || (path[n] != '/' && path[n] != '\0'))
			continue;
		return err_set(b->e, EPROTO, "plan",
			       "denials.file: %s is in %s, which the policy puts there", path, at);
	}
	return 0;
}

static bool is_system(const struct builder *b, const char *path)
{
	for (size_t i = 0; b->policy->filesystem.system && i < ARRAY_SIZE(system_dirs); i++)
		if (streq(path, system_dirs[i]))
			return true;
	return false;
}

/* "p.yaml:3", or the option that said it. */
static const char *where(struct builder *b, struct pos pos)
{
	const char *s = !pos.file      ? "policy"
			: pos.line > 0 ? arena_printf(&b->arena, "%s:%u", pos.file, pos.line)
				       : pos.file;

	return s ? s : "policy";
}

/* A link must not lead to what a policy could not name. */
static int refuse_forbidden(struct builder *b, const struct policy_bind *bind, const char *key,
			    const char *real, bool write)
{
	const char *path = real, *rest;
	const struct policy_forbidden *f;
	struct host_path home;
	bool above;
	int r;

	if (b->host->home) {
		r = look(b, b->host->home, &home);
		if (r < 0)
			return r;
		rest = home.real[0] ? str_after(real, home.real) : NULL;
		if (rest && (*rest == '/' || *rest == '\0'))
			path = arena_printf(&b->arena, "~%s", rest);
	}
	if (!path)
		return err_set(b->e, ENOMEM, "plan", "%s", key);
	f = policy_forbidden(path, write, &above);
	if (!f)
		return 0;
	return err_set(b->e, EPROTO, "plan", "%s: %s: %s leads to %s, which cannot be %s%s%s: %s",
		       where(b, bind->pos), key, bind->host, real,
		       f->write_only ? "writable" : "given", above ? ", for this is in it: " : "",
		       above ? f->path : "", f->why);
}

/*
 * Whose links are followed: those right below / and in the home are the
 * user's, those in the system's own directories the administrator's.
 */
static bool may_hold_links(const struct builder *b, const char *dir, size_t n)
{
	static const char *const trees[] = { "/etc", "/usr", "/opt", "/nix" };
	const char *home = b->host->home;

	if (n == 0 || (home && n == strlen(home) && memcmp(dir, home, n) == 0))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(trees); i++) {
		size_t len = strlen(trees[i]);

		if (n >= len && memcmp(dir, trees[i], len) == 0 && (dir[len] == '/' || n == len))
			return true;
	}
	return false;
}

/*
 * A path must be what it says: a link that somebody has left who may write
 * beside it (an agent of an earlier run, another user) would hand out another
 * directory.
 */
static int refuse_links(struct builder *b, const char *key, const char *path, const char *real)
{
	char part[PATH_MAX], walked[2 * PATH_MAX] = "";
	size_t n = strlen(path), last = 0;
	struct host_path at;

	for (size_t i = 1; i <= n && n < sizeof(part); i++) {
		int r;

		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		r = look(b, part, &at);
		if (r < 0)
			return r;
		if (at.kind != HK_SYMLINK) {
			size_t used = strlen(walked);

			str_copy(walked + used, sizeof(walked) - used, part + last);
			last = i;
			continue;
		}
		if (may_hold_links(b, part, last)) {
			str_copy(walked, PATH_MAX, at.real);
			last = i;
			continue;
		}
		err_set(b->e, EPROTO, "plan", "%s: %s: %s is a link to %s", key, path, part,
			at.link);
		err_remedy(b->e, "write where the link leads to, if that is what you mean");
		return -EPROTO;
	}
	/* It was looked at before: somebody may have put a link there and taken it away. */
	if (!streq(walked, real))
		return err_set(b->e, ESTALE, "plan",
			       "%s: %s leads to %s one time and to %s another", key, path, walked,
			       real);
	return 0;
}

/* Nothing is looked for where the policy hides nothing: that takes time at each start. */
static uint32_t hide_flag(const struct builder *b)
{
	return b->policy->filesystem.hide.count ? PMF_HIDE : 0;
}

static int build_hide(struct builder *b)
{
	const struct policy_strs *hide = &b->policy->filesystem.hide;
	struct plan_mount file = { .kind = PM_FILE, .mode = 0 };
	struct plan_mount dir = { .kind = PM_DIR, .mode = 0 };

	if (hide->count > PLAN_HIDE_MAX)
		return err_set(b->e, E2BIG, "plan", "filesystem.hide: more than %d patterns",
			       PLAN_HIDE_MAX);
	for (size_t i = 0; i < hide->count; i++) {
		struct plan_str s = builder_str(b, hide->items[i].s);

		buf_add(&b->hide, &s, sizeof(s));
	}
	if (hide->count) {
		add(b, file, NULL, PLAN_HIDE_FILE);
		add(b, dir, NULL, PLAN_HIDE_DIR);
	}
	return 0;
}

static int bind_policy(struct builder *b, const struct policy_bind *bind, const char *key,
		       uint32_t flags)
{
	const char *host = builder_expand(b, bind->host),
		   *inside = builder_expand(b, bind->sandbox);
	struct host_path at;
	int r;

	if (!host || !inside)
		return err_set(b->e, EPROTO, "plan", "%s: %s: there is no HOME or no user name",
			       key, bind->host);
	/* Older policies list what filesystem.system has brought already. */
	if ((flags & PMF_RDONLY) && streq(host, inside) && is_system(b, host))
		return 0;
	flags |= hide_flag(b);
	if (b->host->root)
		flags |= flags & PMF_RDONLY ? PMF_OUTSIDE : PMF_OUTSIDE | PMF_IDMAP;
	if (host[0] == '.') {
		struct plan_mount m = { .kind = PM_BIND,
					.flags = flags | PMF_RECURSIVE,
					.landlock = flags & PMF_RDONLY ? LL_READ : LL_OWN };

		/* The workspace is known at the start only: it must be a directory. */
		add(b, m, host, inside);
		return 0;
	}
	r = look(b, host, &at);
	if (r < 0)
		return r;
	if (at.kind == HK_ABSENT && bind->optional) {
		add_fact(b, PF_ABSENT, host, 0);
		return 0;
	}
	if (at.target == HK_ABSENT || at.kind == HK_ABSENT) {
		err_set(b->e, ENOENT, "plan", "%s: %s: %s", where(b, bind->pos), key, host);
		if (bind->pos.line > 0)
			err_remedy(b->e, "make it, or mark the entry `optional: true`");
		else
			err_remedy(b->e, "make it, or leave the option out; only an entry of a "
					 "policy file can be `optional: true`");
		return -ENOENT;
	}
	if (at.target != HK_DIR && at.target != HK_FILE)
		return err_set(b->e, EPROTO, "plan", "%s: %s is neither a file nor a directory",
			       key, at.real);
	r = refuse_links(b, key, host, at.real);
	if (r < 0)
		return r;
	add_fact(b, PF_IS, host, at.identity);
	r = refuse_forbidden(b, bind, key, at.real, !(flags & PMF_RDONLY));
	return r < 0 ? r : bind_real(b, &at, inside, flags);
}

static int bind_all(struct builder *b, const struct policy_binds *binds, const char *key,
		    uint32_t flags)
{
	int r = 0;

	for (size_t i = 0; i < binds->count && r == 0; i++)
		r = bind_policy(b, &binds->items[i], key, flags);
	return r;
}

/* Resolved as binds are; then they are boxes. */
static int build_outputs_from(struct builder *b)
{
	size_t from = b->mounts.len / sizeof(struct plan_mount), after = b->after.len;
	int r = bind_all(b, &b->policy->filesystem.output_paths, "filesystem.output_paths", RW);

	if (r == 0 && b->after.len > after) {
		err_set(b->e, EPROTO, "plan",
			"filesystem.output_paths: a box in the workspace could be read");
		err_remedy(b->e, "{host_path: ./results, sandbox_path: /out}");
		return -EPROTO;
	}
	return r == 0 ? build_outputs(b, from) : r;
}

static int build_overlays_from(struct builder *b)
{
	const struct policy_overlays *list = &b->policy->filesystem.overlays;
	size_t from = b->mounts.len / sizeof(struct plan_mount);
	int r = 0;

	for (size_t i = 0; i < list->count && r == 0; i++) {
		const struct policy_bind bind = { .host = list->items[i].path,
						  .sandbox = list->items[i].path,
						  .pos = list->items[i].pos };

		r = bind_policy(b, &bind, "filesystem.overlays", RW);
	}
	return r == 0 ? build_overlays(b, from) : r;
}

static void build_workspace(struct builder *b)
{
	int mode = b->policy->filesystem.workspace;
	bool write = mode != WS_READ_ONLY;
	struct plan_mount m = {
		.kind = PM_WORKSPACE,
		.mode = 0755,
		.flags = (write ? RW : RO) | PMF_RECURSIVE | hide_flag(b) |
			 (b->host->root ? (uint32_t)PMF_IDMAP : 0),
		.landlock = write ? LL_OWN : LL_READ,
	};

	if (mode == WS_NONE)
		return;
	m.flags |= mode == WS_REVIEW ? PMF_REVIEW : mode == WS_SCRATCH ? PMF_DISCARD : 0;
	if (mode == WS_SCRATCH && b->host->memory_layers)
		m.flags |= PMF_MEMORY;
	m.landlock &= b->head.landlock_fs;
	/* Before all that is relative to it. */
	buf_add(&b->mounts, &m, sizeof(m));
}

static int build_working_dir(struct builder *b)
{
	const char *dir = b->policy->filesystem.working_dir.s;

	dir = dir ? builder_expand(b, dir) : ".";
	if (!dir)
		return err_set(b->e, EPROTO, "plan",
			       "filesystem.working_dir: there is no HOME or no user name");
	if (!streq(dir, "."))
		b->head.working_dir = builder_str(b, dir);
	return 0;
}

/* Parents before what lies in them, in whatever order the policy has them. */
static void sort_by_target(const struct builder *b, struct buf *mounts, size_t from)
{
	struct plan_mount *m = (struct plan_mount *)(void *)mounts->data;
	size_t count = mounts->len / sizeof(*m);

	/* By insertion: the order of equals is kept, so the later one lies on top. */
	for (size_t i = from + 1; i < count && !mounts->failed; i++) {
		struct plan_mount x = m[i];
		size_t k = i;

		for (;
		     k > from && strcmp(built_str(b, m[k - 1].target), built_str(b, x.target)) > 0;
		     k--)
			m[k] = m[k - 1];
		m[k] = x;
	}
}

int build_root(struct builder *b)
{
	const struct policy *p = b->policy;
	uint64_t size = p->filesystem.scratch_bytes.v;
	size_t from;
	int r;

	b->head.root_size = size;
	b->head.workspace_bytes = p->workspace.max_bytes.v;
	b->head.workspace_files = p->workspace.max_files.v;
	b->head.root_inodes = MAX(size / INODE_BYTES, (uint64_t)1024);
	r = build_system(b);
	if (r < 0)
		return r;
	build_dev(b);
	build_kernel_fs(b);
	build_denials(b);
	r = build_hide(b);
	from = b->mounts.len / sizeof(struct plan_mount);
	if (r == 0)
		r = build_scratch(b);
	if (r == 0)
		r = bind_all(b, &p->filesystem.immutable_paths, "filesystem.immutable_paths", RO);
	if (r == 0)
		r = bind_all(b, &p->filesystem.writable_paths, "filesystem.writable_paths", RW);
	if (r == 0)
		r = build_outputs_from(b);
	if (r == 0)
		r = build_overlays_from(b);
	if (r == 0) {
		sort_by_target(b, &b->mounts, from);
		sort_by_target(b, &b->after, 0);
		build_workspace(b);
		r = check_denials(b, &b->mounts);
	}
	if (r == 0)
		r = build_outputs_check(b);
	if (r == 0)
		r = build_overlays_check(b);
	return r == 0 ? build_working_dir(b) : r;
}
