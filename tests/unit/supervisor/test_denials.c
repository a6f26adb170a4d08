/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "supervisor/denials.h"

static struct denials d;
static const struct advice_policy policy;

static const struct denial *add(const struct event *ev)
{
	struct advice a;

	advice_of(ev, &policy, &a);
	return denials_add(&d, ev, &a);
}

static void network(enum net_verdict verdict, const char *host, uint16_t port, bool udp,
		    const char *address, const char *rule)
{
	struct event ev = { .type = port ? EV_NET_DENIED : EV_DNS_DENIED };

	event_text(&ev, EF_HOST, host);
	event_text(&ev, EF_REASON, net_verdict_name(verdict));
	event_text(&ev, EF_RULE, rule[0] ? rule : NULL);
	if (port) {
		event_number(&ev, EF_PORT, port);
		event_text(&ev, EF_PROTO, udp ? "udp" : "tcp");
		event_text(&ev, EF_ADDRESS, address[0] ? address : NULL);
	}
	event_number(&ev, EF_COUNT, 1);
	add(&ev);
}

static void file(const char *path, const char *access)
{
	struct event ev = { .type = EV_FILE_DENIED };

	event_text(&ev, EF_PATH, path);
	event_text(&ev, EF_ACCESS, access);
	event_text(&ev, EF_ERROR, "EROFS");
	event_text(&ev, EF_LAYER, "mount");
	add(&ev);
}

static int setup(void **state)
{
	(void)state;
	memset(&d, 0, sizeof(d));
	return 0;
}

static void line_is(uint32_t i, const char *topic, const char *want)
{
	char line[DENIAL_LINE];

	denial_line(&d.items[i], line);
	assert_string_equal(line, want);
	assert_string_equal(denial_topic(&d.items[i]), topic);
}

static void test_network(void **state)
{
	(void)state;
	network(NET_NOT_LISTED, "example.org", 443, false, "", "");
	network(NET_NOT_LISTED, "example.org", 443, false, "", "");
	network(NET_NOT_LISTED, "2001:db8::1", 53, true, "", "");
	network(NET_NOT_LISTED, "example.org", 0, true, "", "");
	network(NET_BLOCKED, "10.0.0.1", 22, false, "", "10.0.0.0/8");
	network(NET_SPECIAL, "db.example.org", 5432, false, "fd00::1", "");
	network(NET_TOO_MANY, "", 0, false, "", "");
	network(NET_TOO_MANY_NAMES, "x1.example.org", 0, true, "", "");
	assert_int_equal(d.count, 7);
	line_is(0, "network",
		"refused example.org:443 (2 times): not listed; to allow: "
		"network.allow_outgoing: [\"example.org:443\"]");
	line_is(1, "network",
		"refused [2001:db8::1]:53/udp: not listed; to allow: "
		"network.allow_outgoing: [\"[2001:db8::1]:53/udp\"]");
	line_is(2, "network",
		"refused example.org: not listed; to allow: "
		"network.allow_outgoing: [\"example.org\"]");
	line_is(3, "network", "refused 10.0.0.1:22: blocked by \"10.0.0.0/8\"");
	line_is(4, "network",
		"refused db.example.org:5432: private, of this host, or a metadata service, and "
		"not listed by address (fd00::1); to allow: "
		"network.allow_outgoing: [\"[fd00::1]:5432\"]");
	line_is(5, "network",
		"refused a connection: more than network.max_connections, or the "
		"host's open files, allow");
	line_is(6, "network",
		"refused x1.example.org: too many new names under a wildcard in too short a time; "
		"to allow: network.allow_outgoing: [\"x1.example.org\"]");
}

static void test_others(void **state)
{
	struct event ev = { .type = EV_SYSCALL_DENIED };
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);

	(void)state;
	file("/srv/x", "write");
	file("/srv/x", "write");
	file("/srv/x", "read");
	file("/usr/x", "create");
	line_is(0, "files",
		"refused write /srv/x (2 times): EROFS; to allow: "
		"filesystem.writable_paths: [/srv/x]");
	line_is(2, "files",
		"refused create /usr/x: EROFS; no policy may give /usr to be written: the "
		"system's programs");
	event_text(&ev, EF_SYSCALL, "ptrace");
	event_text(&ev, EF_ERROR, "EPERM");
	event_text(&ev, EF_RULE, "syscalls.deny");
	event_number(&ev, EF_COUNT, 7);
	add(&ev);
	line_is(3, "seccomp", "refused ptrace (7 times): EPERM by syscalls.deny");
	ev = (struct event){ .type = EV_LIMIT_REACHED };
	event_text(&ev, EF_LIMIT, "resources.pids_limit");
	event_number(&ev, EF_VALUE, 10);
	event_text(&ev, EF_MESSAGE, "processes were refused");
	add(&ev);
	line_is(4, "limits",
		"reached resources.pids_limit: processes were refused; to allow: "
		"resources.pids_limit: 20");
	denial_json(&d.items[0], &b);
	assert_string_equal(
		b.data, "\"type\":\"file.denied\",\"what\":\"write /srv/x\",\"layer\":\"mount\","
			"\"reason\":\"EROFS\",\"rule\":null,\"count\":2,"
			"\"allow\":\"filesystem.writable_paths: [/srv/x]\","
			"\"option\":\"--rw /srv/x\",\"why\":null");
}

/* What is hostile: every byte, the longest of all; and what is none of ours. */
static void test_hostile(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
	static char name[5000];
	char line[DENIAL_LINE];

	(void)state;
	for (size_t i = 0; i < sizeof(name) - 1; i++)
		name[i] = (char)(1 + i % 255);
	name[0] = '/';
	file(name, "read");
	memset(name + 1, 'a', sizeof(name) - 2);
	file(name, "read");
	network(NET_NOT_LISTED, name, 65535, true, name, name);
	network(NET_BLOCKED, name, 65535, true, name, name);
	file("/a\x1b[2J\n\"\\\xc2\x9b\xe2\x80\xae", "read");
	for (uint32_t i = 0; i < d.count; i++) {
		denial_line(&d.items[i], line);
		assert_true(strlen(line) < DENIAL_LINE - 1);
		for (const char *c = line; *c; c++)
			assert_true((unsigned char)*c >= ' ' && *c != 0x7f);
	}
	denials_json(&d, &b);
	assert_false(b.failed);
	line_is(d.count - 1, "files",
		"refused read /a\\x1b[2J\\x0a\"\\\\\\xc2\\x9b\\xe2\\x80\\xae: EROFS; a policy cannot "
		"name it: too long, or with characters that are no text");
	add(&(struct event){ .type = EV_PROCESS_EXEC });
	assert_int_equal(d.others, 1);
}

static void test_more_than_are_kept(void **state)
{
	struct event ev = { .type = EV_NET_DENIED };

	(void)state;
	for (unsigned i = 1; i <= DENIALS_MAX + 10; i++)
		network(NET_NOT_LISTED, "example.org", (uint16_t)i, false, "", "");
	network(NET_NOT_LISTED, "example.org", 1, false, "", "");
	event_text(&ev, EF_REASON, "more than are told of one by one");
	event_number(&ev, EF_COUNT, 7);
	assert_null(add(&ev));
	assert_int_equal(d.count, DENIALS_MAX);
	assert_int_equal(d.others, 17);
	assert_int_equal(d.items[0].count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_network, setup),
		cmocka_unit_test_setup(test_others, setup),
		cmocka_unit_test_setup(test_hostile, setup),
		cmocka_unit_test_setup(test_more_than_are_kept, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
