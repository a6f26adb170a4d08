/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of processes, without a group. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cgroup/internal.h"

enum { BELOW = 12 };

/* As PID 1 does: adopt orphans, two levels of which leave their session. */
static pid_t start_tree(void)
{
	char ready;
	int gate[2];
	pid_t pid;

	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid > 0) {
		close(gate[1]);
		assert_int_equal(read(gate[0], &ready, 1), 0); /* all have set up */
		close(gate[0]);
		return pid;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_SET_NAME, ") Z 1 (");
	for (int i = 0; i < BELOW / 2; i++) {
		if (fork() != 0)
			continue;
		setsid();
		if (i % 2 == 0 && fork() != 0)
			_exit(0); /* an orphan */
		if (fork() == 0)
			setpgid(0, 0);
		close(gate[1]);
		for (;;)
			pause();
	}
	close(gate[1]);
	for (;;)
		pause();
}

static void test_usage(void **state)
{
	struct cg_usage u;
	pid_t pid = start_tree();

	cg_tree_usage(pid, &u);
	assert_in_range(u.pids, 1 + BELOW, 1 + BELOW + BELOW / 4);
	assert_true(u.memory > 100000 && u.memory < 1 << 30);
	assert_int_equal(u.oom_kills, CG_UNKNOWN);
	assert_true(u.cpu_us < 10000000);
	cg_tree_signal(pid, SIGKILL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cg_tree_usage(pid, &u); /* gone */
	assert_int_equal(u.pids, 0);
	assert_int_equal(u.cpu_us, 0);
}

/* What a dead child used is in the sum of whoever waited for it. */
static void test_cpu_of_the_dead(void **state)
{
	struct cg_usage u;
	char c;
	int done[2];
	pid_t pid;

	assert_int_equal(pipe2(done, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		pid_t child = fork();

		if (child == 0) {
			struct timespec t;

			do
				clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
			while (t.tv_nsec < 100000000 && t.tv_sec == 0);
			_exit(0);
		}
		waitpid(child, NULL, 0);
		close(done[1]);
		for (;;)
			pause();
	}
	close(done[1]);
	assert_int_equal(read(done[0], &c, 1), 0);
	close(done[0]);
	cg_tree_usage(pid, &u);
	assert_in_range(u.cpu_us, 50000, 400000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_signal(void **state)
{
	pid_t pid = start_tree(), child;
	struct cg_usage u;
	int status;

	assert_int_equal(cg_tree_signal(pid, SIGSTOP), 0);
	assert_int_equal(cg_tree_signal(pid, SIGKILL), 0);
	usleep(50000);
	/* PID 1 itself was not signalled, all below were. */
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	cg_tree_usage(pid, &u);
	assert_in_range(u.memory, 1, 64 << 20);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* Nothing of it comes to us, but zombies that init or a reaper above takes. */
	child = waitpid(-1, &status, WNOHANG);
	assert_true(child <= 0 || WIFSIGNALED(status));
	assert_int_equal(cg_tree_signal(pid, SIGKILL), 0); /* nobody */
}

static void *counts_on(void *arg)
{
	for (volatile uint64_t *n = arg;; ++*n)
		;
	return NULL;
}

/* One whose first thread has ended looks like a zombie, and runs. */
static void test_stop_without_first_thread(void **state)
{
	volatile uint64_t *n = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				    -1, 0);
	uint64_t before, after, last;
	pid_t pid = fork();
	int stopped;

	assert_true(n != MAP_FAILED && pid >= 0);
	if (pid == 0) {
		pthread_t thread;

		if (fork() != 0)
			for (;;)
				pause();
		pthread_create(&thread, NULL, counts_on, (void *)(uintptr_t)n);
		syscall(SYS_exit, 0);
	}
	while (*n == 0)
		usleep(1000);
	usleep(10000);
	stopped = cg_tree_signal(pid, SIGSTOP);
	before = *n;
	usleep(20000);
	after = *n;
	cg_tree_signal(pid, SIGCONT);
	for (int i = 0; i < 5000 && *n == after; i++)
		usleep(1000);
	last = *n;
	cg_tree_signal(pid, SIGKILL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap((void *)(uintptr_t)n, 4096);
	assert_int_equal(stopped, 0);
	assert_int_equal(after, before);
	assert_true(last > after);
}

/* Each of them lets all others go on, all the time: they are stopped at once, or not at all. */
static void test_stop_of_those_who_wake_each_other(void **state)
{
	enum { WAKERS = 4, TIMES = 10 };
	volatile uint64_t *n = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				    -1, 0);
	uint64_t ran = 0, stopped = 0;
	pid_t pid = fork();

	assert_true(n != MAP_FAILED && pid >= 0);
	if (pid == 0) {
		setpgid(0, 0);
		for (int i = 0; i < WAKERS; i++)
			if (fork() == 0)
				for (;; ++*n)
					kill(0, SIGCONT);
		for (;;)
			pause();
	}
	while (*n == 0)
		usleep(1000);
	for (int i = 0; i < TIMES && ran == 0; i++) {
		if (cg_tree_signal(pid, SIGSTOP) == 0) {
			uint64_t before = *n;

			usleep(5000);
			ran = *n - before;
			stopped++;
		}
		cg_tree_signal(pid, SIGCONT);
		usleep(1000);
	}
	cg_tree_signal(pid, SIGKILL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap((void *)(uintptr_t)n, 4096);
	assert_int_equal(ran, 0);
	assert_true(stopped > 0);
}

static void forks(void)
{
	for (;;)
		if (fork() == 0)
			usleep(2000); /* and forks on */
}

/* Processes that go on forking are stopped for good. */
static void test_signal_forking(void **state)
{
	struct plan_limits lim = { .controllers = 1u << PC_PIDS, .pids = 60 };
	struct cg_site site;
	struct cg_leaf l;
	struct err e = { 0 };
	char number[16];
	pid_t pid;
	int n;

	cg_find(&site);
	if (!(site.controllers & lim.controllers) ||
	    cg_create(&l, &site, "test-forking", &lim, NULL, &e) < 0)
		skip(); /* nothing that would bound it */
	pid = fork();
	if (pid == 0) {
		raise(SIGSTOP);
		signal(SIGCHLD, SIG_IGN);
		forks();
	}
	n = snprintf(number, sizeof(number), "%d", pid);
	for (int i = 0; l.tasks_fds[i] >= 0; i++)
		assert_int_equal(write(l.tasks_fds[i], number, (size_t)n), n);
	if (l.v2_fd >= 0) {
		int fd = openat(l.v2_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);

		assert_int_equal(write(fd, number, (size_t)n), n);
		close(fd);
	}
	kill(pid, SIGCONT);
	usleep(30000);
	kill(pid, SIGSTOP);
	assert_int_equal(cg_tree_signal(pid, SIGSTOP), 0);
	cg_kill(&l);
	waitpid(pid, NULL, 0);
	assert_int_equal(cg_remove(&l), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_cpu_of_the_dead),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_stop_without_first_thread),
		cmocka_unit_test(test_stop_of_those_who_wake_each_other),
		cmocka_unit_test(test_signal_forking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
