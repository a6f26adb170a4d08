/* SPDX-License-Identifier: Apache-2.0 */
/* file OP PATH: one thing done to one file. Nothing is written through what opens. */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "probe.h"

static long see(const char *path)
{
	struct stat st;

	return lstat(path, &st);
}

static long read_it(const char *path)
{
	char c;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	/* A masked file is empty. */
	if (fd < 0)
		return -1;
	if (read(fd, &c, 1) == 1)
		return 1;
	errno = ENODATA;
	return -1;
}

/* Is it the kernel's own, and not what covers it? */
static long real(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -1;
	errno = ENODEV;
	return S_ISCHR(st.st_mode) ? -1 : 0;
}

static long write_it(const char *path)
{
	return open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
}

static long open_it(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

static long both(const char *path)
{
	return open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
}

static long create(const char *path)
{
	return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

/* Still there when PID 1 becomes purple-init. */
static long create_and_stay(const char *path)
{
	long fd = create(path);

	nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	return fd;
}

static long change_mode(const char *path)
{
	return chmod(path, 0600);
}

static long list(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static long run(const char *path)
{
	execl(path, path, (char *)NULL);
	return -1;
}

static long unix_connect(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	return connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&a, sizeof(a));
}

static const struct {
	const char *name;
	long (*op)(const char *);
} ops[] = {
	{ "see", see },		  { "read", read_it },
	{ "real", real },	  { "open", open_it },
	{ "write", write_it },	  { "both", both },
	{ "create", create },	  { "stay", create_and_stay },
	{ "chmod", change_mode }, { "list", list },
	{ "run", run },		  { "connect", unix_connect },
};

int main(int argc, char **argv)
{
	char what[512];

	for (size_t i = 0; argc == 3 && i < sizeof(ops) / sizeof(*ops); i++) {
		if (strcmp(ops[i].name, argv[1]) != 0)
			continue;
		snprintf(what, sizeof(what), "%s %s", argv[1], argv[2]);
		judge(ops[i].op(argv[2]), what);
	}
	usage("file see|read|real|open|write|both|create|stay|chmod|list|run|connect PATH");
}
