/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Into a scope and on, in this kernel's version 2 tree: a group made here stands
 * for the scope, since there is no systemd in a test. Needs root and cgroup2.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"
#include "cgroup/internal.h"

static char scope[CG_PATH], unit[64]; /* the group, and its last part */

static int write_to(const char *name, const char *text)
{
	char path[CG_PATH + 32];
	int fd, r;

	snprintf(path, sizeof(path), "%s/%s", scope, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static void own_group(char *ret, size_t size)
{
	char text[CG_TEXT];

	assert_true(cg_read(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text)) > 0);
	assert_true(cg_own_path(text, true, 0, ret));
}

/* A controller of the scope's that can be passed on, "+memory", or "". */
static void some_controller(char ret[64])
{
	char text[512], path[CG_PATH];

	ret[0] = '\0';
	assert_true(cg_join(path, scope, "cgroup.controllers"));
	assert_true(cg_read(AT_FDCWD, path, text, sizeof(text)) >= 0);
	text[strcspn(text, " \n")] = '\0';
	if (text[0] != '\0')
		snprintf(ret, 64, "+%.60s", text);
}

static void enter_and_make_a_leaf(void **state)
{
	static struct cg_site s;
	char path[CG_PATH], end[128], controller[64], id[32];
	struct cg_leaf l;
	struct err e = { 0 };

	/* Not in it yet. */
	assert_int_equal(cg_scope_enter(&s, unit, &e), -ENOENT);
	assert_non_null(strstr(e.message, unit));
	assert_int_equal(s.kind, CG_NONE);

	/* As systemd leaves us: in the scope, which therefore passes nothing on. */
	assert_int_equal(write_to("cgroup.procs", "0"), 0);
	some_controller(controller);
	if (controller[0] != '\0')
		assert_int_equal(write_to("cgroup.subtree_control", controller), -EBUSY);
	memset(&e, 0, sizeof(e));
	if (cg_scope_enter(&s, unit, &e) < 0)
		fail_msg("%s: %s", e.message, strerror(e.code));
	own_group(path, sizeof(path));
	snprintf(end, sizeof(end), "/%s/supervisor", unit);
	assert_true(strlen(path) >= strlen(end));
	assert_string_equal(path + strlen(path) - strlen(end), end);
	/* Both at once where root, whom nothing is refused, has version 1 too. */
	assert_true(s.kind == CG_V2 || s.kind == CG_HYBRID);
	assert_string_equal(s.v2, scope);
	assert_int_equal(s.controllers & CG_V2_ALWAYS, CG_V2_ALWAYS);
	if (controller[0] != '\0')
		assert_int_equal(write_to("cgroup.subtree_control", controller), 0);

	/* Where a sandbox's group can be made, and a process started in it. */
	snprintf(id, sizeof(id), "test%d", (int)getpid());
	if (cg_create(&l, &s, id, NULL, NULL, &e) < 0)
		fail_msg("%s: %s", e.message, strerror(e.code));
	snprintf(path, sizeof(path), "%.400s/" CG_PREFIX "%s", scope, id);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(cg_remove(&l), 0);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void test_enter(void **state)
{
	int status;
	pid_t pid;

	pid = fork();
	assert_true(pid >= 0);
	/* What fails in the child fails a run of its own. */
	if (pid == 0) {
		const struct CMUnitTest inner[] = {
			cmocka_unit_test(enter_and_make_a_leaf),
		};

		_exit(cmocka_run_group_tests(inner, NULL, NULL));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* The first hierarchy of version 2, and in it the scope. False: there is none to write in. */
static bool make_scope(void)
{
	struct cg_site s = { 0 };
	struct cg_finder f = { .site = &s };

	cg_find_mounts(&f);
	if (f.dir[0] == '\0')
		return false;
	snprintf(unit, sizeof(unit), "purple-test%d.scope", (int)getpid());
	return cg_join(scope, f.dir, unit) && mkdir(scope, 0755) == 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_enter) };
	char own[CG_PATH + 16];
	int r;

	if (!make_scope()) {
		fprintf(stderr, "no group of version 2 can be made here\n");
		return 77;
	}
	r = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(own, sizeof(own), "%s/supervisor", scope);
	rmdir(own);
	rmdir(scope);
	return r;
}
