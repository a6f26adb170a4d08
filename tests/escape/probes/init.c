/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PID 1 is ours: for its first milliseconds the launcher's memory, then a
 * program of the host's (CVE-2019-5736). init OP:
 *	write  open /proc/1/exe for writing
 *	root   look through /proc/1/root
 *	trace  attach to it, once it has become purple-init
 *	any    reach it in any way while it is the launcher's memory
 */
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <time.h>

#include "probe.h"

static long open_file(const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC);
}

static long trace(void)
{
	return ptrace(PTRACE_SEIZE, 1, 0L, 0L);
}

static long memory(void)
{
	return open_file("/proc/1/mem", O_RDONLY);
}

static long maps(void)
{
	return open_file("/proc/1/maps", O_RDONLY);
}

static long descriptors(void)
{
	return open_file("/proc/1/fd/.", O_RDONLY);
}

static long program(void)
{
	return open_file("/proc/1/exe", O_PATH);
}

static long read_memory(void)
{
	static char here[8];
	struct iovec to = { here, sizeof(here) }, from = { (void *)0x400000, sizeof(here) };

	/* EFAULT: it was allowed, and there is nothing at this address. */
	return process_vm_readv(1, &to, 1, &from, 1, 0) < 0 && errno != EFAULT ? -1 : 0;
}

static long take_descriptor(void)
{
	long pidfd = syscall(SYS_pidfd_open, 1, 0);

	return pidfd < 0 ? -1 : syscall(438 /* pidfd_getfd */, (int)pidfd, 0, 0);
}

/*
 * In the launcher's memory still? What is reached later is purple-init, which
 * has no more rights than we have: it costs the sandbox its exit status only.
 */
static int is_launcher(void)
{
	static char first[32];
	char now[32] = "";
	FILE *f = fopen("/proc/1/comm", "re");

	if (!f || !fgets(now, sizeof(now), f))
		verdict(CANNOT, "/proc/1/comm: %s", strerror(errno));
	fclose(f);
	if (!first[0])
		memcpy(first, now, sizeof(first));
	return strcmp(first, now) == 0 && strcmp(now, "purple-init\n") != 0;
}

static const struct {
	const char *what;
	long (*way)(void);
} ways[] = {
	{ "attach", trace },
	{ "read its memory", read_memory },
	{ "open its memory", memory },
	{ "see its memory's layout", maps },
	{ "take a descriptor", take_descriptor },
	{ "list its descriptors", descriptors },
	{ "see its program", program },
};

static void any(void)
{
	unsigned rounds = 0;

	for (; is_launcher() && rounds < 100000; rounds++)
		for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
			if (ways[i].way() >= 0 && is_launcher())
				verdict(ESCAPED, "%s: in round %u", ways[i].what, rounds);
	verdict(CONTAINED, "%u rounds while it was the launcher's memory", rounds);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		usage("init write|root|trace|any");
	if (strcmp(argv[1], "any") == 0)
		any();
	if (strcmp(argv[1], "write") == 0) {
		long r = open_file("/proc/1/exe", O_WRONLY);

		/* It may be written as soon as nobody runs it. */
		judge(r < 0 && errno == ETXTBSY ? 0 : r, "write /proc/1/exe");
	}
	if (strcmp(argv[1], "root") == 0)
		judge(open_file("/proc/1/root/.", O_PATH), "open /proc/1/root");
	nanosleep(&(struct timespec){ .tv_nsec = 60000000 }, NULL);
	judge(trace(), "trace PID 1");
}
