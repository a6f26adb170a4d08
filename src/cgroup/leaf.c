/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Make a leaf and write its limits. Sources: cgroup-v1/{memory,cpusets,pids,
 * blkio-controller}.rst, scheduler/sched-bwc.rst, cgroup-v2.rst.
 *
 * What a start calls: a mkdir, an open and a lock for each hierarchy, and an
 * open, a write and a close for each limit.
 */
#include <string.h>
#include <sys/file.h>

#include "base/fd.h"
#include "base/str.h"
#include "cgroup/internal.h"
#include "sys/files.h"

#define STAGE "cgroup"

enum { LOCK_TRIES = 50, CPU_QUOTA_MIN = 1000 /* us, of a period of 100 ms */ };

struct maker {
	struct cg_leaf *l;
	const struct cg_site *s;
	const struct plan_limits *lim;
	uint32_t want; /* controllers, of limits or to count */
	bool prepared; /* the v2 groups above pass on what we want */
	struct err *e;
};

static const char *const v2_names[PLAN_CONTROLLERS] = {
	[PC_CPU] = "+cpu",   [PC_CPUSET] = "+cpuset", [PC_MEMORY] = "+memory",
	[PC_PIDS] = "+pids", [PC_IO] = "+io",
};

void cg_leaf_init(struct cg_leaf *l)
{
	l->kind = CG_NONE;
	l->name[0] = '\0';
	l->v2_fd = -1;
	for (int c = 0; c < PLAN_CONTROLLERS; c++)
		l->v1_fds[c] = -1;
	for (size_t i = 0; i < ARRAY_SIZE(l->tasks_fds); i++)
		l->tasks_fds[i] = -1;
}

void cg_close(struct cg_leaf *l)
{
	for (int c = 0; c < PLAN_CONTROLLERS; c++) {
		bool again = false;

		for (int i = 0; i < c; i++)
			again |= l->v1_fds[i] == l->v1_fds[c];
		if (!again)
			sys_close(l->v1_fds[c]);
	}
	for (int i = 0; l->tasks_fds[i] >= 0; i++)
		sys_close(l->tasks_fds[i]);
	sys_close(l->v2_fd);
	cg_leaf_init(l);
}

/* The directory above @dir. False at the top. */
static bool parent_of(char out[CG_PATH], const char *dir)
{
	char *slash;

	str_copy(out, CG_PATH, dir);
	slash = strrchr(out, '/');
	if (!slash || slash == out)
		return false;
	*slash = '\0';
	return true;
}

static bool is_base(const char *dir)
{
	const char *slash = strrchr(dir, '/');

	return slash && streq(slash + 1, CG_BASE);
}

/* Let the groups in @dir have what we want of version 2. What fails is seen by who needs it. */
static void pass_on(const struct maker *m, const char *dir)
{
	char file[CG_PATH];

	if (!cg_join(file, dir, "cgroup.subtree_control"))
		return;
	for (unsigned c = 0; c < PLAN_CONTROLLERS; c++)
		if (v2_names[c] && (m->want & m->s->controllers & 1u << c) &&
		    m->s->v1[c][0] == '\0')
			sys_write_file(AT_FDCWD, file, v2_names[c], strlen(v2_names[c]));
}

/* Root's directory, which is missing at the first start after a boot, and its controllers. */
static void prepare_v2(struct maker *m)
{
	char up[CG_PATH];

	m->prepared = true;
	if (is_base(m->s->v2) && parent_of(up, m->s->v2)) {
		pass_on(m, up);
		sys_mkdirat(AT_FDCWD, m->s->v2, 0755);
	}
	pass_on(m, m->s->v2);
}

/*
 * mkdir and open @name in @dir. Locked, if it is the first: whoever sweeps may
 * have taken it between the two; then again.
 */
static int make_dir(struct maker *m, const char *dir, bool v2, bool lock)
{
	char path[CG_PATH];

	if (!cg_join(path, dir, m->l->name))
		return -ENAMETOOLONG;
	for (int i = 0; i < LOCK_TRIES; i++) {
		int fd, r = sys_mkdirat(AT_FDCWD, path, 0700);

		if (r == -ENOENT && i == 0) {
			if (v2)
				prepare_v2(m);
			else
				sys_mkdirat(AT_FDCWD, dir, 0755);
			continue;
		}
		if (r < 0 && (r != -EEXIST || i == 0))
			return r;
		fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (fd < 0 && fd != -ENOENT)
			return fd;
		if (fd >= 0 && (!lock || (sys_call(SYS_flock, fd, LOCK_EX | LOCK_NB) == 0 &&
					  sys_call(SYS_faccessat, fd, "cgroup.procs", 0) == 0)))
			return fd;
		sys_close(fd);
		cg_sleep_ms(1);
	}
	return -EBUSY;
}

static int make_v1(struct maker *m, unsigned c)
{
	struct cg_leaf *l = m->l;
	const char *dir = m->s->v1[c];
	int fd, tasks, i = 0;

	for (unsigned k = 0; k < PLAN_CONTROLLERS; k++)
		if (l->v1_fds[k] >= 0 && streq(m->s->v1[k], dir)) {
			l->v1_fds[c] = l->v1_fds[k]; /* mounted together */
			return 0;
		}
	fd = make_dir(m, dir, false, m->s->v2[0] == '\0' && c == PC_FREEZER);
	if (fd < 0)
		return err_set(m->e, fd, STAGE, "make %s in %s", l->name, dir);
	l->v1_fds[c] = fd;
	tasks = sys_openat(fd, "tasks", O_WRONLY, 0);
	if (tasks < 0)
		return err_set(m->e, tasks, STAGE, "open tasks of %s/%s", dir, l->name);
	while (l->tasks_fds[i] >= 0)
		i++;
	l->tasks_fds[i] = tasks;
	return 0;
}

/* The one that tracks and is locked, before any other. */
static int make_first(struct maker *m)
{
	struct cg_leaf *l = m->l;
	const struct cg_site *s = m->s;

	if (s->v2[0] == '\0')
		return make_v1(m, PC_FREEZER);
	l->v2_fd = make_dir(m, s->v2, true, true);
	if (l->v2_fd < 0)
		return err_set(m->e, l->v2_fd, STAGE, "make %s in %s", l->name, s->v2);
	return 0;
}

static int make_others(struct maker *m)
{
	struct cg_leaf *l = m->l;
	const struct cg_site *s = m->s;
	bool v1 = false;
	int r;

	for (unsigned c = 0; c < PLAN_CONTROLLERS; c++) {
		if (!(m->want & 1u << c) || s->v1[c][0] == '\0')
			continue;
		v1 = true;
		if (l->v1_fds[c] < 0 && (r = make_v1(m, c)) < 0)
			return r;
	}
	l->kind = l->v2_fd < 0 ? CG_V1 : v1 ? CG_HYBRID : CG_V2;
	return 0;
}

/* @file1 of version 1 or @file2 of version 2, whichever has controller @c. */
static int put(struct maker *m, unsigned c, const char *file1, const char *file2, const char *value)
{
	bool v2 = m->l->v1_fds[c] < 0;
	const char *file = v2 ? file2 : file1;
	int fd = v2 ? m->l->v2_fd : m->l->v1_fds[c];
	int r = sys_write_file(fd, file, value, strlen(value));

	/* The file is missing while the group above does not pass its controller on. */
	if (r == -ENOENT && v2 && !m->prepared) {
		prepare_v2(m);
		r = sys_write_file(fd, file, value, strlen(value));
	}
	return r;
}

static int put_number(struct maker *m, unsigned c, const char *file1, const char *file2, uint64_t v)
{
	char value[CG_NUMBER];
	int r;

	cg_number(value, v);
	r = put(m, c, file1, file2, value);
	if (r < 0)
		return err_set(m->e, r, STAGE, "write %s to %s", value,
			       m->l->v1_fds[c] < 0 ? file2 : file1);
	return 0;
}

static int limit_cpu(struct maker *m)
{
	const struct plan_limits *lim = m->lim;
	char value[CG_NUMBER], text[64];
	uint64_t quota;
	int r;

	if (lim->cpu_weight) { /* 1 to 10000 around 100; shares are around 1024 */
		uint64_t w = lim->cpu_weight;

		if (m->l->v1_fds[PC_CPU] >= 0)
			w = MAX(w * 1024 / 100, 2);
		r = put_number(m, PC_CPU, "cpu.shares", "cpu.weight", w);
		if (r < 0)
			return r;
	}
	if (!lim->cpu_millis)
		return 0;
	/* A new group's period is 100 ms: only the quota is written. */
	quota = MAX(MIN(lim->cpu_millis, 1000000000) * 100, CPU_QUOTA_MIN);
	cg_number(value, quota);
	r = put(m, PC_CPU, "cpu.cfs_quota_us", "cpu.max", value);
	/* Version 1 refuses more than the group above has: its quota holds for us anyway. */
	if (r == -EINVAL && m->l->v1_fds[PC_CPU] >= 0 &&
	    cg_read(m->l->v1_fds[PC_CPU], "../cpu.cfs_quota_us", text, sizeof(text)) > 0 &&
	    text[0] != '-')
		r = 0;
	return r < 0 ? err_set(m->e, r, STAGE, "write the processor quota %s us", value) : 0;
}

static int limit_memory(struct maker *m)
{
	const struct plan_limits *lim = m->lim;
	bool v2 = m->l->v1_fds[PC_MEMORY] < 0;
	char value[CG_NUMBER];
	uint64_t swap = lim->swap;
	int r;

	if (!lim->memory && !(v2 && swap))
		return 0;
	if (lim->memory) {
		r = put_number(m, PC_MEMORY, "memory.limit_in_bytes", "memory.max", lim->memory);
		if (r < 0)
			return r;
	}
	/* Version 1 limits memory and swap together. */
	if (!v2 && __builtin_add_overflow(swap, lim->memory, &swap))
		swap = INT64_MAX;
	cg_number(value, swap);
	r = put(m, PC_MEMORY, "memory.memsw.limit_in_bytes", "memory.swap.max", value);
	/* No such file: the kernel does not account swap; cg_site's no_swap_limit said so. */
	if (r < 0 && r != -ENOENT)
		return err_set(m->e, r, STAGE, "write the swap limit %s", value);
	return 0;
}

/* Version 1: a new group has no processors and no memory nodes; take those of the group above. */
static int inherit_cpuset(int fd, const char *cpus, int depth)
{
	static const char *const above[] = { "../cpuset.cpus", "../cpuset.mems" };
	char text[512];

	for (unsigned i = 0; i < ARRAY_SIZE(above); i++) {
		const char *value = i == 0 && cpus ? cpus : text;
		long n = cg_read(fd, above[i], text, sizeof(text));
		int r;

		if (n < 0)
			return (int)n;
		if (text[0] == '\n' && depth > 0) { /* our own base, new */
			_cleanup_close_ int up = sys_openat(fd, "..", O_RDONLY | O_DIRECTORY, 0);

			r = up < 0 ? up : inherit_cpuset(up, NULL, depth - 1);
			if (r < 0)
				return r;
			cg_read(fd, above[i], text, sizeof(text));
		}
		r = sys_write_file(fd, above[i] + 3, value, strlen(value));
		if (r < 0)
			return r;
	}
	return 0;
}

static int limit_cpuset(struct maker *m, const char *cpus)
{
	int fd = m->l->v1_fds[PC_CPUSET];
	char text[256] = "";
	int r = 0;

	if (fd >= 0)
		r = inherit_cpuset(fd, cpus, 1);
	else if (cpus)
		r = put(m, PC_CPUSET, NULL, "cpuset.cpus", cpus);
	if (r == 0)
		return 0;
	cg_read(fd >= 0 ? fd : m->l->v2_fd, fd >= 0 ? "../cpuset.cpus" : "cpuset.cpus.effective",
		text, sizeof(text));
	text[strcspn(text, "\n")] = '\0';
	return err_set(m->e, r, STAGE, "bind to the processors %s: there are %s",
		       cpus ? cpus : "of the group above", text[0] ? text : "none to have");
}

struct io_writer {
	struct maker *m;
	const char *rate;
	unsigned written;
	int error;
};

static void append(char *line, size_t size, const char *text)
{
	size_t n = strlen(line);

	str_copy(line + n, size - n, text);
}

/* @device: 254:0, a name in /sys/dev/block. A partition has no limit of its own: ENODEV. */
static int limit_device(const char *device, void *arg)
{
	struct io_writer *w = arg;
	bool v2 = w->m->l->v1_fds[PC_IO] < 0;
	char line[96] = "";
	int r;

	append(line, sizeof(line), device);
	append(line, sizeof(line), v2 ? " rbps=" : " ");
	append(line, sizeof(line), w->rate);
	if (v2) {
		append(line, sizeof(line), " wbps=");
		append(line, sizeof(line), w->rate);
	}
	r = put(w->m, PC_IO, "blkio.throttle.read_bps_device", "io.max", line);
	if (r == 0 && !v2)
		r = put(w->m, PC_IO, "blkio.throttle.write_bps_device", NULL, line);
	if (r == 0)
		w->written++;
	/* A partition, gone since we read its name, or without requests to hold back. */
	else if (r != -ENODEV && r != -ENXIO && r != -EOPNOTSUPP)
		w->error = r;
	return 0;
}

static int limit_io(struct maker *m)
{
	char rate[CG_NUMBER];
	struct io_writer w = { .m = m, .rate = rate };
	int fd, r;

	if (!m->lim->io_rate)
		return 0;
	cg_number(rate, m->lim->io_rate);
	fd = sys_openat(AT_FDCWD, "/sys/dev/block", O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return err_set(m->e, fd, STAGE, "list the block devices: open /sys/dev/block");
	r = cg_each_entry(fd, limit_device, &w);
	sys_close(fd);
	if (r < 0)
		return err_set(m->e, r, STAGE, "list the block devices");
	if (w.error)
		return err_set(m->e, w.error, STAGE, "limit what is read and written to %s bytes/s",
			       rate);
	return 0;
}

/* Without limits: the files that count must be there. */
static void ready_to_count(struct maker *m)
{
	bool memory = m->want & 1u << PC_MEMORY && m->l->v1_fds[PC_MEMORY] < 0;
	bool pids = m->want & 1u << PC_PIDS && m->l->v1_fds[PC_PIDS] < 0;

	if ((memory && sys_call(SYS_faccessat, m->l->v2_fd, "memory.current", 0) < 0) ||
	    (pids && sys_call(SYS_faccessat, m->l->v2_fd, "pids.current", 0) < 0))
		prepare_v2(m);
}

static int set_limits(struct maker *m, const char *cpuset)
{
	const struct plan_limits *lim = m->lim;
	int r;

	if (lim->controllers == 0) {
		ready_to_count(m);
		return 0;
	}
	if (lim->controllers & 1u << PC_CPU && (r = limit_cpu(m)) < 0)
		return r;
	if (lim->controllers & 1u << PC_MEMORY && (r = limit_memory(m)) < 0)
		return r;
	if (lim->controllers & 1u << PC_PIDS && lim->pids &&
	    (r = put_number(m, PC_PIDS, "pids.max", "pids.max", lim->pids)) < 0)
		return r;
	/* Version 1: whoever is mounted together with cpuset must be set up too. */
	if ((cpuset || m->l->v1_fds[PC_CPUSET] >= 0) && (r = limit_cpuset(m, cpuset)) < 0)
		return r;
	return lim->controllers & 1u << PC_IO ? limit_io(m) : 0;
}

static int check(const struct maker *m, const char *id)
{
	size_t n = strlen(id);

	if (n == 0 || n >= CG_ID_SIZE || strchr(id, '/') || id[0] == '.')
		return err_set(m->e, -EINVAL, STAGE, "no name for a control group: \"%s\"", id);
	if (m->s->kind == CG_NONE || m->s->kind == CG_SCOPE ||
	    (m->lim->controllers & ~m->s->controllers) != 0) {
		err_set(m->e, -EOPNOTSUPP, STAGE, "limits need control groups: %s",
			m->s->why[0] ? m->s->why : "a controller has gone");
		err_remedy(m->e, "delegate a control group to this user, or use --best-effort");
		return -EOPNOTSUPP;
	}
	return 0;
}

static void maker_init(struct maker *m, struct cg_leaf *l, const struct cg_site *s,
		       const struct plan_limits *limits, struct err *e)
{
	static const struct plan_limits none;

	*m = (struct maker){ .l = l, .s = s, .lim = limits ? limits : &none, .e = e };
	m->want = m->lim->controllers;
	if (m->want == 0)
		m->want = s->controllers & (1u << PC_PIDS | 1u << PC_CPUACCT);
}

int cg_create(struct cg_leaf *l, const struct cg_site *s, const char *id,
	      const struct plan_limits *limits, const char *cpuset, struct err *e)
{
	struct maker m;
	int r;

	maker_init(&m, l, s, limits, e);
	cg_leaf_init(l);
	r = check(&m, id);
	if (r < 0)
		return r;
	str_copy(l->name, sizeof(l->name), CG_PREFIX);
	append(l->name, sizeof(l->name), id);
	r = make_first(&m);
	if (r == 0)
		r = make_others(&m);
	if (r == 0)
		r = set_limits(&m, cpuset);
	if (r < 0)
		cg_remove(l);
	return r;
}
