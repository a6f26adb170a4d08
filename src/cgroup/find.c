/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where this caller may make groups: cgroups(7), proc_pid_mountinfo(5),
 * proc_pid_cgroup(5); Documentation/admin-guide/cgroup-v2.rst, "Delegation"
 * and "No Internal Process Constraint".
 *
 * Root makes them in a directory "purple" at the top of each hierarchy as it
 * sees it, so a sandbox outlives the session that started it. A user may do so
 * where somebody delegated a group: version 1, its own; version 2, the nearest
 * one upward from its own that may be written and has controllers to give. Where
 * nobody did, systemd may do so when it is asked: scope.c.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cgroup/internal.h"
#include "config.h"
#include "sys/files.h"

static const char *const names[PLAN_CONTROLLERS] = {
	[PC_CPU] = "cpu",	  [PC_CPUACCT] = "cpuacct", [PC_CPUSET] = "cpuset",
	[PC_MEMORY] = "memory",	  [PC_PIDS] = "pids",	    [PC_IO] = "io",
	[PC_FREEZER] = "freezer",
};

/* Enough to stop looking further up. */
#define COMMON (1u << PC_CPU | 1u << PC_MEMORY | 1u << PC_PIDS)

uint32_t cg_controllers(const char *list)
{
	uint32_t mask = 0;

	for (unsigned c = 0; c < PLAN_CONTROLLERS; c++)
		if (cg_has_word(list, names[c]))
			mask |= 1u << c;
	if (cg_has_word(list, "blkio"))
		mask |= 1u << PC_IO;
	return mask;
}

/* Cut the next word off. NULL at the end of the line. */
static char *word(char **rest)
{
	char *s = *rest, *end;

	if (!s || *s == '\0')
		return NULL;
	end = strchr(s, ' ');
	if (end)
		*end = '\0';
	*rest = end ? end + 1 : NULL;
	return s;
}

bool cg_parse_mount(char *line, struct cg_mount *ret)
{
	char *rest = line, *s, *type, *options = NULL;

	/* id, parent, device, root, point, options, optional fields, "-", type, source, options */
	for (int i = 0; i < 3; i++)
		word(&rest);
	ret->root = word(&rest);
	ret->point = word(&rest);
	while ((s = word(&rest)) && !streq(s, "-"))
		;
	type = word(&rest);
	for (int i = 0; i < 2; i++)
		options = word(&rest);
	if (!type || !options || strncmp(type, "cgroup", 6) != 0)
		return false;
	ret->v2 = streq(type, "cgroup2");
	ret->controllers = ret->v2 ? 0 : cg_controllers(options);
	if (!ret->v2 && ret->controllers == 0)
		return false;
	/* A blank in the path is written as \040: nobody has that, so it is not read. */
	return ret->point[0] == '/' && !strchr(ret->point, '\\') && !strchr(ret->root, '\\');
}

bool cg_own_path(const char *own, bool v2, unsigned c, char out[CG_PATH])
{
	char line[CG_PATH + 128];

	while (*own) {
		size_t len = strcspn(own, "\n");
		char *list, *path;

		if (len < sizeof(line)) {
			memcpy(line, own, len);
			line[len] = '\0';
			list = strchr(line, ':');
			path = list ? strchr(list + 1, ':') : NULL;
			if (path) {
				*path++ = '\0';
				if (v2 ? str_after(line, "0:") && list[1] == '\0'
				       : (cg_controllers(list + 1) & 1u << c) != 0)
					return str_copy(out, CG_PATH, path);
			}
		}
		own += len;
		own += *own == '\n';
	}
	return false;
}

bool cg_own_dir(const struct cg_mount *m, const char *path, char out[CG_PATH])
{
	const char *rest = streq(m->root, "/") ? path : str_after(path, m->root);

	/* "/..": outside of our cgroup namespace, or of what is mounted. */
	if (!rest || (rest[0] != '\0' && rest[0] != '/') || strstr(path, "/.."))
		return false;
	while (*rest == '/')
		rest++;
	return *rest ? cg_join(out, m->point, rest) : str_copy(out, CG_PATH, m->point);
}

/* What the group @dir can give to groups below it; *occupied if processes in it prevent that. */
static uint32_t v2_controllers(const char *dir, bool *occupied)
{
	char path[CG_PATH], text[512];
	uint32_t has, gives;

	if (!cg_join(path, dir, "cgroup.controllers") ||
	    cg_read(AT_FDCWD, path, text, sizeof(text)) < 0)
		return 0;
	has = cg_controllers(text);
	if (has == 0)
		return 0;
	if (!cg_join(path, dir, "cgroup.subtree_control") ||
	    cg_read(AT_FDCWD, path, text, sizeof(text)) < 0)
		return 0;
	gives = cg_controllers(text);
	if ((has & ~gives) == 0)
		return gives;
	/* The machine's root group, which has no cgroup.events, may hold processes. */
	cg_join(path, dir, "cgroup.events");
	if (sys_call(SYS_faccessat, AT_FDCWD, path, 0) == -ENOENT)
		return has;
	cg_join(path, dir, "cgroup.procs");
	if (cg_read(AT_FDCWD, path, text, sizeof(text)) == 0)
		return has;
	*occupied = true;
	return gives;
}

bool cg_delegated(const char *dir)
{
	return cg_may_write(dir, "") && cg_may_write(dir, "cgroup.procs") &&
	       cg_may_write(dir, "cgroup.subtree_control");
}

static void own_text(struct cg_finder *f)
{
	if (f->own[0] == '\0')
		cg_read(AT_FDCWD, "/proc/self/cgroup", f->own, sizeof(f->own));
}

void cg_see_swap(struct cg_finder *f, const char *dir, const char *limit, const char *swap)
{
	char path[CG_PATH];

	if (limit &&
	    (!cg_join(path, dir, limit) || sys_call(SYS_faccessat, AT_FDCWD, path, 0) != 0))
		return;
	f->swap_seen = true;
	f->swap_file = cg_join(path, dir, swap) && sys_call(SYS_faccessat, AT_FDCWD, path, 0) == 0;
}

static void find_v2(struct cg_finder *f, const struct cg_mount *m)
{
	struct cg_site *s = f->site;
	char dir[CG_PATH], path[CG_PATH];
	size_t stop = strlen(m->point);

	if (s->v2[0] != '\0')
		return;
	if (f->root && cg_may_write(m->point, "cgroup.procs") &&
	    cg_join(s->v2, m->point, CG_BASE)) {
		s->controllers |= v2_controllers(m->point, &f->occupied) | CG_V2_ALWAYS;
		if (s->controllers & 1u << PC_MEMORY)
			cg_see_swap(f, s->v2, "memory.max", "memory.swap.max");
		return;
	}
	own_text(f);
	cg_scope_place(f, m);
	if (!cg_own_path(f->own, true, 0, path) || !cg_own_dir(m, path, dir))
		return;
	str_copy(f->dir, CG_PATH, dir);
	if (f->only)
		str_copy(dir, CG_PATH, f->only);
	while (cg_delegated(dir)) {
		bool occupied = false;
		uint32_t can = v2_controllers(dir, &occupied);
		char *slash = strrchr(dir, '/');

		if (s->v2[0] == '\0' || (can & ~s->controllers) != 0) {
			str_copy(s->v2, CG_PATH, dir);
			s->controllers |= can | CG_V2_ALWAYS;
			f->occupied = occupied;
		}
		if ((s->controllers & COMMON) == COMMON || strlen(dir) <= stop || !slash || f->only)
			break;
		*slash = '\0';
	}
	if (s->v2[0] != '\0')
		cg_see_swap(f, s->v2, "memory.max", "memory.swap.max");
}

static void find_v1(struct cg_finder *f, const struct cg_mount *m)
{
	struct cg_site *s = f->site;
	unsigned c = (unsigned)__builtin_ctz(m->controllers);
	char dir[CG_PATH], path[CG_PATH];

	if (s->v1[c][0] != '\0')
		return;
	if (f->root && cg_may_write(m->point, "cgroup.procs")) {
		if (!cg_join(dir, m->point, CG_BASE))
			return;
	} else {
		own_text(f);
		if (!cg_own_path(f->own, false, c, path) || !cg_own_dir(m, path, dir) ||
		    !cg_may_write(dir, "") || !cg_may_write(dir, "cgroup.procs"))
			return;
	}
	for (; c < PLAN_CONTROLLERS; c++)
		if (m->controllers & 1u << c)
			str_copy(s->v1[c], CG_PATH, dir);
	if (m->controllers & 1u << PC_MEMORY)
		cg_see_swap(f, m->point, NULL, "memory.memsw.limit_in_bytes");
}

void cg_find_line(struct cg_finder *f, char *line)
{
	struct cg_mount m;

	if (!cg_parse_mount(line, &m))
		return;
	f->mounted = true;
	if (m.v2)
		find_v2(f, &m);
	else
		find_v1(f, &m);
}

static bool host_swaps(void)
{
	char text[512];
	const char *line;

	/* A heading, then one line for each. */
	if (cg_read(AT_FDCWD, "/proc/swaps", text, sizeof(text)) <= 0)
		return false;
	line = strchr(text, '\n');
	return line && line[1] != '\0';
}

static void say(struct cg_site *s, const char *text)
{
	size_t n = strlen(s->why);

	str_copy(s->why + n, sizeof(s->why) - n, text);
}

static void explain(struct cg_finder *f)
{
	struct cg_site *s = f->site;
	uint32_t missing = CG_LIMITING & ~s->controllers;

	if (s->kind == CG_NONE) {
		if (!f->mounted)
			say(s, "no control groups are mounted");
		else if (f->root)
			say(s, "the control groups are mounted read-only");
		else
			say(s, "no control group is delegated to this user");
		return;
	}
	for (unsigned c = 0; c < PLAN_CONTROLLERS; c++) {
		if (!(missing & 1u << c))
			continue;
		if (s->why[0] != '\0')
			say(s, ", ");
		say(s, names[c]);
	}
	if (missing)
		say(s, f->occupied ? ": the group that would pass it on holds processes itself"
		       : f->root   ? ": this kernel or container does not offer it"
				   : ": not delegated to this user");
}

void cg_find_end(struct cg_finder *f)
{
	struct cg_site *s = f->site;
	uint32_t v1 = 0;

	for (unsigned c = 0; c < PLAN_CONTROLLERS; c++) {
		/* What version 2 does needs no directory of version 1. */
		if (s->v2[0] != '\0' && (s->controllers & 1u << c))
			s->v1[c][0] = '\0';
		if (s->v1[c][0] != '\0')
			v1 |= 1u << c;
	}
	/* Without a way to stop all at once a group of version 1 cannot be killed for sure. */
	if (s->v2[0] == '\0' && !(v1 & 1u << PC_FREEZER)) {
		memset(s->v1, 0, sizeof(s->v1));
		v1 = 0;
	}
	s->controllers |= v1;
	s->kind = s->v2[0] == '\0' ? (v1 ? CG_V1 : CG_NONE) : v1 ? CG_HYBRID : CG_V2;
	if (s->kind == CG_NONE)
		cg_scope_offer(f);
	if (s->controllers & 1u << PC_MEMORY)
		s->no_swap_limit = f->swap_seen && !f->swap_file && host_swaps();
	explain(f);
}

/* A line that is longer than the buffer is no cgroup. */
void cg_find_mounts(struct cg_finder *f)
{
	int fd = sys_openat(AT_FDCWD, "/proc/self/mountinfo", O_RDONLY, 0);
	char buf[CG_TEXT];
	size_t used = 0;
	bool skip = false;
	long n;

	while ((n = sys_read(fd, buf + used, sizeof(buf) - used)) > 0) {
		char *line = buf, *end;

		used += (size_t)n;
		while ((end = memchr(line, '\n', used - (size_t)(line - buf)))) {
			*end = '\0';
			if (!skip)
				cg_find_line(f, line);
			skip = false;
			line = end + 1;
		}
		used -= (size_t)(line - buf);
		memmove(buf, line, used);
		if (used == sizeof(buf)) {
			skip = true;
			used = 0;
		}
	}
	sys_close(fd);
}

/*
 * Where everybody mounts them: /sys/fs/cgroup, or below it a directory of each
 * hierarchy's name, and "unified". Found so, mountinfo, which grows with the
 * host, need not be read. Only for who uses the tops.
 */
static bool find_usual(struct cg_finder *f)
{
	static const char usual[] = "/sys/fs/cgroup";
	struct cg_mount m = { .v2 = true, .root = "/", .point = usual };
	char point[CG_PATH], list[128];
	bool pure;

	own_text(f);
	pure = str_after(f->own, "0::") != NULL;
	if (!pure)
		m.point = "/sys/fs/cgroup/unified";
	find_v2(f, &m);
	if (f->site->v2[0] == '\0' || pure)
		return f->site->v2[0] != '\0';
	for (const char *line = f->own; *line; line += *line == '\n') {
		const char *from = strchr(line, ':');
		size_t n = from ? strcspn(++from, ":\n") : 0;

		if (n > 0 && n < sizeof(list)) {
			memcpy(list, from, n);
			list[n] = '\0';
			m.v2 = false;
			m.controllers = cg_controllers(list);
			if (m.controllers & ~f->site->controllers) {
				m.point = point;
				if (!cg_join(point, usual, list))
					return false;
				find_v1(f, &m);
				if (f->site->v1[__builtin_ctz(m.controllers)][0] == '\0')
					return false;
			}
		}
		line += strcspn(line, "\n");
	}
	return true;
}

void cg_find(struct cg_site *s)
{
	struct cg_finder f = { .site = s, .uid = (uid_t)sys_call(SYS_geteuid) };

	f.root = f.uid == 0;
#if HAVE_SYSTEMD
	f.booted = "/run/systemd/system"; /* sd_booted(3) */
	f.runtime = getenv("XDG_RUNTIME_DIR");
#endif
	memset(s, 0, sizeof(*s));
	if (!f.root || !find_usual(&f)) {
		memset(s, 0, sizeof(*s));
		f.occupied = f.swap_seen = f.swap_file = false;
		cg_find_mounts(&f);
	}
	cg_find_end(&f);
}

/* FNV-1a. */
static uint64_t mix(uint64_t h, const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n-- > 0)
		h = (h ^ *p++) * 0x100000001b3ULL;
	return h;
}

uint64_t cg_site_identity(const struct cg_site *s)
{
	uint32_t facts[] = { s->kind, s->controllers, s->no_swap_limit };

	return mix(mix(0xcbf29ce484222325ULL, facts, sizeof(facts)), s->why, strlen(s->why));
}

const struct cg_site *cg_here(void)
{
	static _cold_data_ struct cg_site site;
	static bool found;

	if (!found)
		cg_find(&site);
	found = true;
	return &site;
}
