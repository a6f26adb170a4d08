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

static void add(enum net_verdict verdict, const char *text, uint16_t port, bool udp,
		const char *address, const char *rule)
{
	struct net_message m = {
		.type = NET_DENIED, .verdict = (uint8_t)verdict, .port = port, .udp = udp
	};

	str_copy(m.text, sizeof(m.text), text);
	str_copy(m.address, sizeof(m.address), address);
	denials_add(&d, &m, rule);
}

static int setup(void **state)
{
	(void)state;
	memset(&d, 0, sizeof(d));
	return 0;
}

static void line_is(uint32_t i, const char *want)
{
	char line[DENIAL_LINE];

	denial_line(&d.items[i], line);
	assert_string_equal(line, want);
}

static void test_lines(void **state)
{
	(void)state;
	add(NET_NOT_LISTED, "example.org", 443, false, "", "");
	add(NET_NOT_LISTED, "example.org", 443, false, "", "");
	add(NET_NOT_LISTED, "2001:db8::1", 53, true, "", "");
	add(NET_NOT_LISTED, "example.org", 0, true, "", "");
	add(NET_BLOCKED, "10.0.0.1", 22, false, "", "10.0.0.0/8");
	add(NET_SPECIAL, "db.example.org", 5432, false, "fd00::1", "");
	add(NET_TOO_MANY, "", 0, false, "", "");
	add(NET_TOO_MANY_NAMES, "x1.example.org", 0, true, "", "");
	assert_int_equal(d.count, 7);
	line_is(0, "refused example.org:443 (2 times): not listed; to allow: "
		   "network.allow_outgoing: [\"example.org:443\"]");
	line_is(1, "refused [2001:db8::1]:53/udp: not listed; to allow: "
		   "network.allow_outgoing: [\"[2001:db8::1]:53/udp\"]");
	line_is(2, "refused example.org: not listed; to allow: "
		   "network.allow_outgoing: [\"example.org\"]");
	line_is(3, "refused 10.0.0.1:22: blocked by \"10.0.0.0/8\"");
	line_is(4, "refused db.example.org:5432: private, of this host, or a metadata service, and "
		   "not listed by address (fd00::1); to allow: "
		   "network.allow_outgoing: [\"[fd00::1]:5432\"]");
	line_is(5, "refused a connection: more than network.max_connections, or the "
		   "host's open files, allow");
	line_is(6,
		"refused x1.example.org: too many new names under a wildcard in too short a time");
}

/* What is hostile: no end of the text, verdicts that there are not, the longest of all. */
static void test_hostile(void **state)
{
	static struct net_message m = { .type = NET_DENIED, .verdict = NET_NOT_LISTED, .port = 1 };
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
	char rule[DENIAL_RULE], line[DENIAL_LINE];

	(void)state;
	memset(m.sockets, 'a', sizeof(m.sockets));
	m.udp = 1;
	m.port = 65535;
	memset(rule, 'r', sizeof(rule) - 1);
	rule[sizeof(rule) - 1] = '\0';
	for (unsigned verdict = 0; verdict < 256; verdict++) {
		m.verdict = (uint8_t)verdict;
		denials_add(&d, &m, rule);
	}
	assert_int_equal(d.count, NET_VERDICTS - 1);
	assert_int_equal(d.others, 256 - NET_VERDICTS);
	for (uint32_t i = 0; i < d.count; i++) {
		denial_line(&d.items[i], line);
		assert_true(strlen(line) < DENIAL_LINE - 1);
	}
	denials_json(&d, &b);
	assert_false(b.failed);
	setup(state);
	add(NET_NOT_LISTED, "a\x1b[2J\n\"\\\xc2\x9b", 1, false, "\x07", "\x07");
	denial_line(&d.items[0], line);
	assert_string_equal(line, "refused a?[2J?????:1: not listed (?)");
}

static void test_more_than_are_kept(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= DENIALS_MAX + 10; i++)
		add(NET_NOT_LISTED, "example.org", (uint16_t)i, false, "", "");
	add(NET_NOT_LISTED, "example.org", 1, false, "", "");
	denials_add(&d, &(struct net_message){ .type = NET_DENIED, .count = 7 }, "");
	assert_int_equal(d.count, DENIALS_MAX);
	assert_int_equal(d.others, 17);
	assert_int_equal(d.items[0].count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_lines, setup),
		cmocka_unit_test_setup(test_hostile, setup),
		cmocka_unit_test_setup(test_more_than_are_kept, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
