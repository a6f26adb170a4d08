/* SPDX-License-Identifier: Apache-2.0 */
/* `purple profile`: the user's own profiles, and the texts from the key table. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "cli/cmd_profile.h"
#include "policy/keys.h"

/* An empty configuration directory; its profiles go with it. */
struct place {
	char config[64], profiles[96];
	struct dirs dirs;
};

static int setup(void **state)
{
	struct place *at = calloc(1, sizeof(*at));

	if (!at)
		return -1;
	strcpy(at->config, "/tmp/purple-test-XXXXXX");
	if (!mkdtemp(at->config))
		return -1;
	snprintf(at->profiles, sizeof(at->profiles), "%s/purple/profiles", at->config);
	at->dirs.config = at->config;
	at->dirs.policy = (struct policy_dirs){ .user = at->profiles, .shipped = PROFILE_DIR };
	*state = at;
	/* Messages are not what is tested here. */
	return freopen("/dev/null", "w", stdout) ? 0 : -1;
}

static int teardown(void **state)
{
	struct place *at = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", at->config);
	free(at);
	return system(command);
}

static char *path_of(const struct place *at, const char *file)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", at->profiles, file);
	return path;
}

static void read_profile(const struct place *at, const char *file, struct buf *b)
{
	assert_int_equal(read_file_at(AT_FDCWD, path_of(at, file), b), 0);
}

static void test_create(void **state)
{
	const struct place *at = *state;
	_cleanup_buf_ struct buf b = BUF_INIT(4096);
	struct stat st;

	assert_int_equal(profile_create(&at->dirs, "../x", NULL), EXIT_PURPLE);
	assert_int_equal(profile_create(&at->dirs, "a", "a"), EXIT_PURPLE);
	assert_int_equal(profile_create(&at->dirs, "a", "no-such"), 1);
	assert_int_equal(access(at->profiles, F_OK), -1); /* nothing was made for these */
	assert_int_equal(profile_create(&at->dirs, "a", NULL), 0);
	assert_int_equal(profile_create(&at->dirs, "b", "strict"), 0);
	assert_int_equal(profile_create(&at->dirs, "b", NULL), EXIT_PURPLE);
	read_profile(at, "b.yaml", &b);
	assert_non_null(strstr(b.data, "extends: strict\n"));
	assert_int_equal(stat(path_of(at, "b.yaml"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_create_beside_link(void **state)
{
	const struct place *at = *state;
	char dir[96];

	/* purple/ is a link: not followed, nothing is written behind it. */
	snprintf(dir, sizeof(dir), "%s/purple", at->config);
	assert_int_equal(symlink("/tmp", dir), 0);
	assert_int_equal(profile_create(&at->dirs, "a", NULL), EXIT_PURPLE);
	assert_int_equal(access("/tmp/profiles/a.yaml", F_OK), -1);
}

static void test_delete(void **state)
{
	const struct place *at = *state;

	assert_int_equal(profile_create(&at->dirs, "a", NULL), 0);
	assert_int_equal(profile_delete(&at->dirs, "a"), 0);
	assert_int_equal(profile_delete(&at->dirs, "a"), EXIT_PURPLE);
	assert_int_equal(profile_delete(&at->dirs, "default"), EXIT_PURPLE);
	assert_int_equal(access(PROFILE_DIR "/default.yaml", F_OK), 0);
	assert_int_equal(symlink("/etc/passwd", path_of(at, "l.yaml")), 0);
	assert_int_equal(profile_delete(&at->dirs, "l"), 0);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
}

static void test_edit(void **state)
{
	const struct place *at = *state;
	_cleanup_buf_ struct buf b = BUF_INIT(4096), c = BUF_INIT(4096);

	unsetenv("VISUAL");
	setenv("EDITOR", "sed -i s/direct/read-only/", 1);
	assert_int_equal(profile_create(&at->dirs, "a", NULL), 0);
	assert_int_equal(profile_edit(&at->dirs, "a"), 0);
	read_profile(at, "a.yaml", &b);
	assert_non_null(strstr(b.data, "workspace: read-only"));
	/* A faulty text never comes into force; nor does what a failing editor left. */
	setenv("EDITOR", "sed -i s/read-only/raed-only/", 1);
	assert_int_equal(profile_edit(&at->dirs, "a"), 1);
	setenv("EDITOR", "false", 1);
	assert_int_equal(profile_edit(&at->dirs, "a"), EXIT_PURPLE);
	setenv("EDITOR", "/no/such/editor", 1);
	assert_int_equal(profile_edit(&at->dirs, "a"), EXIT_PURPLE);
	read_profile(at, "a.yaml", &c);
	assert_string_equal(b.data, c.data);
	/* Not the user's own, and a link. */
	assert_int_equal(profile_edit(&at->dirs, "default"), EXIT_PURPLE);
	assert_int_equal(symlink("/etc/passwd", path_of(at, "l.yaml")), 0);
	assert_int_equal(profile_edit(&at->dirs, "l"), EXIT_PURPLE);
}

static void test_no_home(void **state)
{
	struct dirs dirs = { 0 };

	assert_int_equal(profile_create(&dirs, "a", NULL), EXIT_PURPLE);
	assert_int_equal(profile_delete(&dirs, "a"), EXIT_PURPLE);
}

/* Both texts name every key. */
static void test_help(void **state)
{
	_cleanup_buf_ struct buf all = BUF_INIT(1 << 20), man = BUF_INIT(1 << 20);
	_cleanup_buf_ struct buf one = BUF_INIT(1 << 20), section = BUF_INIT(1 << 20);

	assert_int_equal(profile_explain("", &all), 0);
	profile_man(&man);
	for (size_t i = 0; i < policy_keys_count; i++) {
		char line[128];

		snprintf(line, sizeof(line), "%s: ", policy_keys[i].path);
		assert_non_null(strstr(all.data, line));
		assert_non_null(strstr(man.data, policy_keys[i].path));
	}
	assert_int_equal(profile_explain("resources.pids_limit", &one), 0);
	assert_non_null(strstr(one.data, "a whole number, 1 to 4194304"));
	assert_non_null(strstr(one.data, "Option: --pids-limit"));
	assert_int_equal(profile_explain("audit", &section), 0);
	assert_null(strstr(section.data, "network."));
	assert_int_equal(profile_explain("nonsense", &one), -ENOENT);
	assert_int_equal(profile_explain("aud", &one), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_create, setup, teardown),
		cmocka_unit_test_setup_teardown(test_create_beside_link, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delete, setup, teardown),
		cmocka_unit_test_setup_teardown(test_edit, setup, teardown),
		cmocka_unit_test(test_no_home),
		cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
