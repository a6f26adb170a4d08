/* SPDX-License-Identifier: Apache-2.0 */
/* Paths held against a plan's mounts, and against a directory that stands for the root. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "supervisor/watch_internal.h"
#include "sys/landlock.h"

struct watch watch = { .root = -1 };

static struct supervisor s;
static struct launch launch;

/* As much of a plan as is looked at. A target without "/" in front is of the workspace. */
static struct {
	struct plan plan;
	struct plan_mount mounts[16];
	char strings[1024];
} block;

enum { READS = LL_READ_FILE | LL_READ_DIR | LL_EXECUTE, ALL = LL_FS_ALL };

static const struct {
	enum plan_mount_kind kind;
	const char *target, *source;
	uint32_t flags;
	uint64_t landlock;
} mounts[] = {
	{ PM_BIND, "/usr", "/usr", PMF_RDONLY, READS },
	{ PM_SYMLINK, "/bin", "usr/bin", 0, 0 },
	{ PM_SYMLINK, "/usr/local/link", "../share", 0, 0 },
	{ PM_SYMLINK, "/etc/ssl", "/opt/ssl", 0, 0 },
	{ PM_FILE, "/etc/hosts", NULL, 0, READS },
	{ PM_BIND, "/etc/passwd", "/etc/passwd", PMF_RDONLY, READS },
	{ PM_BIND, "/srv/data", "/srv/data", PMF_RDONLY, READS },
	{ PM_BIND, "/opt", "/opt", 0, ALL },
	{ PM_BIND, "/opt/blind", "/opt/blind", 0, 0 },
	{ PM_BIND, "/mnt/listed", "/mnt/listed", 0, LL_READ_DIR },
	{ PM_SCRATCH, "/tmp", NULL, 0, ALL },
	{ PM_PROC, "/proc", NULL, 0, READS },
	{ PM_WORKSPACE, "/unused", NULL, 0, ALL },
	{ PM_BIND, "./fixed", "/x", PMF_RDONLY, READS },
};

static struct plan_str add_string(size_t *at, const char *text)
{
	struct plan_str ret = { 0 };

	if (!text)
		return ret;
	ret.off = (uint32_t)(offsetof(typeof(block), strings) + *at);
	ret.len = (uint32_t)strlen(text);
	assert_true(str_copy(block.strings + *at, sizeof(block.strings) - *at, text));
	*at += ret.len + 1;
	return ret;
}

static int set_up(void **state)
{
	size_t at = 0;

	block.plan.mounts = (struct plan_table){ offsetof(typeof(block), mounts),
						 ARRAY_SIZE(mounts) };
	block.plan.landlock_fs = LL_FS_ALL;
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++)
		block.mounts[i] = (struct plan_mount){ .kind = (uint16_t)mounts[i].kind,
						       .flags = mounts[i].flags,
						       .target = add_string(&at, mounts[i].target),
						       .source = add_string(&at, mounts[i].source),
						       .landlock = mounts[i].landlock };
	s.plan = &block.plan;
	s.launch = &launch;
	launch.workspace = "/home/u/work";
	return 0;
}

/* How "@access @path" fares: "errno layer", or "nobody knows". */
static const char *fares(const char *access, const char *path)
{
	struct sighting t = { .access = access, .path = path };
	static char ret[64];

	if (!watch_refused(&s, path, streq(access, "create"), &t))
		return "nobody knows";
	assert_int_equal(t.type, EV_FILE_DENIED);
	snprintf(ret, sizeof(ret), "%s %s", strerrorname_np(t.error), t.layer);
	return ret;
}

static void test_refused(void **state)
{
	static const struct {
		const char *access, *path, *is;
	} rows[] = {
		/* What the plan shows read-only. */
		{ "write", "/usr/bin/ls", "EROFS mount" },
		{ "create", "/usr/new", "EROFS mount" },
		{ "read", "/usr/bin/ls", "nobody knows" },
		{ "exec", "/usr/bin/ls", "nobody knows" },
		{ "write", "/etc/passwd", "EROFS mount" },
		{ "write", "/home/u/work/fixed/x", "EROFS mount" },
		/* A link of the plan is what it leads to. */
		{ "write", "/bin/ls", "EROFS mount" },
		{ "read", "/bin/ls", "nobody knows" },
		{ "write", "/usr/local/link/x", "EROFS mount" },
		{ "write", "/etc/ssl/x", "nobody knows" },
		{ "read", "/binary", "ENOENT mount" },
		/* What it shows writable. */
		{ "write", "/opt/x", "nobody knows" },
		{ "create", "/tmp/x", "nobody knows" },
		{ "create", "/home/u/work/x", "nobody knows" },
		/* What no mount refuses, and Landlock does: rights add up on the way down. */
		{ "read", "/mnt/listed/x", "EACCES landlock" },
		{ "write", "/mnt/listed/x", "EACCES landlock" },
		{ "write", "/opt/blind/x", "nobody knows" },
		/* What is made by others than the plan. */
		{ "write", "/proc/self/mem", "nobody knows" },
		/* What it does not show. */
		{ "read", "/etc/shadow", "ENOENT mount" },
		{ "write", "/etc/shadow", "ENOENT mount" },
		{ "read", "/nowhere/at/all", "ENOENT mount" },
		{ "create", "/nowhere/at/all", "ENOENT mount" },
		/* Beside what it shows, in a directory that is there for it. */
		{ "create", "/srv/other", "EROFS mount" },
		{ "create", "/new", "EROFS mount" },
		{ "write", "/srv", "EISDIR mount" },
		{ "read", "/srv", "nobody knows" },
		{ "write", "/etc/hosts", "EROFS mount" },
		{ "read", "/etc/hosts", "nobody knows" },
		/* A name that only begins alike. */
		{ "read", "/srv/database", "ENOENT mount" },
		{ "write", "/optional", "ENOENT mount" },
		/* Not a path of ours. */
		{ "read", "relative", "nobody knows" },
	};
	int wrong = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *is = fares(rows[i].access, rows[i].path);

		if (!streq(is, rows[i].is)) {
			print_error("%s %s: %s, not %s\n", rows[i].access, rows[i].path, is,
				    rows[i].is);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

static void test_in_workspace(void **state)
{
	assert_true(watch_in_workspace(&s, "/home/u/work"));
	assert_true(watch_in_workspace(&s, "/home/u/work/a/b"));
	assert_false(watch_in_workspace(&s, "/home/u/worker"));
	assert_false(watch_in_workspace(&s, "/home/u"));
	launch.workspace = NULL;
	assert_false(watch_in_workspace(&s, "/home/u/work"));
	launch.workspace = "/home/u/work";
}

static void test_plain_devices(void **state)
{
	assert_true(watch_is_plain_device("/dev/null"));
	assert_true(watch_is_plain_device("/dev/pts/0"));
	assert_true(watch_is_plain_device("/proc/self/fd/1"));
	assert_false(watch_is_plain_device("/dev/nullify"));
	assert_false(watch_is_plain_device("/dev/null/x"));
	assert_false(watch_is_plain_device("/dev/sda"));
	assert_false(watch_is_plain_device("/proc/self/fdinfo"));
}

/* A root with a workspace in it. */
static char root[] = "/tmp/purple-test-place-XXXXXX";

static void make(const char *name, mode_t mode)
{
	int fd = openat(watch.root, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0 && fchmod(fd, mode) == 0);
	close(fd);
}

static const char *const directories[] = { "home", "home/u", "home/u/work", "home/u/work/sub",
					   "bin",  "secret" };
static const char *const files[] = { "home/u/work/file", "bin/program", "bin/text", "secret/key" };
static const struct {
	const char *name, *to;
} links[] = {
	{ "home/u/work/inside", "sub" },	 { "home/u/work/outside", "/secret" },
	{ "home/u/work/up", "../../../secret" }, { "home/u/work/nowhere", "/gone/x" },
	{ "home/u/work/loop", "loop" },
};

static int make_root(void **state)
{
	if (set_up(state) < 0 || !mkdtemp(root))
		return -1;
	watch.root = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(directories); i++)
		assert_int_equal(mkdirat(watch.root, directories[i], 0700), 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		make(files[i], streq(files[i], "bin/program") ? 0700 : 0600);
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		assert_int_equal(symlinkat(links[i].to, watch.root, links[i].name), 0);
	/* What the sandbox's link leads to is named as its root has it. */
	launch.workspace = "/home/u/work";
	return 0;
}

static int remove_root(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		unlinkat(watch.root, links[i].name, 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlinkat(watch.root, files[i], 0);
	for (size_t i = ARRAY_SIZE(directories); i-- > 0;)
		unlinkat(watch.root, directories[i], AT_REMOVEDIR);
	close(watch.root);
	watch.root = -1;
	return rmdir(root);
}

/* The name that a descriptor has on the host begins with where our root is. */
static const char *inside(const char *path)
{
	const char *rest = str_after(path, root);

	return rest ? rest : path;
}

static void test_leads_out(void **state)
{
	static const struct {
		const char *raw, *name; /* NULL: it does not; "": it does, nobody knows where to */
	} rows[] = {
		{ "/home/u/work/file", NULL },
		{ "/home/u/work/new", NULL },
		{ "/home/u/work/sub/new", NULL },
		{ "/home/u/work/file/below", NULL },
		{ "/home/u/work/outside/key", "/secret/key" },
		{ "/home/u/work/outside/new", "/secret/new" },
		{ "/home/u/work/up/key", "/secret/key" },
		{ "/home/u/work/inside/../../../../secret/key", "/secret/key" },
		{ "/home/u/work/nowhere", "" },
		{ "/home/u/work/loop", "" },
	};
	char path[WATCH_PATH];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool out;

		path[0] = '\0';
		out = watch_leads_out(&s, rows[i].raw, path);
		if (out != (rows[i].name != NULL) || (out && !streq(inside(path), rows[i].name)))
			fail_msg("%s: %d %s", rows[i].raw, out, path);
	}
}

/* A link that stays inside: the name of what it leads to is in the workspace. */
static void test_leads_inside(void **state)
{
	char path[WATCH_PATH] = "", workspace[WATCH_PATH];

	snprintf(workspace, sizeof(workspace), "%s/home/u/work", root);
	launch.workspace = workspace;
	assert_false(watch_leads_out(&s, "/home/u/work/inside/new", path));
	assert_string_equal(path, "");
}

/* Only what the kernel has cached is looked at, and it may drop that at any time. */
static int looks_up(const char *path)
{
	struct stat st;
	int r = -EAGAIN;

	for (int i = 0; i < 100 && r == -EAGAIN; i++) {
		fstatat(watch.root, path + 1, &st, 0);
		r = watch_lookup(&s, path);
	}
	return r;
}

static void test_lookup(void **state)
{
	int kept = watch.root;

	assert_int_equal(looks_up("/bin"), -EACCES);
	assert_int_equal(looks_up("/bin/text"), -EACCES);
	assert_int_equal(looks_up("/bin/program"), 0);
	assert_int_equal(looks_up("/secret/none"), -ENOENT);
	/* Nobody knows: a process's own, no path of ours, a link that the plan has not made. */
	assert_int_equal(watch_lookup(&s, "/proc/self/exe"), -EAGAIN);
	assert_int_equal(watch_lookup(&s, "bin/program"), -EAGAIN);
	assert_int_equal(looks_up("/home/u/work/loop"), -EAGAIN);
	assert_int_equal(looks_up("/home/u/work/nowhere"), -EAGAIN);
	watch.root = -1;
	assert_int_equal(watch_lookup(&s, "/bin/program"), -EAGAIN);
	watch.root = kept;
}

int main(void)
{
	const struct CMUnitTest by_text[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_in_workspace),
		cmocka_unit_test(test_plain_devices),
	};
	const struct CMUnitTest on_disk[] = {
		cmocka_unit_test(test_leads_out),
		cmocka_unit_test(test_leads_inside),
		cmocka_unit_test(test_lookup),
	};
	int failed = cmocka_run_group_tests(by_text, set_up, NULL);

	return failed + cmocka_run_group_tests(on_disk, make_root, remove_root);
}
