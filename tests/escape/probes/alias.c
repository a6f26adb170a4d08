/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alias OP DIR NAME: is DIR/NAME, which the policy hides, readable in some other way?
 * Escaped if any byte of it is read; what the sandbox may do on the way is done.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "probe.h"

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE (1 << 1)
#endif

static const char *dir, *name;
static char path[4096], other[4096];

static const char *in(const char *top, const char *rest)
{
	char *s;

	return asprintf(&s, "%s/%s", top, rest) < 0 ? "" : s; /* a probe does not live long */
}

static void read_at(int at, const char *file)
{
	int fd = openat(at, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char c;

	if (fd >= 0 && read(fd, &c, 1) == 1)
		verdict(ESCAPED, "read %s", file);
}

static void plain(void)
{
	read_at(AT_FDCWD, path);
}

static void by_chdir(void)
{
	if (chdir(dir) == 0)
		read_at(AT_FDCWD, name);
	read_at(open(dir, O_PATH | O_DIRECTORY), name);
}

static void by_proc(void)
{
	static const char *const roots[] = { "/proc/self/root", "/proc/1/root", "/proc/self/cwd",
					     "/proc/thread-self/root" };
	int fd = open(path, O_PATH);

	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++)
		read_at(AT_FDCWD, in(roots[i], path + 1));
	snprintf(other, sizeof(other), "/proc/self/fd/%d", fd);
	read_at(AT_FDCWD, other);
	fd = open(dir, O_PATH | O_DIRECTORY);
	snprintf(other, sizeof(other), "/proc/self/fd/%d/%s", fd, name);
	read_at(AT_FDCWD, other);
}

static void by_symlink(void)
{
	if (symlink(path, in(dir, "symlink")) == 0)
		read_at(AT_FDCWD, in(dir, "symlink"));
	if (symlink(dir, in(dir, "to-dir")) == 0)
		read_at(AT_FDCWD, in(in(dir, "to-dir"), name));
}

/* One that was there already, and new ones. */
static void by_link(void)
{
	int fd = open(path, O_PATH);

	read_at(AT_FDCWD, in(dir, "known-link"));
	if (link(path, in(dir, "new-link")) == 0)
		read_at(AT_FDCWD, in(dir, "new-link"));
	if (linkat(fd, "", AT_FDCWD, in(dir, "new-link2"), AT_EMPTY_PATH) == 0)
		read_at(AT_FDCWD, in(dir, "new-link2"));
}

static void by_rename(void)
{
	if (rename(path, in(dir, "moved")) == 0)
		read_at(AT_FDCWD, in(dir, "moved"));
	close(open(in(dir, "swap"), O_WRONLY | O_CREAT, 0600));
	if (syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, in(dir, "swap"), RENAME_EXCHANGE) == 0)
		read_at(AT_FDCWD, in(dir, "swap"));
	if (rename(in(dir, "swap"), path) == 0 || unlink(path) == 0)
		verdict(ESCAPED, "took its place");
	snprintf(other, sizeof(other), "%s-moved", dir);
	if (rename(dir, other) == 0)
		read_at(AT_FDCWD, in(other, name));
}

static void by_mode(void)
{
	chmod(path, 0644);
	read_at(AT_FDCWD, path);
}

static void unmount(void)
{
	umount2(path, MNT_DETACH);
	read_at(AT_FDCWD, path);
}

static void put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY);

	if (write(fd, text, strlen(text)) < 0)
		verdict(CANNOT, "%s: %s", file, strerror(errno));
}

static int try_mount(const char *what, const char *type, unsigned long flags, const char *data)
{
	int r = mount(what, "/var/tmp/bind", type, flags, data);

	printf("%s of %s: %s\n",
	       type		? type
	       : flags & MS_REC ? "tree"
				: "bind",
	       what, r < 0 ? strerror(errno) : "done");
	return r;
}

/* With all rights in a user namespace of its own. Landlock does not let it mount. */
static void nested(void)
{
	unsigned uid = getuid(), gid = getgid();
	char map[64];

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		verdict(CANNOT, "no user namespace: %s", strerror(errno));
	put("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	put("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	put("/proc/self/gid_map", map);
	unmount();
	if (mount("none", "/var/tmp", "tmpfs", 0, NULL) < 0)
		verdict(CONTAINED, "no mount of its own: %s", strerror(errno));
	mkdir("/var/tmp/bind", 0700);
	mkdir("/var/tmp/up", 0700);
	mkdir("/var/tmp/work", 0700);
	if (try_mount(dir, NULL, MS_BIND, NULL) == 0)
		read_at(AT_FDCWD, in("/var/tmp/bind", name));
	if (try_mount(dir, NULL, MS_BIND | MS_REC, NULL) == 0) {
		umount2(in("/var/tmp/bind", name), MNT_DETACH);
		read_at(AT_FDCWD, in("/var/tmp/bind", name));
	}
	snprintf(other, sizeof(other),
		 "lowerdir=%s,upperdir=/var/tmp/up,"
		 "workdir=/var/tmp/work,userxattr",
		 dir);
	if (try_mount(dir, "overlay", 0, other) == 0)
		read_at(AT_FDCWD, in("/var/tmp/bind", name));
}

static const struct {
	const char *name;
	void (*op)(void);
} ops[] = {
	{ "plain", plain },	   { "chdir", by_chdir },  { "proc", by_proc },
	{ "symlink", by_symlink }, { "link", by_link },	   { "rename", by_rename },
	{ "mode", by_mode },	   { "unmount", unmount }, { "nested", nested },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 4 && i < sizeof(ops) / sizeof(*ops); i++) {
		if (strcmp(ops[i].name, argv[1]) != 0)
			continue;
		dir = argv[2];
		name = argv[3];
		snprintf(path, sizeof(path), "%s/%s", dir, name);
		ops[i].op();
		verdict(CONTAINED, "%s: nothing of %s is readable", argv[1], path);
	}
	usage("alias plain|chdir|proc|symlink|link|rename|mode|unmount|nested DIR NAME");
}
