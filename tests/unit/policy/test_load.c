/* SPDX-License-Identifier: Apache-2.0 */
/* Files: look-up by name, chains of extends, existing policy files, shipped profiles. */
#include "policy_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sha256.h"
#include "base/str.h"

/* A directory with three profile directories, gone at the end of the test. */
struct place {
	char root[64], admin[80], user[80], shipped[80];
	struct policy_dirs dirs;
};

static void remove_files(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(dir);
}

static int setup(void **state)
{
	struct place *at = calloc(1, sizeof(*at));

	strcpy(at->root, "/tmp/purple-test-XXXXXX");
	if (!mkdtemp(at->root))
		return -1;
	snprintf(at->admin, sizeof(at->admin), "%s/admin", at->root);
	snprintf(at->user, sizeof(at->user), "%s/user", at->root);
	snprintf(at->shipped, sizeof(at->shipped), "%s/shipped", at->root);
	mkdir(at->admin, 0700);
	mkdir(at->user, 0700);
	mkdir(at->shipped, 0700);
	at->dirs = (struct policy_dirs){ at->admin, at->user, at->shipped };
	*state = at;
	return 0;
}

static int teardown(void **state)
{
	struct place *at = *state;

	remove_files(at->admin);
	remove_files(at->user);
	remove_files(at->shipped);
	remove_files(at->root);
	free(at);
	return 0;
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, text, strlen(text)), 0);
	close(fd);
}

/* policy_load() must fail, and say @part. */
static void refuse(const struct place *at, const char *what, const char *part)
{
	_cleanup_diags_ struct diags d = DIAGS_INIT;
	_cleanup_policy_ struct policy p;

	assert_true(policy_load(&p, what, &at->dirs, &d) < 0);
	if (!strstr(diags_text(&d), part))
		print_error("want: %s\ngot:  %s", part, diags_text(&d));
	assert_non_null(strstr(diags_text(&d), part));
	assert_int_equal(d.errors, 1);
}

static void test_names(void **state)
{
	static const char *const good[] = { "a", "0", "a.b-c_d", "coding-agent" };
	static const char *const bad[] = {
		"",	".",   "..",
		"a..b", "-a",  "_a",
		"A",	"a/b", "../a",
		"a b",	"a\n", "0123456789012345678901234567890123456789012345678901234567890123x",
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(policy_name_ok(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(policy_name_ok(bad[i]));
}

static void test_find(void **state)
{
	const struct place *at = *state;
	struct policy_dirs dirs = at->dirs;
	char path[256];

	put(at->shipped, "x.yaml", "name: shipped");
	assert_int_equal(policy_find("x", &dirs, path, sizeof(path)), 0);
	assert_non_null(str_after(path, at->shipped));
	put(at->user, "x.yaml", "name: user");
	assert_int_equal(policy_find("x", &dirs, path, sizeof(path)), 0);
	assert_non_null(str_after(path, at->user));
	put(at->admin, "x.yaml", "name: admin");
	assert_int_equal(policy_find("x", &dirs, path, sizeof(path)), 0);
	assert_non_null(str_after(path, at->admin));
	dirs.admin = dirs.user = NULL;
	assert_int_equal(policy_find("x", &dirs, path, sizeof(path)), 0);
	assert_int_equal(policy_find("y", &dirs, path, sizeof(path)), -ENOENT);
	assert_int_equal(policy_find("../x", &dirs, path, sizeof(path)), -EINVAL);
	assert_int_equal(policy_find("x", &dirs, path, 10), -ENOENT);
}

static void test_extends(void **state)
{
	static const char child[] = "extends: parent\nname: child\nresources: {pids_limit: 5}\n"
				    "syscalls: {allow: [b], deny: !replace [d]}\n"
				    "environment: {set: {A: child}}\n";
	const struct place *at = *state;
	_cleanup_diags_ struct diags d = DIAGS_INIT;
	_cleanup_policy_ struct policy p;
	struct sha256 sha;
	uint8_t sum[32];

	put(at->shipped, "parent.yaml",
	    "name: parent\ndescription: of the parent\nresources: {pids_limit: 9, open_files: 99}\n"
	    "syscalls: {allow: [a], deny: [c]}\nenvironment: {set: {A: parent, B: parent}}\n");
	put(at->user, "child.yaml", child);
	assert_int_equal(policy_load(&p, "child", &at->dirs, &d), 0);
	assert_string_equal(p.name.s, "child");
	assert_null(p.description.s);
	assert_int_equal(p.resources.pids_limit.v, 5);
	assert_int_equal(p.resources.open_files.v, 99);
	assert_int_equal(p.syscalls.allow.count, 2);
	assert_string_equal(p.syscalls.allow.items[0].s, "a");
	assert_int_equal(p.syscalls.deny.count, 1);
	assert_string_equal(p.syscalls.deny.items[0].s, "d");
	assert_int_equal(p.environment.set.count, 2);
	assert_string_equal(p.environment.set.items[0].value, "child");
	assert_int_equal(p.sources_count, 2);
	assert_non_null(strstr(p.sources[0].path, "child.yaml"));
	assert_non_null(strstr(p.sources[1].path, "parent.yaml"));
	sha256_init(&sha);
	sha256_add(&sha, child, strlen(child));
	sha256_done(&sha, sum);
	assert_memory_equal(sum, p.sources[0].sha256, 32);
	/* admin/child, admin/parent and user/parent would have won. */
	assert_int_equal(p.absent_count, 3);
	assert_non_null(strstr(p.absent[2], "user/parent.yaml"));
}

/* A line as a refusal names it, pasted in front, behind, or twice. */
static void test_dotted(void **state)
{
	struct policy p;

	(void)state;
	policy_init(&p);
	parse_good(&p, "syscalls.allow: [bpf]\nsyscalls: {allow: [keyctl], deny: [acct, kcmp]}\n"
		       "resources: {pids_limit: 3}\nresources.pids_limit: 6\n"
		       "syscalls.allow: [mount]\nsyscalls.deny: !replace [kcmp]\n"
		       "resources.pids: 7\n");
	assert_int_equal(p.syscalls.allow.count, 3);
	assert_string_equal(p.syscalls.allow.items[2].s, "mount");
	assert_int_equal(p.syscalls.deny.count, 1);
	assert_string_equal(p.syscalls.deny.items[0].s, "kcmp");
	assert_int_equal(p.resources.pids_limit.v, 7);
	policy_free(&p);
}

static void test_relative_file(void **state)
{
	const struct place *at = *state;
	_cleanup_diags_ struct diags d = DIAGS_INIT;
	_cleanup_policy_ struct policy p;
	char path[256];

	put(at->root, "base.yaml", "nesting: true");
	put(at->root, "here.yaml", "extends: ./base.yaml");
	snprintf(path, sizeof(path), "%s/here.yaml", at->root);
	assert_int_equal(policy_load(&p, path, &at->dirs, &d), 0);
	assert_true(p.nesting);
	assert_string_equal(p.name.s, "here");
}

static void test_refused(void **state)
{
	const struct place *at = *state;
	_cleanup_diags_ struct diags d = DIAGS_INIT;
	_cleanup_policy_ struct policy p;
	char path[256], name[16], text[64];

	refuse(at, "nope", "nope: there is no profile nope; `purple profile list`");
	refuse(at, "a..b", "is not the name of a profile");
	refuse(at, "./nope/x", "cannot read ./nope/x: No such file or directory");
	refuse(at, "/", "/ is a directory; a policy is a regular file");
	refuse(at, "/dev/zero", "/dev/zero is a special file; a policy is a regular file");
	put(at->user, "self.yaml", "extends: self");
	refuse(at, "self", "self.yaml:1:10: extends: ");
	put(at->user, "one.yaml", "extends: two");
	put(at->user, "two.yaml", "extends: one");
	refuse(at, "one", "extends itself, perhaps over others");
	for (int i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "c%d.yaml", i);
		snprintf(text, sizeof(text), "extends: c%d", i + 1);
		put(at->user, name, i < 8 ? text : "nesting: true");
	}
	refuse(at, "c0", "more than 8 policies extend each other");
	put(at->user, "up.yaml", "extends: ..");
	refuse(at, "up", "extends: .. is not the name of a profile");
	put(at->admin, "lock.yaml", "locked: true");
	put(at->user, "pick.yaml", "extends: lock");
	refuse(at, "pick", "pick.yaml:1:10: extends: lock is locked by its author");
	/* A sparse file of 100 MB. */
	snprintf(path, sizeof(path), "%s/big.yaml", at->user);
	put(at->user, "big.yaml", "#");
	assert_int_equal(truncate(path, 100 << 20), 0);
	refuse(at, "big", "is too large; a policy file may have 1 MiB");
	snprintf(path, sizeof(path), "%s/pipe.yaml", at->user);
	assert_int_equal(mkfifo(path, 0600), 0);
	refuse(at, "pipe", "is a special file");
	/* No directories at all. */
	assert_int_equal(policy_load(&p, "x", NULL, &d), -ENOENT);
}

static void load_data(struct policy *p, const char *name, unsigned warnings)
{
	_cleanup_diags_ struct diags d = DIAGS_INIT;
	char path[512];
	int r;

	snprintf(path, sizeof(path), "%s/%s", DATA_DIR, name);
	r = policy_load(p, path, NULL, &d);
	if (r == 0)
		r = policy_validate(p, &d);
	if (r < 0)
		print_error("%s", diags_text(&d));
	assert_int_equal(r, 0);
	assert_int_equal(d.warnings, warnings);
}

/* Files as they exist, of all sections, load as they are. */
static void test_legacy(void **state)
{
	_cleanup_policy_ struct policy p, minimal, worker;
	const struct policy_sysrule *rules;

	load_data(&p, "legacy-scraper.yaml", 3);
	assert_string_equal(p.name.s, "web-scraper");
	assert_int_equal(p.filesystem.immutable_paths.count, 3);
	assert_string_equal(p.filesystem.output_paths.items[0].sandbox, "/output");
	assert_int_equal(p.syscalls.allow.count, 10);
	rules = p.syscalls.advanced_rules.items;
	assert_int_equal(p.syscalls.advanced_rules.count, 3);
	assert_true(rules[0].allow);
	assert_int_equal(rules[1].conds[0].value, 0x5401);
	assert_int_equal(rules[2].conds[0].op, OP_MASKED_EQ);
	assert_int_equal(rules[2].conds[0].mask, 3);
	assert_int_equal(p.resources.cpu_millis.v, 500);
	assert_int_equal(p.resources.memory_limit_bytes.v, 512 << 20);
	assert_int_equal(p.resources.block_io_limit.v, 50 << 20);
	assert_false(p.network.isolated);
	assert_string_equal(p.network.allow_outgoing.items[1].s, "80");
	assert_string_equal(p.network.allow_outgoing.items[2].s, "8.8.8.8:53");
	assert_string_equal(p.network.dns_servers.items[1].s, "1.1.1.1");
	assert_int_equal(p.audit.detail_level.count, 7);
	load_data(&minimal, "legacy-minimal.yaml", 1);
	assert_true(minimal.network.isolated);
	load_data(&worker, "legacy-worker.yaml", 3);
	assert_int_equal(worker.syscalls.advanced_rules.items[2].conds[3].op, OP_MASKED_NEQ);
	assert_int_equal(worker.syscalls.advanced_rules.items[2].conds[2].value, UINT64_MAX);
	assert_int_equal(worker.resources.memory_limit_bytes.v, 1 << 30);
}

static void test_shipped(void **state)
{
	static const char *const names[] = {
		"default",   "strict",	     "coding-agent",   "python",   "node",
		"ci-worker", "code-analyst", "data-retriever", "honeypot",
	};
	const struct policy_dirs dirs = { .shipped = PROFILE_DIR };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_diags_ struct diags d = DIAGS_INIT;
		_cleanup_policy_ struct policy p;

		assert_int_equal(policy_load(&p, names[i], &dirs, &d), 0);
		assert_int_equal(policy_validate(&p, &d), 0);
		assert_int_equal(d.warnings, 0);
		assert_string_equal(p.name.s, names[i]);
		assert_non_null(p.description.s);
		assert_true(p.network.isolated && p.capabilities.default_drop && !p.nesting);
		assert_true(p.resources.pids_limit.set);
		assert_int_equal(p.sources_count, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test_setup_teardown(test_find, setup, teardown),
		cmocka_unit_test(test_dotted),
		cmocka_unit_test_setup_teardown(test_extends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_relative_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test(test_legacy),
		cmocka_unit_test(test_shipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
