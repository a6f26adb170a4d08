/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "event/advice.h"
#include "policy/keys.h"

static struct advice_policy policy;
static struct advice a;

static void is(const char *allow, const char *option, const char *why)
{
	char got[ADVICE_OPTION];

	assert_string_equal(a.allow, allow);
	assert_true(strstr(a.why, why) && (why[0] != '\0') == (a.why[0] != '\0'));
	advice_option(a.allow, got);
	assert_string_equal(got, option);
}

static void file(const char *path, const char *access)
{
	struct event ev = { .type = EV_FILE_DENIED };

	event_text(&ev, EF_PATH, path);
	event_text(&ev, EF_ACCESS, access);
	advice_of(&ev, &policy, &a);
}

static void test_files(void **state)
{
	(void)state;
	policy.workspace = "/home/u/work";
	file("/opt/x", "read");
	is("filesystem.immutable_paths: [/opt/x]", "--ro /opt/x", "");
	file("/srv/x", "exec");
	is("filesystem.immutable_paths: [/srv/x]", "--ro /srv/x", "");
	file("/srv/a b/\"c\"", "write");
	is("filesystem.writable_paths: [\"/srv/a b/\\\"c\\\"\"]", "--rw '/srv/a b/\"c\"'", "");
	file("/srv//a/./new", "create");
	is("filesystem.writable_paths: [/srv/a]", "--rw /srv/a", "");
	file("/srv/it's", "remove");
	is("filesystem.writable_paths: [/srv]", "--rw /srv", "");
	file("/srv/it's", "read");
	is("filesystem.immutable_paths: [\"/srv/it's\"]", "--ro '/srv/it'\\''s'", "");
	/* What the option would take for two paths. */
	file("/srv/a:/b", "read");
	is("filesystem.immutable_paths: [\"/srv/a:/b\"]", "", "");
	file("/home/u/work/x", "write");
	is("filesystem.workspace: direct", "--workspace direct", "");
	file("/home/u/work/x", "read");
	is("filesystem.workspace: read-only", "--workspace read-only", "");
}

static void test_no_line(void **state)
{
	static char name[4096];

	(void)state;
	file("relative", "read");
	is("", "", "absolute");
	file("/srv/../etc", "read");
	is("", "", "absolute");
	file("/srv/..", "read");
	is("", "", "absolute");
	file("/", "read");
	is("", "", "all of /");
	file("/x", "create");
	is("", "", "all of /");
	file("/srv/a\nb", "read");
	is("", "", "cannot name it");
	file("/srv/\xe2\x80\xae"
	     "cod",
	     "read");
	is("", "", "cannot name it");
	file("/srv/\xff", "read");
	is("", "", "cannot name it");
	file("/srv/$HOME", "read");
	is("", "", "cannot name it");
	memset(name, 'a', sizeof(name) - 1);
	name[0] = '/';
	file(name, "read");
	is("", "", "cannot name it");
	file("/usr/bin/x", "create");
	is("", "", "the system's programs");
	file("/etc/shadow", "write");
	is("", "", "configuration");
	file("/run/docker.sock", "read");
	is("", "", "container engine");
	file("/run/x", "create");
	is("", "", "no policy may give all of /run, since /run/docker.sock is there");
	file("/boot/x", "read");
	is("", "", "kernels");
	file("/proc/kcore", "read");
	is("", "", "covered");
	file("/dev/kvm", "read");
	is("", "", "not supported yet");
}

static void network(const char *reason, const char *host, unsigned port, const char *proto,
		    const char *address, const char *rule)
{
	struct event ev = { .type = port ? EV_NET_DENIED : EV_DNS_DENIED };

	event_text(&ev, EF_HOST, host);
	event_text(&ev, EF_REASON, reason);
	event_text(&ev, EF_RULE, rule);
	if (port) {
		event_number(&ev, EF_PORT, port);
		event_text(&ev, EF_PROTO, proto);
		event_text(&ev, EF_ADDRESS, address);
	}
	advice_of(&ev, &policy, &a);
}

static void test_network(void **state)
{
	struct net_rule block[3];
	const char *unused;

	(void)state;
	network("not listed", "a.example", 443, "tcp", "", "");
	is("network.allow_outgoing: [\"a.example:443\"]", "--allow-net a.example:443", "");
	network("not listed", "8.8.8.8", 53, "udp", "", "");
	is("network.allow_outgoing: [\"8.8.8.8:53/udp\"]", "--allow-net 8.8.8.8:53/udp", "");
	network("not listed", "2001:db8::1", 443, "tcp", "", "");
	is("network.allow_outgoing: [\"[2001:db8::1]:443\"]", "--allow-net '[2001:db8::1]:443'",
	   "");
	network("not listed", "a.example", 0, "", "", "");
	is("network.allow_outgoing: [\"a.example\"]", "--allow-net a.example", "");
	network("too many names", "x.a.example", 0, "", "", "");
	is("network.allow_outgoing: [\"x.a.example\"]", "--allow-net x.a.example", "");
	network("special address", "a.example", 80, "tcp", "10.0.0.1", "");
	is("network.allow_outgoing: [\"10.0.0.1:80\"]", "--allow-net 10.0.0.1:80", "");
	network("another name", "a.example", 80, "tcp", "", "");
	is("", "", "other name");
	network("no name", "198.18.0.7", 80, "tcp", "", "");
	is("", "", "look the name up");
	network("unreachable", "a.example", 80, "tcp", "", "");
	is("", "", "no connection");
	network("not listed", "a?.example", 80, "tcp", "", "");
	is("", "", "no name");
	network("blocked", "10.0.0.1", 80, "tcp", "", "10.0.0.0/8");
	is("", "", "10.0.0.0/8");
	assert_int_equal(net_rule_parse("10.0.0.0/8", &block[0], &unused), 0);
	assert_int_equal(net_rule_parse("*.bad.example", &block[1], &unused), 0);
	assert_int_equal(net_rule_parse("9.9.9.9", &block[2], &unused), 0);
	policy.block = block;
	policy.block_count = 3;
	network("blocked", "10.0.0.1", 80, "tcp", "", "10.0.0.0/8");
	is("network.blocked_ips: !replace [\"*.bad.example\", \"9.9.9.9\"]",
	   "--set network.blocked_ips='*.bad.example' --set network.blocked_ips+=9.9.9.9", "");
	policy.block_count = 1;
	network("blocked", "10.0.0.1", 80, "tcp", "", "10.0.0.0/8");
	is("network.blocked_ips: !replace []", "--set network.blocked_ips=", "");
	policy.block_count = 0;
}

static void limit(const char *name, uint64_t value)
{
	struct event ev = { .type = EV_LIMIT_REACHED };

	event_text(&ev, EF_LIMIT, name);
	event_number(&ev, EF_VALUE, value);
	advice_of(&ev, &policy, &a);
}

static void test_limits(void **state)
{
	(void)state;
	limit("memory_limit_bytes", 64 << 20);
	is("resources.memory_limit_bytes: 128M", "--memory 128M", "");
	limit("pids_limit", 100);
	is("resources.pids_limit: 200", "--pids-limit 200", "");
	limit("pids_limit", 4194304);
	is("", "", "resources.pids_limit");
	limit("pids_limit", 4194303);
	is("resources.pids_limit: 4194304", "--pids-limit 4194304", "");
	limit("file_size_bytes", 1000);
	is("resources.file_size_bytes: 2000", "--file-size 2000", "");
	limit("session_timeout_seconds", 1);
	is("resources.session_timeout_seconds: 2", "--timeout 2", "");
	limit("nonsense", 1);
	is("", "", "");
}

/* What is no line of ours is no option, and nothing runs over. */
static void test_option(void **state)
{
	static const char *const bad[] = {
		"",
		"x",
		"network.allow_outgoing: [\"a",
		"network.allow_outgoing: [a, b]",
		"network.allow_outgoing: [a] b",
		"network.none: [a]",
		"syscalls.deny: !replace [a",
		"syscalls.deny: !replace [",
		"filesystem.writable_paths: [{host_path: /a}]",
		"syscalls.advanced_rules: [{syscall: x, action: allow}]"
	};
	static char line[ADVICE_LINE];
	char got[ADVICE_OPTION];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		advice_option(bad[i], got);
		assert_string_equal(got, "");
	}
	advice_option("filesystem.writable_paths: [{host_path: /a, sandbox_path: \"/b c\"}]", got);
	assert_string_equal(got, "--rw '/a:/b c'");
	advice_option("nesting: true", got);
	assert_string_equal(got, "--nesting");
	advice_option("network.isolated: false", got);
	assert_string_equal(got, "--isolated=false");
	memset(line, '\'', sizeof(line) - 1);
	memcpy(line, "syscalls.allow: [", 17);
	advice_option(line, got);
	assert_string_equal(got, "");
}

/* The names, the options and the bounds that policy/keys.c has. */
static void test_keys(void **state)
{
	static const char *const limits[] = { "memory_limit_bytes", "swap_limit_bytes",
					      "pids_limit",	    "session_timeout_seconds",
					      "cpu_time_seconds",   "open_files",
					      "file_size_bytes",    "stack_bytes",
					      "scratch_bytes",	    "max_connections" };
	const struct policy_key *k;
	char key[80], got[ADVICE_OPTION], want[80];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		limit(limits[i], UINT64_C(1) << 62);
		assert_string_equal(a.allow, "");
		str_copy(key, sizeof(key), a.why);
		*strchr(key, ' ') = '\0';
		k = policy_key(key);
		assert_non_null(k);
		assert_string_equal(k->path, key);
		limit(limits[i], k->max - 1);
		assert_true(a.allow[0] != '\0');
		limit(limits[i], k->max);
		assert_string_equal(a.allow, "");
	}
	for (size_t i = 0; i < policy_keys_count; i++) {
		k = &policy_keys[i];
		snprintf(key, sizeof(key), "%s: true", k->path);
		advice_option(key, got);
		snprintf(want, sizeof(want), "--%s", k->option ? k->option : "");
		if (got[0] != '\0')
			assert_string_equal(got, want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),	cmocka_unit_test(test_no_line),
		cmocka_unit_test(test_network), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_option),	cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
