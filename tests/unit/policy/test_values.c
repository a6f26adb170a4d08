/* SPDX-License-Identifier: Apache-2.0 */
/* What good policies parse to: values, lists, defaults, options, the table itself. */
#include "policy_test.h"

#include "base/str.h"
#include "policy/keys.h"
#include "policy/netrule.h"

static void test_defaults(void **state)
{
	_cleanup_policy_ struct policy p;

	policy_init(&p);
	assert_int_equal(p.enforcement, ENFORCE_STRICT);
	assert_false(p.nesting || p.locked || p.audit.enabled || p.filesystem.sys ||
		     p.syscalls.kill);
	assert_true(p.filesystem.system && p.syscalls.default_deny && p.capabilities.default_drop);
	assert_true(p.network.isolated && p.network.loopback);
	assert_int_equal(p.filesystem.workspace, WS_DIRECT);
	assert_int_equal(p.filesystem.home, HOME_SCRATCH);
	assert_int_equal(p.filesystem.proc, PROC_MASKED);
	assert_int_equal(p.filesystem.scratch_bytes.v, 512 << 20);
	assert_string_equal(p.filesystem.working_dir.s, ".");
	assert_int_equal(p.syscalls.baseline, BASELINE_DEFAULT);
	assert_false(p.resources.pids_limit.set);
	assert_true(p.resources.core_size_bytes.set && p.resources.core_size_bytes.v == 0);
	assert_null(policy_where(&p, "network.isolated").file);
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t v;
	} sizes[] = {
		{ "2G", 2ull << 30 },	 { "512M", 512 << 20 },	 { "\"1024MB\"", 1 << 30 },
		{ "2048KiB", 2 << 20 },	 { "1048576", 1 << 20 }, { "1.5G", 3ull << 29 },
		{ "0x100000", 1 << 20 }, { "1048576B", 1 << 20 }, { "1TiB", 1ull << 40 },
		{ "2m", 2 << 20 },
	}, rates[] = {
		{ "50MBps", 50 << 20 },	 { "1GBps", 1 << 30 }, { "64KB/s", 64 << 10 },
		{ "65536", 65536 },	 { "65536Bps", 65536 },
	}, cores[] = {
		{ "1.5", 1500 }, { "2", 2000 }, { "0.25", 250 }, { "0.0109", 10 },
	};
	char text[128];

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_policy_ struct policy p;

		snprintf(text, sizeof(text), "resources: {memory_limit_bytes: %s}", sizes[i].text);
		parse_good(&p, text);
		assert_int_equal(p.resources.memory_limit_bytes.v, sizes[i].v);
	}
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		_cleanup_policy_ struct policy p;

		snprintf(text, sizeof(text), "resources: {block_io_limit: %s}", rates[i].text);
		parse_good(&p, text);
		assert_int_equal(p.resources.block_io_limit.v, rates[i].v);
	}
	for (size_t i = 0; i < ARRAY_SIZE(cores); i++) {
		_cleanup_policy_ struct policy p;

		snprintf(text, sizeof(text), "resources: {cpu_shares: %s}", cores[i].text);
		parse_good(&p, text);
		assert_int_equal(p.resources.cpu_millis.v, cores[i].v);
	}
}

static void test_lists(void **state)
{
	_cleanup_policy_ struct policy p;

	parse_good(
		&p,
		"name: x\n"
		"filesystem:\n  immutable_paths:\n    - /opt\n"
		"    - {host_path: ~/.cargo, sandbox_path: /c, optional: true}\n"
		"  scratch_paths: [/out]\n  output_paths: [{host_path: /srv/o, sandbox_path: /out}]\n"
		"  working_dir: \"${WORKSPACE}/src\"\n"
		"capabilities: {add: [net_bind_service], drop: [ALL]}\n"
		"network: {isolated: false, allow_outgoing: [443, API.Example.com.:443]}\n"
		"environment: {pass: [LANG, LC_*], set: {A: 1, B: \"\", C: true}}\n"
		"devices: {gpu: all, allow: [/dev/kvm, vendor.com/class=x]}\n");
	assert_int_equal(p.filesystem.immutable_paths.count, 2);
	assert_string_equal(p.filesystem.immutable_paths.items[0].sandbox, "/opt");
	assert_string_equal(p.filesystem.immutable_paths.items[1].host, "~/.cargo");
	assert_string_equal(p.filesystem.immutable_paths.items[1].sandbox, "/c");
	assert_true(p.filesystem.immutable_paths.items[1].optional);
	assert_int_equal(p.filesystem.immutable_paths.items[1].pos.line, 5);
	assert_string_equal(p.filesystem.working_dir.s, "${WORKSPACE}/src");
	assert_string_equal(p.capabilities.add.items[0].s, "CAP_NET_BIND_SERVICE");
	assert_string_equal(p.network.allow_outgoing.items[0].s, "443");
	assert_string_equal(p.network.allow_outgoing.items[1].s, "api.example.com:443");
	assert_int_equal(p.environment.set.count, 3);
	assert_string_equal(p.environment.set.items[0].value, "1");
	assert_string_equal(p.environment.set.items[1].value, "");
	assert_string_equal(p.environment.set.items[2].value, "true");
	assert_string_equal(p.devices.gpu.items[0].s, "all");
	assert_int_equal(policy_where(&p, "network.isolated").line, 10);
}

static void test_overlays(void **state)
{
	_cleanup_policy_ struct policy p;

	parse_good(&p, "filesystem:\n  overlays:\n    - {path: /srv/a, mode: review}\n"
		       "    - {mode: scratch, path: ~/b}\n  output_bytes: 2M\n");
	assert_int_equal(p.filesystem.overlays.count, 2);
	assert_string_equal(p.filesystem.overlays.items[0].path, "/srv/a");
	assert_int_equal(p.filesystem.overlays.items[0].mode, WS_REVIEW);
	assert_string_equal(p.filesystem.overlays.items[1].path, "~/b");
	assert_int_equal(p.filesystem.overlays.items[1].mode, WS_SCRATCH);
	assert_int_equal(p.filesystem.overlays.items[1].pos.line, 4);
	assert_int_equal(p.filesystem.output_bytes.v, 2 << 20);
}

static void test_aliases(void **state)
{
	_cleanup_policy_ struct policy p;

	parse_good(&p, "syscalls: {allow: &l [read, write], deny: [mount]}\n"
		       "resources: {memory: 2M}\nenvironment: {pass: *l}\n");
	assert_int_equal(p.environment.pass.count, 2);
	assert_int_equal(p.resources.memory_limit_bytes.v, 2 << 20);
}

static void test_set(void **state)
{
	static const struct {
		const char *assignment, *line;
	} bad[] = {
		{ "resources.pids_limt=3",
		  "--o: resources.pids_limt: unknown key; did you mean resources.pids_limit?\n" },
		{ "resources.pids_limit=x",
		  "--o: resources.pids_limit: x is not a whole number\n" },
		{ "resources.pids_limit",
		  "--o: resources.pids_limit: write KEY=VALUE, or KEY+=ITEM for a list\n" },
		{ "resources.pids_limit+=3",
		  "--o: resources.pids_limit: not a list; write = instead of +=\n" },
		{ "extends=default", "--o: extends: this can only be written in a policy file\n" },
		{ "locked=true", "--o: locked: this can only be written in a policy file\n" },
		{ "environment.set+=A", "--o: environment.set: write NAME=VALUE\n" },
		{ "filesystem.writable_paths+=/a:../b",
		  "--o: filesystem.writable_paths: '..' in a path; write where it leads to\n" },
		{ "=3", "--o: unknown key; `purple profile explain` lists what there is\n" },
	};
	_cleanup_diags_ struct diags d = DIAGS_INIT;
	_cleanup_policy_ struct policy p;

	parse_good(
		&p,
		"network: {isolated: false, allow_outgoing: [\"443\"]}\nenvironment: {set: {A: 1}}");
	assert_int_equal(policy_set(&p, "resources.pids_limit=64", "--pids-limit", &d), 0);
	assert_int_equal(policy_set(&p, "name=7", "--name", &d), 0); /* no quotes in options */
	assert_int_equal(
		policy_set(&p, "network.allow_outgoing+=*.github.com:443", "--allow-net", &d), 0);
	assert_int_equal(policy_set(&p, "filesystem.writable_paths+=~/x:/y", "--rw", &d), 0);
	assert_int_equal(policy_set(&p, "filesystem.writable_paths+=/srv/a:b", "--rw", &d), 0);
	assert_int_equal(policy_set(&p, "environment.set+=A=b=c", "--env", &d), 0);
	assert_int_equal(policy_set(&p, "environment.set+=B=", "--env", &d), 0);
	assert_int_equal(policy_set(&p, "filesystem.home=none", "--home", &d), 0);
	assert_int_equal(p.resources.pids_limit.v, 64);
	assert_string_equal(policy_where(&p, "resources.pids_limit").file, "--pids-limit");
	assert_int_equal(p.network.allow_outgoing.count, 2);
	assert_string_equal(p.filesystem.writable_paths.items[0].host, "~/x");
	assert_string_equal(p.filesystem.writable_paths.items[0].sandbox, "/y");
	assert_string_equal(p.filesystem.writable_paths.items[1].sandbox, "/srv/a:b");
	assert_int_equal(p.environment.set.count, 2);
	assert_string_equal(p.environment.set.items[0].value, "b=c");
	assert_string_equal(p.environment.set.items[1].value, "");
	assert_int_equal(policy_set(&p, "network.allow_outgoing=", "--allow-net", &d), 0);
	assert_int_equal(p.network.allow_outgoing.count, 0);
	assert_int_equal(policy_set(&p, "network.allow_outgoing=80", "--allow-net", &d), 0);
	assert_int_equal(p.network.allow_outgoing.count, 1);
	assert_int_equal(policy_set(&p, "network.allow_outgoing=[]", "--set", &d), 0);
	assert_int_equal(p.network.allow_outgoing.count, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_diags_ struct diags e = DIAGS_INIT;

		assert_int_equal(policy_set(&p, bad[i].assignment, "--o", &e), -EINVAL);
		assert_string_equal(diags_text(&e), bad[i].line);
	}
}

static void test_locked(void **state)
{
	_cleanup_diags_ struct diags d = DIAGS_INIT;
	_cleanup_policy_ struct policy p;

	parse_good(&p, "locked: true");
	assert_int_equal(policy_set(&p, "resources.pids_limit=64", "--pids-limit", &d), -EINVAL);
	assert_string_equal(diags_text(&d), "--pids-limit: resources.pids_limit: the profile is "
					    "locked: options may not change it\n");
}

static void test_net_rules(void **state)
{
	static const struct {
		const char *text, *spelling; /* NULL: refused */
	} rules[] = {
		{ "443", "443" },
		{ "53/udp", "53/udp" },
		{ "*:443", "443" },
		{ "api.openai.com", "api.openai.com" },
		{ "API.openai.com.:443", "api.openai.com:443" },
		{ "*.github.com:443", "*.github.com:443" },
		{ "10.0.0.0/8:5432", "10.0.0.0/8:5432" },
		{ "8.8.8.8:53/udp", "8.8.8.8:53/udp" },
		{ "[2001:db8::/32]:443", "[2001:db8::/32]:443" },
		{ "2001:DB8:0::1", "[2001:db8::1]" },
		{ "fe80::/10", "[fe80::/10]" },
		{ "1.2.3.4/32", "1.2.3.4" },
		{ "xn--bcher-kva.example", "xn--bcher-kva.example" },
		{ "", NULL },
		{ "*", NULL },
		{ "0", NULL },
		{ "65536", NULL },
		{ "-1", NULL },
		{ "a;b", NULL },
		{ "a..b", NULL },
		{ ".a", NULL },
		{ "a b", NULL },
		{ "u@a.b", NULL },
		{ "b\xc3\xbc.example", NULL },
		{ "a*.b", NULL },
		{ "*.*.b", NULL },
		{ "*b", NULL },
		{ "0x7f.1", NULL },
		{ "127.1", NULL },
		{ "010.0.0.1", NULL },
		{ "1.2.3.4.5", NULL },
		{ "1.2.3.256", NULL },
		{ "10.0.0.1/8", NULL },
		{ "10.0.0.0/33", NULL },
		{ "10.0.0.0/", NULL },
		{ "::ffff:1.2.3.4", NULL },
		{ "[1.2.3.4]:80", NULL },
		{ "[::1", NULL },
		{ "[::1]x", NULL },
		{ "[::1]:0", NULL },
		{ "a.b:", NULL },
		{ "a.b:080", NULL },
		{ "http://a", NULL },
		{ "a.0x1", NULL },
		{ ":443", NULL },
		{ "a/b", NULL },
		{ "allowed.com\nevil", NULL },
		{ "a-.b", NULL },
		{ "a.-b", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		const char *why = NULL;
		struct net_rule r;
		char buf[300];
		int e = net_rule_parse(rules[i].text, &r, &why);

		if (!rules[i].spelling) {
			if (e == 0)
				print_error("%s was taken\n", rules[i].text);
			assert_int_equal(e, -EINVAL);
			assert_non_null(why);
			continue;
		}
		if (e < 0)
			print_error("%s: %s\n", rules[i].text, why);
		assert_int_equal(e, 0);
		net_rule_format(&r, buf, sizeof(buf));
		assert_string_equal(buf, rules[i].spelling);
		/* The spelling means the same again. */
		assert_int_equal(net_rule_parse(buf, &r, &why), 0);
	}
}

/* The table keeps its promises: unique names, options, defaults in bounds, a help. */
static void test_table(void **state)
{
	for (size_t i = 0; i < policy_keys_count; i++) {
		const struct policy_key *k = &policy_keys[i];
		bool list = k->type == KEY_LIST;

		assert_ptr_equal(policy_key(k->path), k);
		assert_true(k->help && k->help[0] != '\0');
		assert_true(!list || (k->check && k->form));
		assert_true((k->type == KEY_ENUM) == (k->names != NULL));
		for (size_t j = 0; j < i; j++)
			assert_false(k->option && policy_keys[j].option &&
				     streq(k->option, policy_keys[j].option));
		if (k->fallback) {
			_cleanup_diags_ struct diags d = DIAGS_INIT;
			_cleanup_policy_ struct policy p;
			char text[128];

			policy_init(&p);
			snprintf(text, sizeof(text), "%s=%s", k->path, k->fallback);
			if (!streq(k->path, "locked"))
				assert_int_equal(policy_set(&p, text, "-", &d), 0);
		}
	}
	assert_null(policy_key("resources"));
	assert_true(policy_section("resources"));
	assert_false(policy_section("res"));
	assert_ptr_equal(policy_key("resources.memory"),
			 policy_key("resources.memory_limit_bytes"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_overlays), cmocka_unit_test(test_lists),
		cmocka_unit_test(test_aliases),	 cmocka_unit_test(test_set),
		cmocka_unit_test(test_locked),	 cmocka_unit_test(test_net_rules),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
