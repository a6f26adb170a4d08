/* SPDX-License-Identifier: Apache-2.0 */
/* Where groups may be made, from the texts that /proc gives on several kinds of host. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"
#include "cgroup/internal.h"

#define BIT(c) (1u << PC_##c)

static char top[] = "/tmp/purple-cg-XXXXXX";

/* A directory of the pretended hierarchy. @path from its top. */
static void group(const char *path)
{
	char full[600];

	snprintf(full, sizeof(full), "%s/%s", top, path);
	assert_true(mkdir(full, 0755) == 0 || errno == EEXIST);
}

static void file(const char *path, const char *text)
{
	char full[600];
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", top, path);
	f = fopen(full, "we");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* A group of version 2 that may be written. */
static void group2(const char *path, const char *has, const char *gives, const char *procs)
{
	static const char *const names[] = { "cgroup.controllers", "cgroup.subtree_control",
					     "cgroup.procs", "cgroup.events" };
	const char *const text[] = { has, gives, procs, "populated 1\nfrozen 0\n" };
	char name[600];

	group(path);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(name, sizeof(name), "%s/%s", path, names[i]);
		file(name, text[i]);
	}
}

static void reset(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s/*", top);
	assert_int_equal(system(command), 0);
}

/* How a user's systemd shows itself; files below top, or NULL. */
static const char *booted, *runtime;

/* What cg_find() would say with these texts; %s in @mounts is where the pretended tree is. */
static void look(struct cg_site *s, bool root, const char *own, const char *const *mounts)
{
	struct cg_finder f = { .site = s, .root = root, .uid = 1000 };
	char paths[2][600];

	snprintf(paths[0], sizeof(paths[0]), "%s/%s", top, booted ? booted : "");
	snprintf(paths[1], sizeof(paths[1]), "%s/%s", top, runtime ? runtime : "");
	f.booted = booted ? paths[0] : NULL;
	f.runtime = runtime ? paths[1] : NULL;
	memset(s, 0, sizeof(*s));
	strncpy(f.own, own, sizeof(f.own) - 1);
	for (; *mounts; mounts++) {
		const char *mark = strchr(*mounts, '@');
		char line[700];

		if (mark)
			snprintf(line, sizeof(line), "%.*s%s%s", (int)(mark - *mounts), *mounts,
				 top, mark + 1);
		else
			snprintf(line, sizeof(line), "%s", *mounts);
		cg_find_line(&f, line);
	}
	cg_find_end(&f);
}

static void below_top(const char *path, const char *rest)
{
	char full[600];

	snprintf(full, sizeof(full), "%s/%s", top, rest);
	assert_string_equal(path, full);
}

static void test_mount_lines(void **state)
{
	static const struct {
		const char *line;
		bool usable, v2;
		uint32_t controllers;
		const char *root, *point;
	} t[] = {
		{ "31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup "
		  "rw,cpu,cpuacct",
		  true, false, BIT(CPU) | BIT(CPUACCT), "/", "/sys/fs/cgroup/cpu,cpuacct" },
		{ "30 22 0:27 /docker/ab /sys/fs/cgroup ro,nosuid master:4 shared:9 - cgroup2 cgroup "
		  "rw,nsdelegate",
		  true, true, 0, "/docker/ab", "/sys/fs/cgroup" },
		{ "37 30 0:34 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio", true, false,
		  BIT(IO), "/", "/sys/fs/cgroup/blkio" },
		/* no controller of ours */
		{ "39 30 0:36 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd", false },
		{ "39 30 0:36 / /sys/fs/cgroup/x rw - cgroup cgroup rw,name=cpux", false },
		{ "30 22 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755", false },
		{ "30 22 0:27 / /a\\040b rw - cgroup2 cgroup2 rw", false },
		{ "30 22 0:27 / rel rw - cgroup2 cgroup2 rw", false },
		/* cut short */
		{ "30 22 0:27 / /sys/fs/cgroup rw - cgroup2", false },
		{ "30 22 0:27 /", false },
		{ "", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct cg_mount m;
		char line[256];

		snprintf(line, sizeof(line), "%s", t[i].line);
		assert_int_equal(cg_parse_mount(line, &m), t[i].usable);
		if (!t[i].usable)
			continue;
		assert_int_equal(m.v2, t[i].v2);
		assert_int_equal(m.controllers, t[i].controllers);
		assert_string_equal(m.root, t[i].root);
		assert_string_equal(m.point, t[i].point);
	}
}

static void test_own_path(void **state)
{
	static const char hybrid[] = "9:name=systemd:/user.slice\n4:memory:/a/b\n"
				     "2:cpu,cpuacct:/c\n0::/user.slice/session-1.scope\n";
	char path[CG_PATH];

	assert_true(cg_own_path(hybrid, true, 0, path));
	assert_string_equal(path, "/user.slice/session-1.scope");
	assert_true(cg_own_path(hybrid, false, PC_MEMORY, path));
	assert_string_equal(path, "/a/b");
	assert_true(cg_own_path(hybrid, false, PC_CPUACCT, path));
	assert_string_equal(path, "/c");
	assert_false(cg_own_path(hybrid, false, PC_PIDS, path));
	assert_false(cg_own_path("4:memory:/a\n", true, 0, path));
	assert_false(cg_own_path("rubbish\n:\n::\n", false, PC_CPU, path));
	assert_false(cg_own_path("", true, 0, path));
}

static void test_own_dir(void **state)
{
	struct cg_mount m = { .v2 = true, .root = "/", .point = "/c" };
	char dir[CG_PATH];

	assert_true(cg_own_dir(&m, "/a/b", dir));
	assert_string_equal(dir, "/c/a/b");
	assert_true(cg_own_dir(&m, "/", dir));
	assert_string_equal(dir, "/c");
	m.root = "/docker/x";
	assert_true(cg_own_dir(&m, "/docker/x/y", dir));
	assert_string_equal(dir, "/c/y");
	assert_true(cg_own_dir(&m, "/docker/x", dir));
	assert_string_equal(dir, "/c");
	assert_false(cg_own_dir(&m, "/docker/xy", dir));
	assert_false(cg_own_dir(&m, "/elsewhere", dir));
	m.root = "/";
	assert_false(cg_own_dir(&m, "/../../a", dir));
}

static const char *const unified[] = {
	"22 1 254:0 / / rw - ext4 /dev/vda rw",
	"30 22 0:27 / @ rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot",
	NULL,
};

static void test_root_unified(void **state)
{
	struct cg_site s;

	reset();
	/* The machine's root group: no cgroup.events, and processes do not matter. */
	file("cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n");
	file("cgroup.subtree_control", "cpu memory pids\n");
	file("cgroup.procs", "1\n2\n");
	look(&s, true, "", unified);
	assert_int_equal(s.kind, CG_V2);
	assert_int_equal(s.controllers, (1u << PLAN_CONTROLLERS) - 1);
	assert_string_equal(s.why, "");
	below_top(s.v2, "purple");

	/* A container's: processes in it keep what is not passed on from being so. */
	file("cgroup.events", "populated 1\n");
	look(&s, true, "", unified);
	assert_int_equal(s.kind, CG_V2);
	assert_int_equal(s.controllers, BIT(CPU) | BIT(MEMORY) | BIT(PIDS) | CG_V2_ALWAYS);
	assert_non_null(strstr(s.why, "cpuset, io: "));
	assert_non_null(strstr(s.why, "holds processes"));
	file("cgroup.procs", "");
	look(&s, true, "", unified);
	assert_int_equal(s.controllers, (1u << PLAN_CONTROLLERS) - 1);
}

/* A user of systemd: a scope with Delegate=yes below app.slice. */
static void test_user_slices(void **state)
{
	static const char own[] =
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope\n";
	struct cg_site s;

	reset();
	group("user.slice");
	group("user.slice/user-1000.slice");
#define SERVICE "user.slice/user-1000.slice/user@1000.service"
	group2(SERVICE, "cpu memory pids\n", "cpu memory pids\n", "");
	group2(SERVICE "/app.slice", "cpu memory pids\n", "cpu memory pids\n", "");
	group2(SERVICE "/app.slice/run-1.scope", "cpu memory pids\n", "", "77\n");
	look(&s, false, own, unified);
	assert_int_equal(s.kind, CG_V2);
	assert_int_equal(s.controllers, BIT(CPU) | BIT(MEMORY) | BIT(PIDS) | CG_V2_ALWAYS);
	below_top(s.v2, SERVICE "/app.slice");
	assert_string_equal(s.why, "cpuset, io: not delegated to this user");

	/* Nobody in it but below: its own group is the nearest. */
	file(SERVICE "/app.slice/run-1.scope/cgroup.procs", "");
	look(&s, false, own, unified);
	below_top(s.v2, SERVICE "/app.slice/run-1.scope");

	/* Only the own group was delegated, and it holds us: it tracks but limits nothing. */
	file(SERVICE "/app.slice/run-1.scope/cgroup.procs", "77\n");
	snprintf(s.why, sizeof(s.why), "%s/" SERVICE "/app.slice/cgroup.subtree_control", top);
	assert_int_equal(unlink(s.why), 0);
	look(&s, false, own, unified);
	assert_int_equal(s.kind, CG_V2);
	assert_int_equal(s.controllers, CG_V2_ALWAYS);
	assert_non_null(strstr(s.why, "cpu, cpuset, memory, pids, io: "));
	assert_non_null(strstr(s.why, "holds processes"));

	/* A login session: nothing delegated. */
	look(&s, false, "0::/user.slice/user-1000.slice/session-3.scope\n", unified);
	assert_int_equal(s.kind, CG_NONE);
	assert_int_equal(s.controllers, 0);
	assert_string_equal(s.why, "no control group is delegated to this user");
}

/* A login session where systemd would make a scope if it were asked. */
static void session(void)
{
	reset();
	group("user.slice");
	group("user.slice/user-1000.slice");
	group("user.slice/user-1000.slice/session-3.scope");
	group2(SERVICE, "cpu memory pids\n", "memory pids\n", "");
	group("run");
	group("run/system");
	group("run/user");
	file("run/user/bus", "");
	booted = "run/system";
	runtime = "run/user";
}

static const char login[] = "0::/user.slice/user-1000.slice/session-3.scope\n";

static void test_scope(void **state)
{
	struct cg_site s;
	uint64_t identity;

	session();
	look(&s, false, login, unified);
	assert_int_equal(s.kind, CG_SCOPE);
	/* What the user's systemd has, not what it passes on now; and nothing that only counts. */
	assert_int_equal(s.controllers, BIT(CPU) | BIT(MEMORY) | BIT(PIDS));
	assert_string_equal(s.v2, "");
	assert_string_equal(s.why, "cpuset, io: not delegated to this user");
	/* A plan that was made with this does not fit where the systemd has more. */
	identity = cg_site_identity(&s);
	file(SERVICE "/cgroup.controllers", "cpuset cpu io memory pids\n");
	look(&s, false, login, unified);
	assert_int_equal(s.controllers, CG_LIMITING);
	assert_string_equal(s.why, "");
	assert_int_not_equal(cg_site_identity(&s), identity);

	/* Without a bus the systemd's own socket will do. */
	session();
	snprintf(s.why, sizeof(s.why), "%s/run/user/bus", top);
	assert_int_equal(unlink(s.why), 0);
	group("run/user/systemd");
	file("run/user/systemd/private", "");
	look(&s, false, login, unified);
	assert_int_equal(s.kind, CG_SCOPE);

	/* What is delegated needs no scope. */
	session();
	look(&s, false, "0::/" SERVICE "\n", unified);
	assert_int_equal(s.kind, CG_V2);
	below_top(s.v2, SERVICE);
}

static void no_scope(const char *own)
{
	struct cg_site s;

	look(&s, false, own, unified);
	assert_int_equal(s.kind, CG_NONE);
	assert_int_equal(s.controllers, 0);
	assert_string_equal(s.why, "no control group is delegated to this user");
}

static void test_no_scope(void **state)
{
	char path[600];
	struct cg_site s;

	session();
	booted = NULL; /* built without libsystemd */
	no_scope(login);
	session();
	booted = "run/nothing"; /* another init */
	no_scope(login);
	session();
	runtime = NULL;
	no_scope(login);
	session();
	snprintf(path, sizeof(path), "%s/run/user/bus", top);
	assert_int_equal(unlink(path), 0);
	no_scope(login);
	/* The user's systemd does not run; or it is not ours to ask. */
	session();
	snprintf(path, sizeof(path), "%s/" SERVICE "/cgroup.subtree_control", top);
	assert_int_equal(unlink(path), 0);
	no_scope(login);
	/* It has nothing that limits. */
	session();
	file(SERVICE "/cgroup.controllers", "hugetlb\n");
	no_scope(login);
	/* Root's groups are read-only: a container's. */
	session();
	look(&s, true, login, unified);
	assert_int_equal(s.kind, CG_NONE);
	booted = runtime = NULL;
}

static const char *const hybrid[] = {
	"31 30 0:28 / @/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
	"34 30 0:31 / @/memory rw - cgroup cgroup rw,memory",
	"36 30 0:33 / @/freezer rw - cgroup cgroup rw,freezer",
	"38 30 0:35 / @/pids rw - cgroup cgroup rw,pids",
	"39 30 0:36 / @/systemd rw - cgroup cgroup rw,name=systemd",
	"40 30 0:37 / @/unified rw - cgroup2 cgroup2 rw",
	NULL,
};

static void hybrid_tree(bool v2)
{
	static const char *const dirs[] = { "cpu,cpuacct", "memory", "freezer", "pids" };
	char name[64];

	reset();
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		group(dirs[i]);
		snprintf(name, sizeof(name), "%s/cgroup.procs", dirs[i]);
		file(name, "");
	}
	if (v2)
		group2("unified", "hugetlb\n", "", "1\n");
}

static void test_hybrid(void **state)
{
	struct cg_site s;

	hybrid_tree(true);
	look(&s, true, "", hybrid);
	assert_int_equal(s.kind, CG_HYBRID);
	assert_int_equal(s.controllers, BIT(CPU) | BIT(MEMORY) | BIT(PIDS) | CG_V2_ALWAYS);
	below_top(s.v2, "unified/purple");
	below_top(s.v1[PC_CPU], "cpu,cpuacct/purple");
	assert_string_equal(s.v1[PC_CPUACCT], ""); /* version 2 counts and freezes */
	assert_string_equal(s.v1[PC_FREEZER], "");
	assert_string_equal(s.why, "cpuset, io: this kernel or container does not offer it");

	hybrid_tree(false);
	look(&s, true, "", hybrid);
	assert_int_equal(s.kind, CG_V1);
	below_top(s.v1[PC_CPUACCT], "cpu,cpuacct/purple");
	below_top(s.v1[PC_FREEZER], "freezer/purple");
}

static void test_user_hybrid(void **state)
{
	static const char own[] = "4:memory:/mine\n3:pids:/\n2:freezer:/mine\n0::/\n";
	struct cg_site s;

	hybrid_tree(false);
	group("memory/mine");
	file("memory/mine/cgroup.procs", "");
	look(&s, false, own, hybrid);
	/* Nothing that freezes: a group that cannot be killed for sure is none. */
	assert_int_equal(s.kind, CG_NONE);
	assert_int_equal(s.controllers, 0);
	group("freezer/mine");
	file("freezer/mine/cgroup.procs", "");
	look(&s, false, own, hybrid);
	assert_int_equal(s.kind, CG_V1);
	below_top(s.v1[PC_MEMORY], "memory/mine");
	below_top(s.v1[PC_PIDS], "pids");
}

static void test_nothing(void **state)
{
	static const char *const none[] = { "22 1 254:0 / / rw - ext4 /dev/vda rw", NULL };
	struct cg_site s, other;

	look(&s, true, "", none);
	assert_int_equal(s.kind, CG_NONE);
	assert_string_equal(s.why, "no control groups are mounted");
	look(&other, true, "", none);
	assert_int_equal(cg_site_identity(&s), cg_site_identity(&other));
	other.controllers = BIT(PIDS);
	assert_int_not_equal(cg_site_identity(&s), cg_site_identity(&other));
}

static void test_text(void **state)
{
	char out[CG_NUMBER], path[CG_PATH], big[CG_PATH];
	const char *end;
	uint64_t v;

	assert_int_equal(cg_number(out, UINT64_MAX), 20);
	assert_string_equal(out, "18446744073709551615");
	assert_int_equal(cg_number(out, 0), 1);
	assert_int_equal(cg_digits("18446744073709551616x", &end), UINT64_MAX);
	assert_string_equal(end, "x");
	assert_true(cg_keyed("oom 1\noom_kill 3\n", "oom_kill", &v));
	assert_int_equal(v, 3);
	assert_false(cg_keyed("oom_kill 3\n", "oom", &v));
	assert_false(cg_keyed("max \n", "max", &v));
	assert_true(cg_has_word("cpuset cpu io\n", "cpu"));
	assert_false(cg_has_word("cpuset io\n", "cpu"));
	assert_true(cg_join(path, "/a/", "/b"));
	assert_string_equal(path, "/a/b");
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	assert_false(cg_join(path, "/a", big));
	assert_string_equal(path, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),	     cmocka_unit_test(test_mount_lines),
		cmocka_unit_test(test_own_path),     cmocka_unit_test(test_own_dir),
		cmocka_unit_test(test_root_unified), cmocka_unit_test(test_user_slices),
		cmocka_unit_test(test_hybrid),	     cmocka_unit_test(test_user_hybrid),
		cmocka_unit_test(test_scope),	     cmocka_unit_test(test_no_scope),
		cmocka_unit_test(test_nothing),
	};
	int r;

	if (!mkdtemp(top))
		return 77;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	reset();
	rmdir(top);
	return r;
}
