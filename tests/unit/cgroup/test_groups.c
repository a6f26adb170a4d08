/* SPDX-License-Identifier: Apache-2.0 */
/* Groups in this kernel: each limit exceeded, freeze, kill, count, remove, sweep. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"
#include "cgroup/internal.h"

#define BIT(c) (1u << PC_##c)

static struct cg_site site;
static volatile bool never;

static void need(uint32_t controllers)
{
	if (site.kind == CG_NONE || (controllers & ~site.controllers) != 0) {
		print_message("no such groups here: %s\n", site.why);
		skip();
	}
}

static void make(struct cg_leaf *l, const struct plan_limits *lim, const char *cpuset)
{
	static unsigned count;
	struct err e = { 0 };
	char id[32];

	snprintf(id, sizeof(id), "test-%d-%u", (int)getpid(), count++);
	if (cg_create(l, &site, id, lim, cpuset, &e) < 0)
		fail_msg("%s: %s", e.message, strerror(e.code));
}

/* A child that is in the group before it runs @fn. */
static pid_t start(const struct cg_leaf *l, int (*fn)(void))
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	char go, number[16];
	int gate[2], n;
	pid_t pid;

	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	if (l->v2_fd >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)l->v2_fd;
	}
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	assert_true(pid >= 0);
	if (pid == 0) {
		close(gate[1]);
		if (read(gate[0], &go, 1) != 1)
			_exit(100);
		close_range(3, ~0U, 0); /* what execs has not our descriptors, so not the lock */
		_exit(fn());
	}
	n = snprintf(number, sizeof(number), "%d", pid);
	for (int i = 0; l->tasks_fds[i] >= 0; i++)
		assert_int_equal(write(l->tasks_fds[i], number, (size_t)n), n);
	close(gate[0]);
	assert_int_equal(write(gate[1], "", 1), 1);
	close(gate[1]);
	return pid;
}

static int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* Nothing of @name is in any hierarchy. */
static void assert_gone(const char *name)
{
	char path[CG_PATH];

	if (site.v2[0] != '\0' && cg_join(path, site.v2, name))
		assert_int_equal(access(path, F_OK), -1);
	for (int c = 0; c < PLAN_CONTROLLERS; c++)
		if (site.v1[c][0] != '\0' && cg_join(path, site.v1[c], name))
			assert_int_equal(access(path, F_OK), -1);
}

static void drop(struct cg_leaf *l)
{
	char name[sizeof(l->name)];

	memcpy(name, l->name, sizeof(name));
	assert_int_equal(cg_remove(l), 0);
	assert_gone(name);
}

static int hog_memory(void)
{
	for (;;) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

		if (p == MAP_FAILED)
			return 1;
	}
}

static void test_memory(void **state)
{
	struct plan_limits lim = { .controllers = BIT(MEMORY), .memory = 16 << 20 };
	struct cg_usage u;
	struct cg_leaf l;
	int status;

	need(BIT(MEMORY));
	make(&l, &lim, NULL);
	status = status_of(start(&l, hog_memory));
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	cg_usage(&l, &u);
	assert_int_equal(u.oom_kills, 1);
	if (u.memory_peak != CG_UNKNOWN)
		assert_in_range(u.memory_peak, 8 << 20, 16 << 20);
	drop(&l);
}

/* How many children could be started, with the errno that ended it. */
static int fork_until(void)
{
	int n = 0;

	for (; n < 40; n++) {
		pid_t pid = fork();

		if (pid < 0)
			return errno == EAGAIN ? n : 90;
		if (pid == 0)
			for (;;)
				pause();
	}
	return 91;
}

static void test_pids(void **state)
{
	struct plan_limits lim = { .controllers = BIT(PIDS), .pids = 8 };
	struct cg_usage u;
	struct cg_leaf l;
	int status;

	need(BIT(PIDS));
	make(&l, &lim, NULL);
	status = status_of(start(&l, fork_until));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	cg_usage(&l, &u);
	assert_int_equal(u.pids, 7);
	assert_int_equal(u.pids_refused, 1);
	if (u.pids_peak != CG_UNKNOWN)
		assert_int_equal(u.pids_peak, 8);
	/* The children that it left are in the group still. */
	assert_int_equal(cg_kill(&l), 0);
	drop(&l);
}

/* By its own clock: on a busy machine it may have to wait for its share of the processors. */
static int spin(void)
{
	struct timespec used;

	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	while (used.tv_sec == 0 && used.tv_nsec < 20 * 1000000);
	return 0;
}

static void test_cpu(void **state)
{
	struct plan_limits lim = { .controllers = BIT(CPU) | BIT(CPUACCT),
				   .cpu_millis = 20,
				   .cpu_weight = 50 };
	struct cg_usage u;
	struct cg_leaf l;

	need(lim.controllers);
	make(&l, &lim, NULL);
	assert_int_equal(status_of(start(&l, spin)), 0);
	cg_usage(&l, &u);
	/* 2 ms in each 100 ms, less than any scheduler's slice. */
	assert_in_range(u.cpu_us, 20000, 250000);
	assert_true(u.throttled_count >= 2 && u.throttled_count != CG_UNKNOWN);
	assert_true(u.throttled_us > 50000 && u.throttled_us != CG_UNKNOWN);
	assert_in_range(u.user_us + u.system_us, u.cpu_us / 2, u.cpu_us * 2);
	drop(&l);
}

static void text_of(const struct cg_leaf *l, unsigned c, const char *v1, const char *v2,
		    char out[256])
{
	int fd = l->v1_fds[c] >= 0 ? l->v1_fds[c] : l->v2_fd;

	assert_true(cg_read(fd, l->v1_fds[c] >= 0 ? v1 : v2, out, 256) >= 0);
}

static void test_values(void **state)
{
	struct plan_limits lim = { .controllers = BIT(CPU) | BIT(MEMORY) | BIT(PIDS),
				   .cpu_millis = 1500,
				   .cpu_weight = 200,
				   .memory = 64 << 20,
				   .swap = 32 << 20,
				   .pids = 77 };
	struct cg_leaf l;
	char text[256];

	need(lim.controllers);
	make(&l, &lim, NULL);
	text_of(&l, PC_CPU, "cpu.cfs_quota_us", "cpu.max", text);
	assert_int_equal(atoi(text), 150000);
	text_of(&l, PC_CPU, "cpu.shares", "cpu.weight", text);
	assert_int_equal(atoi(text), l.v1_fds[PC_CPU] >= 0 ? 2048 : 200);
	text_of(&l, PC_MEMORY, "memory.limit_in_bytes", "memory.max", text);
	assert_int_equal(atoi(text), 64 << 20);
	if (!site.no_swap_limit) {
		text_of(&l, PC_MEMORY, "memory.memsw.limit_in_bytes", "memory.swap.max", text);
		assert_int_equal(atoi(text), l.v1_fds[PC_MEMORY] >= 0 ? 96 << 20 : 32 << 20);
	}
	text_of(&l, PC_PIDS, "pids.max", "pids.max", text);
	assert_int_equal(atoi(text), 77);
	drop(&l);
}

/* More than any machine has: the kernel takes it. */
static void test_huge(void **state)
{
	struct plan_limits lim = { .controllers = BIT(CPU) | BIT(MEMORY) | BIT(PIDS),
				   .cpu_millis = UINT64_MAX,
				   .cpu_weight = 10000,
				   .memory = INT64_MAX,
				   .swap = INT64_MAX,
				   .pids = 1 << 22 };
	struct cg_leaf l;

	need(lim.controllers);
	make(&l, &lim, NULL);
	drop(&l);
	lim = (struct plan_limits){ .controllers = BIT(CPU), .cpu_millis = 1, .cpu_weight = 1 };
	make(&l, &lim, NULL); /* below the least that there is */
	drop(&l);
}

static int wait_a_little(void)
{
	return usleep(20000);
}

static void test_cpuset(void **state)
{
	struct plan_limits lim = { .controllers = BIT(CPUSET) };
	cpu_set_t set;
	struct err e = { 0 };
	struct cg_leaf l;
	pid_t pid;

	need(lim.controllers);
	make(&l, &lim, "0");
	pid = start(&l, wait_a_little);
	assert_int_equal(sched_getaffinity(pid, sizeof(set), &set), 0);
	assert_int_equal(CPU_COUNT(&set), 1);
	assert_true(CPU_ISSET(0, &set));
	status_of(pid);
	drop(&l);
	if (site.v1[PC_CPUSET][0] == '\0')
		return; /* version 2 takes processors that are not there */
	assert_true(cg_create(&l, &site, "test-cpus", &lim, "4000-4095", &e) < 0);
	assert_non_null(strstr(e.message, "there are 0"));
	assert_gone(CG_PREFIX "test-cpus");
}

enum { IO_RATE = 8 << 20, IO_BYTES = 6 << 20 };
static char io_file[] = "/var/tmp/purple-io-XXXXXX";

static int read_direct(void)
{
	int fd = open(io_file, O_RDONLY | O_DIRECT | O_CLOEXEC);
	char *buf = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (fd < 0 || buf == MAP_FAILED)
		return 77;
	for (int i = 0; i < IO_BYTES >> 20; i++)
		if (read(fd, buf, 1 << 20) != 1 << 20)
			return 77;
	return 0;
}

static void test_io(void **state)
{
	struct plan_limits lim = { .controllers = BIT(IO), .io_rate = IO_RATE };
	struct timespec from, to;
	struct cg_usage u;
	struct cg_leaf l;
	char *data;
	long ms;
	int fd, status;

	need(lim.controllers);
	fd = mkostemp(io_file, O_CLOEXEC);
	assert_true(fd >= 0);
	data = calloc(1, IO_BYTES);
	assert_non_null(data);
	assert_int_equal(write(fd, data, IO_BYTES), IO_BYTES);
	free(data);
	fsync(fd);
	close(fd);
	make(&l, &lim, NULL);
	clock_gettime(CLOCK_MONOTONIC, &from);
	status = status_of(start(&l, read_direct));
	clock_gettime(CLOCK_MONOTONIC, &to);
	ms = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
	unlink(io_file);
	cg_usage(&l, &u);
	drop(&l);
	if (WEXITSTATUS(status) == 77)
		skip(); /* a file system without direct reads */
	/* 6 MiB at 8 MiB/s are 750 ms. */
	assert_in_range(ms, 500, 3000);
	assert_true(u.io_read >= IO_BYTES && u.io_read != CG_UNKNOWN);
}

static int count_up(void)
{
	while (!never)
		;
	return 0;
}

static uint64_t cpu_of(const struct cg_leaf *l)
{
	struct cg_usage u;

	cg_usage(l, &u);
	assert_true(u.cpu_us != CG_UNKNOWN);
	return u.cpu_us;
}

static void test_freeze_and_kill(void **state)
{
	uint64_t before;
	struct cg_leaf l;
	struct cg_usage u;
	int status;
	pid_t pid;

	need(0);
	make(&l, NULL, NULL);
	pid = start(&l, count_up);
	usleep(30000);
	assert_int_equal(cg_freeze(&l, true), 0);
	before = cpu_of(&l);
	assert_true(before > 0);
	usleep(50000);
	assert_in_range(cpu_of(&l), before, before + 1000);
	assert_int_equal(cg_freeze(&l, false), 0);
	for (int i = 0; i < 100 && cpu_of(&l) <= before + 1000; i++)
		usleep(20000);
	assert_true(cpu_of(&l) > before + 1000);
	cg_usage(&l, &u);
	if (site.controllers & BIT(PIDS))
		assert_int_equal(u.pids, 1);
	assert_int_equal(cg_freeze(&l, true), 0);
	assert_int_equal(cg_kill(&l), 0); /* a frozen one too */
	status = status_of(pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	drop(&l);
}

/* Children that leave the session and their parent. */
static int scatter(void)
{
	for (int i = 0; i < 20; i++) {
		if (fork() == 0) {
			setsid();
			if (fork() != 0)
				_exit(0);
			for (;;)
				pause();
		}
	}
	while (!never)
		pause();
	return 0;
}

static void kill_scattered(void)
{
	struct plan_limits lim = { .controllers = site.controllers & BIT(PIDS), .pids = 100 };
	struct cg_leaf l;
	pid_t pid;

	make(&l, &lim, NULL);
	pid = start(&l, scatter);
	usleep(50000);
	assert_int_equal(cg_kill(&l), 0);
	status_of(pid);
	drop(&l); /* only possible when it is empty */
}

static void test_kill_all(void **state)
{
	need(0);
	kill_scattered();
}

static bool first_is_there(const char *name)
{
	char path[CG_PATH];

	return cg_join(path, site.v2[0] != '\0' ? site.v2 : site.v1[PC_FREEZER], name) &&
	       access(path, F_OK) == 0;
}

static void test_sweep(void **state)
{
	struct cg_leaf live, dead;
	char name[sizeof(dead.name)];
	pid_t pid;

	need(0);
	make(&live, NULL, NULL);
	make(&dead, NULL, NULL);
	memcpy(name, dead.name, sizeof(name));
	pid = start(&dead, scatter);
	usleep(50000);
	assert_int_equal(cg_sweep(&site, 0, 1, NULL, NULL), 0);
	cg_close(&dead); /* as a supervisor that dies does */
	/* Somebody else who sweeps may be at it: then we pass it over. */
	for (uint64_t seed = 0; seed < 100 && first_is_there(name); seed++) {
		cg_sweep(&site, 1000, seed, NULL, NULL);
		usleep(10000);
	}
	assert_gone(name);
	status_of(pid);
	assert_true(faccessat(live.v2_fd >= 0 ? live.v2_fd : live.v1_fds[PC_FREEZER],
			      "cgroup.procs", F_OK, 0) == 0);
	drop(&live);
}

/* Makers and sweepers at once: a maker never loses its group. */
static void test_race(void **state)
{
	struct cg_usage u;
	struct cg_leaf l;
	pid_t sweeper;

	need(0);
	sweeper = fork();
	if (sweeper == 0)
		for (uint64_t i = 0;; i++)
			cg_sweep(&site, 16, i << 20, NULL, NULL);
	for (int i = 0; i < 100; i++) {
		make(&l, &(struct plan_limits){ .controllers = site.controllers & BIT(PIDS) },
		     NULL);
		cg_usage(&l, &u);
		if (site.controllers & BIT(PIDS))
			assert_int_equal(u.pids, 0);
		drop(&l);
	}
	kill(sweeper, SIGKILL);
	status_of(sweeper);
}

/* Without version 2: freeze, signal each and thaw. */
static int only_version_1(void **state)
{
	static struct cg_site full;

	*state = memcpy(&full, &site, sizeof(site));
	if (site.kind != CG_HYBRID || access("/sys/fs/cgroup/freezer/cgroup.procs", W_OK) != 0)
		return 0;
	site.kind = CG_V1;
	site.v2[0] = '\0';
	strcpy(site.v1[PC_FREEZER], "/sys/fs/cgroup/freezer/" CG_BASE);
	strcpy(site.v1[PC_CPUACCT], "/sys/fs/cgroup/cpuacct/" CG_BASE);
	return 0;
}

static int as_before(void **state)
{
	memcpy(&site, *state, sizeof(site));
	return 0;
}

static void test_version_1(void **state)
{
	if (site.kind != CG_V1)
		skip();
	test_freeze_and_kill(state);
	kill_scattered();
	test_sweep(state);
	test_race(state);
}

static void test_refused(void **state)
{
	struct plan_limits lim = { .controllers = 1u << PLAN_CONTROLLERS };
	struct cg_site none = { .kind = CG_NONE, .why = "nothing is delegated" };
	struct err e = { 0 };
	struct cg_leaf l;

	assert_int_equal(cg_create(&l, &none, "x", NULL, NULL, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.message, "nothing is delegated"));
	assert_true(e.remedy[0] != '\0');
	assert_int_equal(l.v2_fd, -1);
	need(0);
	e = (struct err){ 0 };
	assert_int_equal(cg_create(&l, &site, "x", &lim, NULL, &e), -EOPNOTSUPP);
	e = (struct err){ 0 };
	assert_int_equal(cg_create(&l, &site, "../x", NULL, NULL, &e), -EINVAL);
	e = (struct err){ 0 };
	make(&l, NULL, NULL);
	assert_int_equal(cg_create(&(struct cg_leaf){ 0 }, &site, l.name + strlen(CG_PREFIX), NULL,
				   NULL, &e),
			 -EEXIST);
	drop(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_huge),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_pids),
		cmocka_unit_test(test_cpu),
		cmocka_unit_test(test_cpuset),
		cmocka_unit_test(test_io),
		cmocka_unit_test(test_freeze_and_kill),
		cmocka_unit_test(test_kill_all),
		cmocka_unit_test_setup_teardown(test_version_1, only_version_1, as_before),
		cmocka_unit_test(test_sweep),
		cmocka_unit_test(test_race),
		cmocka_unit_test(test_refused),
	};

	void *kept;
	int status;

	/* In a child, so that what a failed test leaves can be swept. */
	cg_find(&site);
	if (fork() == 0)
		return cmocka_run_group_tests(tests, NULL, NULL);
	wait(&status);
	cg_sweep(&site, 1000, 0, NULL, NULL);
	only_version_1(&kept);
	cg_sweep(&site, 1000, 0, NULL, NULL);
	return status != 0;
}
