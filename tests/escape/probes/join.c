/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lies in wait for processes that are brought into the sandbox (CVE-2016-9962,
 * CVE-2022-31214). Pids inside are given out one after the other, so the next
 * one's /proc is asked for all the time, by several watchers at once:
 *	fds     a descriptor above 2
 *	exe     a program that is not this one
 *	root    a root that is not ours
 *	trace   stopped before its exec
 * "ready" is said when all watch; they do until the end of standard input. Who is
 * brought in must run this program, as `join stay`: it opens nothing, and is
 * there for a moment.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <time.h>

#include "probe.h"

enum { STAY_MS = 10, AHEAD = 128 }; /* a watcher may sleep while many come and go */

enum { WAYS_MAX = 4 };
static struct shared {
	unsigned ready;
	unsigned seen[WAYS_MAX];  /* processes */
	unsigned looks[WAYS_MAX]; /* at them */
	unsigned early[WAYS_MAX]; /* refused: it was not yet what it was to become */
	char found[256];	  /* what was had */
} * shared;

__attribute__((__format__(__printf__, 1, 2))) static void found(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(shared->found, sizeof(shared->found), fmt, ap);
	va_end(ap);
}

/* Of /proc/@pid/@name. -1: nothing was had; then *refused, or it is not there. */
static int look(pid_t pid, const char *name, int flags, bool *refused)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);
	*refused = fd < 0 && (errno == EACCES || errno == EPERM);
	return fd;
}

static bool fds(pid_t pid)
{
	bool refused;
	int fd = look(pid, "fd", O_RDONLY | O_DIRECTORY, &refused);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	char link[256];

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.' || atoi(e->d_name) <= 2)
			continue;
		if (readlinkat(fd, e->d_name, link, sizeof(link)) >= 0)
			found("descriptor %s of process %d", e->d_name, pid);
		else
			refused = refused || errno == EACCES;
	}
	if (d)
		closedir(d);
	return refused;
}

/* 1: of this program; 0: of another; -1: not to be had. */
static int is_ours(pid_t pid, bool *refused)
{
	struct stat own, its;
	int fd = look(pid, "exe", O_PATH, refused), r = 0;

	if (fd < 0)
		return -1;
	if (stat("/proc/self/exe", &own) == 0 && fstat(fd, &its) == 0)
		r = own.st_ino == its.st_ino && own.st_dev == its.st_dev;
	close(fd);
	return r;
}

static bool exe(pid_t pid)
{
	bool refused;

	if (is_ours(pid, &refused) == 0)
		found("another program of process %d", pid);
	return refused;
}

static bool root(pid_t pid)
{
	struct stat own, its;
	bool refused;
	int fd = look(pid, "root", O_PATH, &refused);

	if (fd < 0)
		return refused;
	if (stat("/", &own) < 0 || fstat(fd, &its) < 0 || own.st_ino != its.st_ino ||
	    own.st_dev != its.st_dev)
		found("another root of process %d", pid);
	close(fd);
	return false;
}

/*
 * One may attach while the kernel loads the new program: then the old memory and
 * its descriptors are gone. So what counts is what it is when it has stopped.
 */
static bool trace(pid_t pid)
{
	bool refused;
	int status;

	if (ptrace(PTRACE_SEIZE, pid, 0L, (long)PTRACE_O_TRACEEXEC) < 0)
		return errno == EPERM;
	ptrace(PTRACE_INTERRUPT, pid, 0L, 0L);
	while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
		if (is_ours(pid, &refused) != 1)
			found("process %d, stopped before its exec", pid);
		ptrace(PTRACE_CONT, pid, 0L, 0L);
	}
	return false;
}

static bool exists(pid_t pid)
{
	return kill(pid, 0) == 0 || errno == EPERM;
}

static const struct {
	const char *name;
	bool (*look)(pid_t pid);
} ways[] = {
	{ "fds", fds },
	{ "exe", exe },
	{ "root", root },
	{ "trace", trace },
};
enum { WAYS = sizeof(ways) / sizeof(*ways) };

__attribute__((__noreturn__)) static void watch(unsigned way, pid_t next)
{
	__atomic_fetch_add(&shared->ready, 1, __ATOMIC_RELEASE);
	for (pid_t ahead = 0;; ahead = (ahead + 1) % AHEAD) {
		bool seen = false;

		while (exists(next + ahead)) {
			shared->looks[way]++;
			if (ways[way].look(next + ahead))
				shared->early[way]++;
			seen = true;
		}
		if (!seen)
			continue;
		shared->seen[way]++;
		next += ahead + 1;
		ahead = -1;
	}
}

int main(int argc, char **argv)
{
	pid_t pids[WAYS];
	char c;

	if (argc == 2 && strcmp(argv[1], "stay") == 0)
		return nanosleep(&(struct timespec){ .tv_nsec = STAY_MS * 1000000L }, NULL);
	if (argc != 1)
		usage("join [stay]");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		verdict(CANNOT, "mmap: %s", strerror(errno));
	for (unsigned i = 0; i < WAYS; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			watch(i, getpid() + (pid_t)(WAYS - i));
		if (pids[i] < 0 || (i > 0 && pids[i] != pids[i - 1] + 1))
			verdict(CANNOT, "pids are not given out one after the other");
	}
	while (__atomic_load_n(&shared->ready, __ATOMIC_ACQUIRE) < WAYS)
		;
	puts("ready");
	fflush(stdout);
	while (!shared->found[0] && read(STDIN_FILENO, &c, 1) > 0)
		;
	for (unsigned i = 0; i < WAYS; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
		printf("%s: %u processes, %u looks, %u before the exec\n", ways[i].name,
		       shared->seen[i], shared->looks[i], shared->early[i]);
	}
	if (shared->found[0])
		verdict(ESCAPED, "%s", shared->found);
	verdict(CONTAINED, "nothing was had");
}
