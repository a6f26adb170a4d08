/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include "base/str.h"
#include "supervisor/watch_internal.h"
#include "sys/files.h"
#include "sys/process.h"

enum { PAGE = 4096, CHUNK = 96, BATCH = 32 };

/* linux/pidfd.h; the call is of Linux 6.13, the exit status of 6.15. */
struct pidfd_info_v0 {
	uint64_t mask, cgroupid;
	uint32_t pid, tgid, ppid, ids[8];
	int32_t exit_code;
};
_Static_assert(sizeof(struct pidfd_info_v0) == 64, "PIDFD_INFO_SIZE_VER0");
#define PIDFD_INFO_PID_V0 (1u << 0)
#define PIDFD_INFO_EXIT_V0 (1u << 3)
#define PIDFD_GET_INFO_V0 _IOWR(0xFF, 11, struct pidfd_info_v0)

static long read_at(pid_t tid, uint64_t addr, void *to, size_t len)
{
	struct iovec local = { to, len }, remote = { (void *)(uintptr_t)addr, len };

	return sys_call(SYS_process_vm_readv, tid, &local, 1, &remote, 1, 0);
}

static size_t to_page_end(uint64_t addr, size_t most)
{
	return MIN(most, (size_t)(PAGE - (addr & (PAGE - 1))));
}

int watch_bytes(pid_t tid, uint64_t addr, void *ret, size_t size)
{
	long n = read_at(tid, addr, ret, size);

	return n < 0 ? (int)n : (size_t)n == size ? 0 : -EFAULT;
}

int watch_string(pid_t tid, uint64_t addr, char *ret, size_t size)
{
	size_t len = 0;

	ret[0] = '\0';
	while (len + 1 < size) {
		long n = read_at(tid, addr + len, ret + len,
				 to_page_end(addr + len, size - 1 - len));
		const char *end;

		if (n <= 0) {
			ret[len] = '\0';
			return n < 0 ? (int)n : -EFAULT;
		}
		end = memchr(ret + len, '\0', (size_t)n);
		if (end)
			return (int)(end - ret);
		len += (size_t)n;
	}
	ret[len] = '\0';
	return (int)len;
}

/*
 * The first bytes of each of @count strings by one call: most arguments are short. Returns
 * how many of them could be had.
 */
static size_t read_starts(pid_t tid, const uint64_t *addrs, size_t count, char starts[][CHUNK],
			  size_t *lens)
{
	struct iovec local[BATCH], remote[BATCH];
	size_t have;
	long n;

	for (size_t i = 0; i < count; i++) {
		lens[i] = to_page_end(addrs[i], CHUNK);
		local[i] = (struct iovec){ starts[i], lens[i] };
		remote[i] = (struct iovec){ (void *)(uintptr_t)addrs[i], lens[i] };
	}
	n = sys_call(SYS_process_vm_readv, tid, local, count, remote, count, 0);
	for (have = 0; have < count && n >= (long)lens[have]; have++)
		n -= (long)lens[have];
	return have;
}

/* The addresses of up to BATCH strings, of a list that may end with its page. */
static size_t read_list(pid_t tid, uint64_t addr, uint64_t addrs[BATCH])
{
	size_t want = sizeof(uint64_t) * BATCH;
	long n = read_at(tid, addr, addrs, to_page_end(addr, want));

	/* One that lies across two pages. */
	if (n >= 0 && (size_t)n < sizeof(uint64_t))
		n = read_at(tid, addr, addrs, sizeof(uint64_t));
	return n < 0 ? 0 : (size_t)n / sizeof(uint64_t);
}

static size_t add_string(pid_t tid, uint64_t addr, const char *start, size_t known, char *to,
			 size_t room)
{
	const char *end = memchr(start, '\0', known);
	size_t len = MIN(end ? (size_t)(end - start) + 1 : known, room);

	memcpy(to, start, len);
	if (end || len == room)
		return len;
	if (watch_string(tid, addr + len, to + len, room - len) < 0)
		return len; /* without an end: the list is cut here */
	return len + strlen(to + len) + 1;
}

size_t watch_strings(pid_t tid, uint64_t addr, char *ret, size_t size)
{
	static _cold_data_ char starts[BATCH][CHUNK];
	uint64_t addrs[BATCH];
	size_t lens[BATCH], len = 0;

	while (len < size) {
		size_t listed = read_list(tid, addr, addrs), count, have;

		for (count = 0; count < listed && addrs[count] != 0; count++)
			;
		have = count ? read_starts(tid, addrs, count, starts, lens) : 0;
		for (size_t i = 0; i < have && len < size; i++)
			len += add_string(tid, addrs[i], starts[i], lens[i], ret + len, size - len);
		if (count == 0 || have < count || count < listed)
			return len;
		addr += count * sizeof(addrs[0]);
	}
	return len;
}

void watch_link(pid_t tid, const char *name, char *ret, size_t size)
{
	char link[64];
	long n;

	snprintf(link, sizeof(link), "/proc/%d/%s", (int)tid, name);
	n = sys_call(SYS_readlinkat, AT_FDCWD, link, ret, size - 1);
	ret[n < 0 ? 0 : n] = '\0';
}

void watch_normalize(char *path)
{
	char *to = path;

	for (const char *from = path; *from;) {
		size_t n;

		while (*from == '/')
			from++;
		n = strcspn(from, "/");
		if (n == 2 && from[0] == '.' && from[1] == '.') {
			while (to > path && *--to != '/')
				;
		} else if (n > 0 && !(n == 1 && from[0] == '.')) {
			*to++ = '/';
			memmove(to, from, n);
			to += n;
		}
		from += n;
	}
	if (to == path)
		*to++ = '/';
	*to = '\0';
}

bool watch_join(pid_t tid, int dirfd, const char *path, char ret[WATCH_PATH])
{
	char name[32] = "cwd";
	size_t len = 0;

	if (path[0] != '/') {
		if (dirfd != AT_FDCWD)
			snprintf(name, sizeof(name), "fd/%d", dirfd);
		ret[0] = '\0';
		if (path[0] != '\0' || dirfd != AT_FDCWD)
			watch_link(tid, name, ret, WATCH_PATH);
		len = strlen(ret);
		if (path[0] == '\0') /* the descriptor itself, AT_EMPTY_PATH */
			return false;
		if (ret[0] != '/') { /* none, or no directory: "socket:[1]" */
			str_copy(ret, WATCH_PATH, path);
			return false;
		}
		if (len < WATCH_PATH - 1)
			ret[len++] = '/';
	}
	str_copy(ret + len, WATCH_PATH - len, path);
	return true;
}

void watch_resolve(pid_t tid, int dirfd, const char *path, char ret[WATCH_PATH])
{
	if (watch_join(tid, dirfd, path, ret))
		watch_normalize(ret);
}

/* Behind "/proc/self/fd/" or a link to it; NULL: @path is not there. */
static const char *descriptor(const char *path)
{
	static const struct {
		const char *prefix, *fd; /* NULL: the digits that follow */
	} names[] = { { "/proc/self/fd/", NULL }, { "/proc/thread-self/fd/", NULL },
		      { "/dev/fd/", NULL },	  { "/dev/stdin", "0" },
		      { "/dev/stdout", "1" },	  { "/dev/stderr", "2" } };
	const char *rest;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].fd && streq(path, names[i].prefix))
			return names[i].fd;
		if (!names[i].fd && (rest = str_after(path, names[i].prefix)))
			return rest;
	}
	return NULL;
}

bool watch_reopened(pid_t tid, char path[WATCH_PATH])
{
	static _cold_data_ char file[WATCH_PATH];
	const char *fd = descriptor(path);
	size_t digits = fd ? strspn(fd, "0123456789") : 0, len;
	char name[32];

	if (digits == 0 || digits > 10 || (fd[digits] != '\0' && fd[digits] != '/'))
		return false;
	snprintf(name, sizeof(name), "fd/%.*s", (int)digits, fd);
	watch_link(tid, name, file, sizeof(file));
	if (file[0] != '/' || str_after(file, "/memfd:"))
		return false; /* "pipe:[1]" */
	len = strlen(file);
	str_copy(file + len, sizeof(file) - len, fd + digits);
	str_copy(path, WATCH_PATH, file);
	return true;
}

void watch_proc_status(pid_t tid, char *ret, size_t size)
{
	char path[64];
	int fd;
	long n;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	fd = sys_openat(AT_FDCWD, path, O_RDONLY, 0);
	n = fd < 0 ? 0 : sys_read(fd, ret, size - 1);
	sys_close(fd);
	ret[n < 0 ? 0 : n] = '\0';
}

/* Of "Name:\t123" in /proc/PID/status; 0: not there. */
static pid_t status_number(const char *status, const char *name)
{
	const char *at = strstr(status, name);

	return at ? (pid_t)strtol(at + strlen(name), NULL, 10) : 0;
}

/* What has no pidfd of its own is a thread, or this kernel is old. */
static pid_t read_status(pid_t tid, pid_t *ppid)
{
	char text[1024];
	pid_t pid;

	watch_proc_status(tid, text, sizeof(text));
	pid = status_number(text, "\nTgid:\t");
	*ppid = status_number(text, "\nPPid:\t");
	return pid;
}

static bool get_info(int pidfd, uint64_t mask, struct pidfd_info_v0 *info)
{
	*info = (struct pidfd_info_v0){ .mask = mask };
	return sys_call(SYS_ioctl, pidfd, PIDFD_GET_INFO_V0, info) == 0 && info->mask & mask;
}

pid_t watch_process(pid_t tid, pid_t *ppid, int *pidfd)
{
	int fd = (int)sys_call(SYS_pidfd_open, tid, 0);
	struct pidfd_info_v0 info;
	pid_t parent = 0, pid = tid;

	if (fd >= 0 && ppid && get_info(fd, PIDFD_INFO_PID_V0, &info))
		parent = (pid_t)info.ppid;
	else if (fd < 0 || ppid)
		pid = read_status(tid, &parent);
	if (ppid)
		*ppid = parent;
	if (pidfd && fd < 0 && pid > 0)
		fd = (int)sys_call(SYS_pidfd_open, pid, 0);
	if (pidfd)
		*pidfd = fd;
	else
		sys_close(fd);
	return pid;
}

bool watch_status(int pidfd, int *status)
{
	struct pidfd_info_v0 info;

	if (!get_info(pidfd, PIDFD_INFO_EXIT_V0, &info))
		return false;
	*status = info.exit_code;
	return true;
}

bool watch_has_status(void)
{
	unsigned long major, minor;
	struct utsname u;
	char *dot;

	if (uname(&u) < 0)
		return false;
	major = strtoul(u.release, &dot, 10);
	minor = *dot == '.' ? strtoul(dot + 1, NULL, 10) : 0;
	return major > 6 || (major == 6 && minor >= 15);
}
