/* SPDX-License-Identifier: Apache-2.0 */
/* All layers at once: none is left out, and the filter does what its table says. */
#include "confine_test.h"

/* What it takes to see that each layer is there, and a file's opening that Landlock refuses. */
static const int calls[] = {
	SYS_openat,    SYS_capget,    SYS_prctl,     SYS_prlimit64, SYS_exit_group,
	SYS_kill,      SYS_getresuid, SYS_getresgid, SYS_getgroups, SYS_getppid,
#ifdef SYS_getrlimit
	SYS_getrlimit,
#endif
};
static const int families[] = { AF_INET6, AF_UNIX };

static const struct confine lenient = {
	.id = CONFINE_LEAVE_ROOT,
	.calls = calls,
	.call_count = ARRAY_SIZE(calls),
	.families = families,
	.family_count = ARRAY_SIZE(families),
	.lenient = true,
};

static int all(const struct confine *c)
{
	const char *step;

	return confine_all(c, &step);
}

static void test_all(void **state)
{
	int abi = sys_landlock_abi();

	check_row("all", "rights", ends(all, &lenient, rights_left), 0);
	check_row("all", "dumpable", ends(all, &lenient, is_dumpable), 0);
	check_row("all", "seccomp", ends(all, &lenient, make_child), EPERM);
	check_row("all", "Landlock", ends(all, &lenient, open_file), abi >= 1 ? EACCES : 0);
	if (geteuid() == 0 && ends(no_layer, &lenient, can_be_nobody) == 0)
		check_row("all", "id", ends(all, &lenient, is_nobody), 0);
}

static void test_refusals(void **state)
{
	struct confine c = lenient;

	check_row("lenient", "allowed", ends(confine_calls, &c, open_file), 0);
	check_row("lenient", "refused", ends(confine_calls, &c, make_child), EPERM);
	c.lenient = false;
	check_row("strict", "allowed", ends(confine_calls, &c, open_file), 0);
	check_row("strict", "refused", ends(confine_calls, &c, make_child), KILLED);
}

/* A call of the machine's other ABI, whose number is another call's here. */
static int other_abi(void)
{
#ifdef __x86_64__
	return result(syscall(SYS_openat | 0x40000000 /* __X32_SYSCALL_BIT */, AT_FDCWD, "/", 0));
#else
	return EPERM;
#endif
}

static void test_families(void **state)
{
	struct confine c = lenient;

	assert_int_equal(ends(confine_calls, &c, socket_unix), 0);
	assert_int_equal(ends(confine_calls, &c, socket_inet6), 0);
	assert_int_equal(ends(confine_calls, &c, socket_inet), EPERM);
	assert_int_equal(ends(confine_calls, &c, socket_packet), EPERM);
	c.family_count = 0;
	assert_int_equal(ends(confine_calls, &c, socket_unix), EPERM);
	assert_int_equal(ends(confine_calls, &c, other_abi), EPERM);
}

/* AF_UNIX is 1, which is write(2)'s number on x86-64: a family is no call. */
static int write_nothing(void)
{
	return result(syscall(SYS_writev, 1, NULL, 0));
}

static int socket_named_like_a_call(void)
{
	return result(syscall(SYS_socket, SYS_openat, SOCK_STREAM, 0));
}

static void test_numbers_are_not_mixed(void **state)
{
	assert_int_equal(ends(confine_calls, &lenient, socket_named_like_a_call), EPERM);
	assert_int_equal(ends(confine_calls, &lenient, write_nothing), EPERM);
}

static void test_ports(void **state)
{
	struct confine c = lenient;

	if (sys_landlock_abi() < 4)
		skip();
	assert_int_equal(ends(confine_files, &c, connect_tcp), EACCES);
	assert_int_equal(ends(confine_files, &c, listen_tcp), EACCES);
	c.connect_port = 1; /* where connect_tcp() goes */
	assert_int_equal(ends(confine_files, &c, connect_tcp), 0);
	c.connect_port = 2;
	assert_int_equal(ends(confine_files, &c, connect_tcp), EACCES);
	c.connects = true;
	assert_int_equal(ends(confine_files, &c, connect_tcp), 0);
	assert_int_equal(ends(confine_files, &c, listen_tcp), EACCES);
}

static void test_limits(void **state)
{
	static const int many[CONFINE_CALLS_MAX + 1];
	struct confine c = { .calls = many, .call_count = ARRAY_SIZE(many) };

	assert_int_equal(confine_calls(&c), -E2BIG);
	c = (struct confine){ .families = many, .family_count = CONFINE_FAMILIES_MAX + 1 };
	assert_int_equal(confine_calls(&c), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),	 cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_families), cmocka_unit_test(test_numbers_are_not_mixed),
		cmocka_unit_test(test_ports),	 cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
