/* SPDX-License-Identifier: Apache-2.0 */
/* A network without nf_tables: refused, or best-effort at the ports that the rules list. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "built.h"

static int routes_alone(void *ctx, const void *batch, size_t size, bool *v6)
{
	*v6 = true;
	return size > 0 ? -EPROTONOSUPPORT : 0;
}

static int routes_without_v6(void *ctx, const void *batch, size_t size, bool *v6)
{
	return size > 0 ? -EPROTONOSUPPORT : 0;
}

static int nothing(void *ctx, const void *batch, size_t size, bool *v6)
{
	return -EPERM;
}

static struct host without(void)
{
	struct host h = a_user();

	h.try_network = routes_alone;
	h.best_effort = true;
	return h;
}

static bool says(const struct built *t, const char *what, const char *words)
{
	const struct plan_downgrade *d = plan_items(t->plan, downgrades, struct plan_downgrade);

	for (uint32_t i = 0; i < t->plan->downgrades.count; i++)
		if (streq(plan_string(t->plan, d[i].what), what) &&
		    strstr(plan_string(t->plan, d[i].why), words))
			return true;
	return false;
}

static void make(struct built *t, const struct host *h, const char *allow, const char *incoming)
{
	char text[8192];

	snprintf(text, sizeof(text),
		 "network: {isolated: false, allow_outgoing: [%s], allow_incoming: [%s]}\n", allow,
		 incoming);
	build(t, text, h);
}

static void refuse(const char *allow, const char *incoming, const char *words, const char *remedy)
{
	const struct host h = without();
	char text[8192];

	snprintf(text, sizeof(text),
		 "network: {isolated: false, allow_outgoing: [%s], allow_incoming: [%s]}\n", allow,
		 incoming);
	expect_refused(text, &h, words, remedy);
}

static void test_refused(void **state)
{
	const char *text = "network: {isolated: false, allow_outgoing: [\"a.example:443\"]}\n";
	struct host h = without();

	h.best_effort = false;
	expect_refused(text, &h, "nf_tables", "--best-effort");
	expect_refused(text, &h, "Protocol not supported", "nft_redir");
	/* Not even best-effort lets out what nothing would hold. */
	h = without();
	h.try_network = nothing;
	expect_refused(text, &h, "network.isolated: false", "isolated");
	h.try_network = NULL;
	expect_refused(text, &h, "network.isolated: false", "isolated");
}

static void test_ports(void **state)
{
	static const struct plan_socket expect[] = {
		{ PS_TCP, 0, 443 },    { PS_TCP, 1, 443 },    { PS_TCP, 0, 8000 },
		{ PS_TCP, 1, 8000 },   { PS_TCP, 0, 3128 },   { PS_TCP, 1, 3128 },
		{ PS_DNS_TCP, 0, 53 }, { PS_DNS_TCP, 1, 53 }, { PS_DNS_UDP, 0, 53 },
		{ PS_DNS_UDP, 1, 53 }, { PS_UDP, 0, 123 },    { PS_UDP, 1, 123 },
		{ PS_ICMP, 0, 0 },     { PS_ICMP, 1, 0 },
	};
	const struct plan_layer *net;
	struct host h = without();
	struct built t;

	make(&t, &h,
	     "\"a.example:443\", \"8.8.8.8:53\", \"*.b.example:8000\", \"10.0.0.0/8:443\", "
	     "\"c.example:123/udp\", \"d.example:3128\"",
	     "8080");
	assert_non_null(t.plan);
	net = plan_items(t.plan, layers, struct plan_layer) + LAYER_NET;
	assert_int_equal(t.plan->network.flags, PN_ON | PN_V6 | PN_PORTS);
	assert_int_equal(t.plan->network.batch.count, 0);
	assert_int_equal(t.plan->network.sockets.count, ARRAY_SIZE(expect));
	assert_memory_equal(plan_items(t.plan, network.sockets, struct plan_socket), expect,
			    sizeof(expect));
	assert_true(t.plan->namespaces & CLONE_NEWNET);
	assert_int_equal(net->state, LS_DOWNGRADED);
	assert_non_null(strstr(plan_string(t.plan, net->why), "nf_tables"));
	assert_int_equal(t.plan->downgrades.count, 2);
	assert_true(says(&t, "network.isolated: false", "nf_tables"));
	assert_true(says(&t, "network.allow_outgoing", "443, 8000, 3128:"));
	assert_int_equal(plan_items(t.plan, facts, struct plan_fact)->kind, PF_ABSENT);
	done(&t);

	h.try_network = routes_without_v6;
	make(&t, &h, "\"a.example:443\"", "");
	assert_non_null(t.plan);
	assert_int_equal(t.plan->network.flags, PN_ON | PN_PORTS);
	assert_int_equal(t.plan->network.sockets.count, 4);
	done(&t);
}

/* Many do not make the text long. */
static void test_without_a_port(void **state)
{
	const struct host h = without();
	char rules[4096];
	struct built t;
	int at = 0;

	make(&t, &h, "a.example, 10.0.0.0/8", "");
	assert_non_null(t.plan);
	assert_int_equal(t.plan->network.sockets.count, 6);
	assert_true(says(&t, "network.allow_outgoing", "proxy inside: a.example, 10.0.0.0/8"));
	done(&t);
	for (int i = 0; i < 100; i++)
		at += snprintf(rules + at, sizeof(rules) - (size_t)at, "n%03d.example, ", i);
	make(&t, &h, rules, "");
	assert_non_null(t.plan);
	assert_true(says(&t, "network.allow_outgoing", "n020.example and 79 more"));
	done(&t);
}

static void list_ports(char *text, size_t size, int count, const char *kind)
{
	size_t at = strlen(text);

	for (int i = 0; i < count; i++)
		at += (size_t)snprintf(text + at, size - at, "\"a.example:%d%s\", ", 1000 + i,
				       kind);
}

static void test_bounds(void **state)
{
	const struct host h = without();
	char rules[8000] = "";
	struct built t;

	list_ports(rules, sizeof(rules), PLAN_TCP_PORTS_MAX, "");
	make(&t, &h, rules, "");
	assert_non_null(t.plan);
	assert_int_equal(t.plan->network.sockets.count, 2 * (PLAN_TCP_PORTS_MAX + 3));
	done(&t);
	list_ports(rules, sizeof(rules), PLAN_UDP_PORTS_MAX, "/udp");
	refuse(rules, "", "more ports of TCP and UDP", NULL);
	rules[0] = '\0';
	list_ports(rules, sizeof(rules), PLAN_TCP_PORTS_MAX + 1, "");
	refuse(rules, "", "TCP to more than 60 ports", NULL);
}

/* What would lead from the host back to purple-net. */
static void test_published(void **state)
{
	const struct host h = without();
	struct built t;

	refuse("\"a.example:8080\"", "8080", "port 8080 inside is taken: a rule", "8080:18080");
	refuse("\"a.example:8080\"", "\"9000:8080\"", "port 8080 inside is taken", "9000:18080");
	refuse("\"a.example:60000\"", "60000", "port 60000 inside is taken", "60000:20000");
	refuse("", "3128", "port 3128 inside is taken: the proxy", "13128");
	make(&t, &h, "\"a.example:443\"", "\"443:8443\"");
	assert_non_null(t.plan);
	done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),	       cmocka_unit_test(test_ports),
		cmocka_unit_test(test_without_a_port), cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_published),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
