/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program may try on whoever observes its calls: for tests/e2e/test_watch_hostile.py,
 * inside a sandbox. `hostile MODE [ARG]` prints what it found and exits with 0 if that is
 * what it would be without an observer.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static int failures;

static void expect(const char *what, long got, int error)
{
	int code = errno;

	if (error ? got == -1 && code == error : got >= 0)
		return;
	printf("%s: %ld, %s; expected %s\n", what, got, got == -1 ? strerror(code) : "success",
	       error ? strerror(error) : "success");
	failures++;
}

static long raw_open(const char *path, int flags)
{
	return syscall(SYS_openat, AT_FDCWD, path, flags, 0600);
}

/* Two pages; behind them nothing. */
static char *edge(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(p + 2 * page, page);
	return p + 2 * page;
}

static int pointers(const char *arg)
{
	char *end = edge(), word[] = "x", *list[] = { word, (char *)8, NULL };
	char name[] = "true", *good[] = { name, NULL };
	static char longest[PATH_MAX], longer[PATH_MAX + 16];
	char **at_edge = (char **)(void *)end - 2;

	expect("no memory", raw_open((char *)8, O_WRONLY), EFAULT);
	expect("no name", raw_open("", O_WRONLY), ENOENT);
	expect("the kernel's", raw_open((char *)(uintptr_t)-4096, O_WRONLY), EFAULT);
	expect("behind the edge", raw_open(end, O_WRONLY | O_CREAT), EFAULT);
	memset(end - 8, '/', 8);
	expect("over the edge", raw_open(end - 8, O_WRONLY | O_CREAT), EFAULT);
	memcpy(end - 7, "/tmp/e", 7);
	expect("up to the edge", raw_open(end - 7, O_WRONLY | O_CREAT), 0);
	memset(longest, 'a', PATH_MAX - 1);
	memcpy(longest, "/tmp/", 5);
	expect("the longest", raw_open(longest, O_WRONLY | O_CREAT), ENAMETOOLONG);
	for (size_t i = 4; i < PATH_MAX - 1; i += 2)
		memcpy(longest + i, "/.", 2);
	memcpy(longest + PATH_MAX - 3, "/e", 3);
	expect("the longest good", raw_open(longest, O_WRONLY | O_CREAT), 0);
	memset(longer, 'b', sizeof(longer) - 1);
	expect("too long", raw_open(longer, O_WRONLY | O_CREAT), ENAMETOOLONG);
	expect("empty", raw_open("", O_WRONLY | O_CREAT), ENOENT);
	expect("every byte", raw_open("/tmp/\xff\x01\x1b[31m\n\"\\", O_WRONLY | O_CREAT), 0);
	expect("a bad descriptor", syscall(SYS_openat, 999, "x", O_WRONLY | O_CREAT, 0600), EBADF);
	expect("no directory", syscall(SYS_openat, 1, "x", O_WRONLY | O_CREAT, 0600), ENOTDIR);
	expect("exec nowhere", syscall(SYS_execve, (char *)8, good, NULL), EFAULT);
	expect("exec with a bad list", syscall(SYS_execve, "/bin/true", (char **)8, NULL), EFAULT);
	expect("exec with a bad string", syscall(SYS_execve, "/bin/true", list, NULL), EFAULT);
	at_edge[0] = at_edge[1] = good[0];
	expect("exec with a list over the edge", syscall(SYS_execve, "/bin/true", at_edge, NULL),
	       EFAULT);
	expect("execveat a bad one", syscall(SYS_execveat, 999, "", good, NULL, 0x1000), EBADF);
	return 0;
}

static volatile int over;
static char shared[64] = "/tmp/harmless";

static void *flip(void *arg)
{
	while (!over) {
		strcpy(shared, "/usr/lib/xx");
		strcpy(shared, "/tmp/allowed");
	}
	return NULL;
}

/* What was looked at and what is opened may differ; what is opened is granted all the same. */
static int race(const char *arg)
{
	pthread_t t;

	pthread_create(&t, NULL, flip, NULL);
	for (int i = 0; i < atoi(arg); i++)
		close((int)raw_open(shared, O_WRONLY | O_CREAT));
	over = 1;
	pthread_join(t, NULL);
	expect("what is refused", access("/usr/lib/xx", F_OK), ENOENT);
	return 0;
}

/* Each a new file that the plan refuses. */
static int paths(const char *arg)
{
	char path[64];

	for (int i = 0; i < atoi(arg); i++) {
		snprintf(path, sizeof(path), "/usr/lib/none-%d", i);
		if (raw_open(path, O_WRONLY | O_CREAT) >= 0)
			failures++;
	}
	return 0;
}

static int storm(const char *arg)
{
	volatile int n = atoi(arg); /* vfork(2) */

	while (n-- > 0) {
		int status = -1;
		pid_t pid = vfork();

		if (pid == 0) {
			execl("/bin/true", "true", NULL);
			_exit(9);
		}
		waitpid(pid, &status, 0);
		expect("the status", status, 0);
		failures += status != 0;
	}
	return 0;
}

static volatile sig_atomic_t handled;

static void on_signal(int sig)
{
	handled++;
}

/* As Go's runtime preempts: SA_RESTART, so no call may be seen to be interrupted. */
static int signals(const char *arg)
{
	struct itimerval often = { { 0, 200 }, { 0, 200 } };
	struct sigaction a = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	sigaction(SIGALRM, &a, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < atoi(arg); i++) {
		long fd = raw_open("/tmp/interrupted", O_WRONLY | O_CREAT);

		expect("open", fd, 0);
		close((int)fd);
		expect("keyctl", syscall(SYS_keyctl, 7), EPERM);
	}
	expect("signals", handled > 0 ? 0 : -1, 0);
	return 0;
}

static void *refused_forever(void *arg)
{
	for (;;)
		syscall(SYS_keyctl, 9);
	return NULL;
}

static void *exec_here(void *arg)
{
	execl("/usr/bin/expr", "expr", "40", "+", "2", NULL);
	return NULL;
}

/* A thread that is not the first executes while others wait for an answer. */
static int threads(const char *arg)
{
	pthread_t t;

	for (int i = 0; i < atoi(arg); i++)
		pthread_create(&t, NULL, refused_forever, NULL);
	pthread_create(&t, NULL, exec_here, NULL);
	pthread_join(t, NULL);
	return 1;
}

static pid_t busy_child(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	for (;;) {
		close((int)raw_open("/tmp/busy", O_WRONLY | O_CREAT));
		syscall(SYS_keyctl, 5);
	}
}

static int killed(const char *arg)
{
	for (int i = 0; i < atoi(arg); i++) {
		int status = 0;
		pid_t pid = busy_child();

		usleep((unsigned)(i * 37 % 1500));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		expect("killed", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : -1, 0);
	}
	return 0;
}

static int stopped(const char *arg)
{
	pid_t pid = busy_child();
	int status;

	for (int i = 0; i < atoi(arg); i++) {
		kill(pid, SIGSTOP);
		waitpid(pid, &status, WUNTRACED);
		expect("stopped", WIFSTOPPED(status) ? 0 : -1, 0);
		/* While it is, others are served. */
		expect("keyctl", syscall(SYS_keyctl, 3), EPERM);
		kill(pid, SIGCONT);
		waitpid(pid, &status, WCONTINUED);
		usleep((unsigned)(i * 53 % 700));
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return 0;
}

/* @arg: the errno that a listener of one's own gets. */
static int listener(const char *arg)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { 1, &allow };

	expect("a listener",
	       syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
		       &prog),
	       atoi(arg));
	return 0;
}

/* Nobody inside may read it; the observer is outside. */
static int undumpable(const char *arg)
{
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	expect("open", raw_open(arg, O_WRONLY | O_CREAT), 0);
	return 0;
}

/* Many at once, each a program of its own, which ends when its standard input does. */
static int crowd(const char *arg)
{
	int n = atoi(arg), status, ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return 1;
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			dup2(ends[0], 0);
			execl("/bin/cat", "cat", NULL);
			_exit(9);
		}
	}
	close(ends[0]);
	close(ends[1]);
	for (int i = 0; i < n; i++) {
		wait(&status);
		expect("the status", status ? -1 : 0, 0);
	}
	return 0;
}

static void execute_held(int fd)
{
	char name[] = "true", *argv[] = { name, NULL };
	int status;

	if (vfork() == 0) {
		syscall(SYS_execveat, fd, "", argv, NULL, AT_EMPTY_PATH);
		_exit(9);
	}
	wait(&status);
	expect("the status", status ? -1 : 0, 0);
}

/* Programs without a name: @arg, a copy that is removed, and one in memory only. */
static int nameless(const char *arg)
{
	int fd = open(arg, O_RDONLY), memory = memfd_create("memory", 0);
	char gone[PATH_MAX], buf[65536];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		expect("a copy", write(memory, buf, (size_t)n), 0);
	close(fd);
	fd = open(arg, O_PATH);
	expect("remove it", unlink(arg), 0);
	snprintf(gone, sizeof(gone), "%s (deleted)", arg);
	expect("that name", access(gone, F_OK), ENOENT); /* the kernel now knows */
	execute_held(fd);
	execute_held(memory);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(const char *arg);
} modes[] = {
	{ "pointers", pointers },     { "race", race },	      { "paths", paths },
	{ "storm", storm },	      { "signals", signals }, { "threads", threads },
	{ "killed", killed },	      { "stopped", stopped }, { "listener", listener },
	{ "undumpable", undumpable }, { "crowd", crowd },     { "nameless", nameless },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 3 && i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(argv[1], modes[i].name))
			return modes[i].run(argv[2]) || failures;
	return 2;
}
