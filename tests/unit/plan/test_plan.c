/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/filter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plan/plan.h"
#include "plan/print.h"
#include "plan_sample.h"

static struct plan *head(struct buf *b)
{
	return (struct plan *)(void *)b->data;
}

#define ITEM(b, table, type, i) ((type *)(void *)((b)->data + head(b)->table.off) + (i))

/* All that plan_open() lets through must be printable. */
static const char *open_why(struct buf *b)
{
	const char *why = NULL;
	const struct plan *p = plan_open(b->data, b->len, &why);
	struct buf out = BUF_INIT(4 << 20);

	assert_true((p != NULL) == (why == NULL));
	if (p) {
		plan_print_json(p, &out);
		plan_print_text(p, true, &out);
		assert_false(out.failed);
	}
	buf_free(&out);
	return why;
}

static void test_valid(void **state)
{
	struct buf b = BUF_INIT(PLAN_MAX);

	plan_sample(&b);
	assert_null(open_why(&b));
	assert_null(plan_open(NULL, 0, NULL));
	assert_null(plan_open(b.data + 4, b.len - 4, NULL));
	buf_free(&b);
}

static void test_truncated(void **state)
{
	struct buf b = BUF_INIT(PLAN_MAX);
	_cleanup_free_ void *exact = NULL;

	plan_sample(&b);
	for (size_t n = 0; n < b.len; n++) {
		/* Exactly as long, so that a read behind it shows. */
		struct buf cut = { .data = malloc(n ? n : 1), .len = n };

		memcpy(cut.data, b.data, n);
		assert_non_null(open_why(&cut));
		if (n >= sizeof(struct plan)) { /* the same with honest size and checksum */
			plan_seal(&cut);
			open_why(&cut);
		}
		free(cut.data);
	}
	buf_free(&b);
}

/* Every bit of damage is found; and were the checksum right, nothing would go wrong. */
static void test_flipped(void **state)
{
	struct buf b = BUF_INIT(PLAN_MAX);

	plan_sample(&b);
	for (size_t i = 0; i < b.len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			b.data[i] ^= (char)(1 << bit);
			assert_non_null(plan_open(b.data, b.len, NULL) ? NULL : "refused");
			head(&b)->checksum = plan_checksum(b.data, b.len);
			if (bit == 0 || bit == 7 || i < sizeof(struct plan))
				open_why(&b);
			b.data[i] ^= (char)(1 << bit);
			head(&b)->checksum = plan_checksum(b.data, b.len);
		}
	}
	assert_null(open_why(&b));
	buf_free(&b);
}

static void expect(struct buf *b, const char *want)
{
	const char *why;

	plan_seal(b);
	why = open_why(b);
	if (!why || strcmp(why, want) != 0)
		fail_msg("got '%s', want '%s'", why ? why : "(accepted)", want);
	buf_free(b);
	plan_sample(b);
}

static void test_header(void **state)
{
	struct buf b = BUF_INIT(PLAN_MAX);

	plan_sample(&b);
	head(&b)->magic++;
	expect(&b, "not a plan");
	head(&b)->version++;
	expect(&b, "made by another version");
	head(&b)->enforcement = 2;
	expect(&b, "unknown enforcement");
	head(&b)->idmap = IDMAP_KINDS;
	expect(&b, "unknown id map");
	head(&b)->namespaces |= 1;
	expect(&b, "unknown namespace");
	head(&b)->steps = STEP_ALL + 1;
	expect(&b, "unknown step");
	head(&b)->securebits = 0x100;
	expect(&b, "unknown securebit");
	head(&b)->umask = 01000;
	expect(&b, "bad umask");
	head(&b)->caps_effective = 1;
	expect(&b, "capability sets contradict each other");
	head(&b)->caps_ambient = 1 << 10;
	expect(&b, "capability sets contradict each other");
	head(&b)->landlock_fs = 1 << 16;
	expect(&b, "unknown Landlock right");
	head(&b)->filter.count = 4097;
	expect(&b, "filter: too long");
	head(&b)->filter.off += 4;
	expect(&b, "filter: bad table");
	head(&b)->hostname.len = 2;
	expect(&b, "bad host name");
	head(&b)->working_dir.off++;
	head(&b)->working_dir.len--;
	expect(&b, "bad working directory");
	head(&b)->profile.off = 8;
	expect(&b, "bad profile name");
	buf_free(&b);
}

static void test_tables(void **state)
{
	struct buf b = BUF_INIT(PLAN_MAX);

	plan_sample(&b);
	head(&b)->mounts.count = UINT32_MAX;
	expect(&b, "mounts: bad table");
	head(&b)->mounts.off = UINT32_MAX - 7;
	expect(&b, "mounts: bad table");
	head(&b)->mounts.off = 8; /* into the header */
	expect(&b, "mounts: bad table");
	head(&b)->rlimits.off = (uint32_t)b.len / 8 * 8;
	expect(&b, "rlimits: bad table");
	head(&b)->layers.count--;
	expect(&b, "layers: bad table");
	head(&b)->sources.count = 0x08000000;
	expect(&b, "sources: bad table");
	ITEM(&b, layers, struct plan_layer, 3)->id = 4;
	expect(&b, "layers: bad entry");
	ITEM(&b, layers, struct plan_layer, 3)->state = LS_STATES;
	expect(&b, "layers: bad entry");
	ITEM(&b, rlimits, struct plan_rlimit, 0)->resource = 16;
	expect(&b, "rlimits: bad limit");
	ITEM(&b, rlimits, struct plan_rlimit, 0)->soft = 1;
	expect(&b, "rlimits: bad limit");
	head(&b)->hide.count = PLAN_HIDE_MAX + 1;
	expect(&b, "hide: too many patterns");
	head(&b)->hide.count = UINT32_MAX;
	expect(&b, "hide: bad table");
	ITEM(&b, hide, struct plan_str, 0)->len = 0;
	expect(&b, "hide: bad pattern");
	*ITEM(&b, hide, struct plan_str, 1) = (struct plan_str){ 0 };
	expect(&b, "hide: bad pattern");
	*ITEM(&b, hide, struct plan_str, 1) = ITEM(&b, env_set, struct plan_env, 0)->text;
	b.data[ITEM(&b, hide, struct plan_str, 1)->off] = '[';
	expect(&b, "hide: bad pattern");
	ITEM(&b, mounts, struct plan_mount, 0)->flags |= PMF_HIDE;
	expect(&b, "mount: nothing is hidden in its kind");
	ITEM(&b, env_set, struct plan_env, 0)->text = ITEM(&b, env_pass, struct plan_env, 0)->text;
	expect(&b, "environment: bad name");
	ITEM(&b, env_pass, struct plan_env, 0)->text = ITEM(&b, env_set, struct plan_env, 0)->text;
	expect(&b, "environment: bad name");
	ITEM(&b, facts, struct plan_fact, 0)->kind = PF_KINDS;
	expect(&b, "facts: bad entry");
	buf_free(&b);
}

static void test_mounts(void **state)
{
	static const char *const bad[] = { "home",   "/",	"//x",	"/x/", "/x//y", "/..",
					   "/x/..",  "/x/../y", "/./x", "",    ".",	"./",
					   "./../x", ".x",	"../x", "./x/" };
	struct buf b = BUF_INIT(PLAN_MAX);

	plan_sample(&b);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ITEM(&b, mounts, struct plan_mount, 0)->target.off = (uint32_t)b.len;
		ITEM(&b, mounts, struct plan_mount, 0)->target.len = (uint32_t)strlen(bad[i]);
		buf_add(&b, bad[i], strlen(bad[i]) + 1);
		expect(&b, "mount: bad target");
	}
	ITEM(&b, mounts, struct plan_mount, 0)->target.off = 0;
	expect(&b, "mount: bad target");
	ITEM(&b, mounts, struct plan_mount, 10)->kind = PM_KINDS;
	expect(&b, "mount: unknown kind");
	*ITEM(&b, mounts, struct plan_mount, 10) = *ITEM(&b, mounts, struct plan_mount, 11);
	expect(&b, "mount: in the workspace, but before it");
	ITEM(&b, mounts, struct plan_mount, 0)->kind = PM_KINDS;
	expect(&b, "mount: unknown kind");
	ITEM(&b, mounts, struct plan_mount, 0)->flags = PMF_ALL + 1;
	expect(&b, "mount: unknown flag");
	ITEM(&b, mounts, struct plan_mount, 0)->flags = PMF_IDS;
	expect(&b, "mount: ids where no content is");
	ITEM(&b, mounts, struct plan_mount, 0)->mode = 010000;
	expect(&b, "mount: bad mode");
	ITEM(&b, mounts, struct plan_mount, 1)->source.off = 0;
	expect(&b, "mount: bad source");
	ITEM(&b, mounts, struct plan_mount, 1)->kind = PM_OVERLAY;
	expect(&b, "mount: an overlay without layers");
	ITEM(&b, mounts, struct plan_mount, 1)->flags |= PMF_REVIEW;
	expect(&b, "mount: layers where no workspace is");
	ITEM(&b, mounts, struct plan_mount, 1)->kind = PM_OUTPUT;
	expect(&b, "mounts: too many outputs, or of no size");
	ITEM(&b, mounts, struct plan_mount, 1)->landlock = 1 << 16;
	expect(&b, "mount: unknown Landlock right");
	ITEM(&b, mounts, struct plan_mount, 4)->rdev = 0;
	expect(&b, "mount: bad device number");
	buf_free(&b);
}

static void test_network(void **state)
{
	struct buf b = BUF_INIT(PLAN_MAX);
	struct net_rule *rule;
	struct nlmsghdr h;
	char *batch;
	uint8_t two = 2;

	plan_sample(&b);
	head(&b)->network.flags = PN_ALL + 1;
	expect(&b, "network: off, but not empty");
	head(&b)->network.flags |= PN_ALL + 1;
	expect(&b, "network: bad value");
	head(&b)->network.flags = 0;
	expect(&b, "network: off, but not empty");
	head(&b)->network.max_connections = 0;
	expect(&b, "network: bad value");
	head(&b)->network.idle_s = 0;
	expect(&b, "network: bad value");
	head(&b)->steps &= ~(uint32_t)STEP_LOOPBACK;
	expect(&b, "network: bad value");
	head(&b)->namespaces &= ~(uint64_t)CLONE_NEWNET; /* it would be the host's */
	expect(&b, "lo up, but not of its own");
	head(&b)->namespaces &= ~(uint64_t)CLONE_NEWNET;
	head(&b)->steps &= ~(uint32_t)STEP_LOOPBACK;
	expect(&b, "network: bad value");
	head(&b)->network.allow.count = PLAN_RULES_MAX + 1;
	expect(&b, "network: bad table");
	head(&b)->network.sockets.count = PLAN_SOCKETS_MAX + 1;
	expect(&b, "network: bad table");
	head(&b)->network.servers.off += 4;
	expect(&b, "network: bad table");
	ITEM(&b, network.servers, struct plan_server, 1)->port = 0;
	expect(&b, "network: bad server");
	ITEM(&b, network.sockets, struct plan_socket, 0)->kind = PS_KINDS;
	expect(&b, "network: bad socket");
	head(&b)->network.flags = PN_ON; /* and a socket of IPv6 */
	expect(&b, "network: bad socket");
	rule = ITEM(&b, network.allow, struct net_rule, 0);
	memset(rule->name, 'a', sizeof(rule->name));
	expect(&b, "network: bad rule");
	memcpy(&ITEM(&b, network.allow, struct net_rule, 0)->udp, &two, 1);
	expect(&b, "network: bad rule");
	ITEM(&b, network.block, struct net_rule, 0)->prefix = 33;
	expect(&b, "network: bad rule");

	head(&b)->network.batch.count = 0;
	expect(&b, "network: bad batch");
	head(&b)->network.flags |= PN_PORTS; /* and a batch */
	expect(&b, "network: bad batch");
	head(&b)->network.flags |= PN_PORTS;
	head(&b)->network.batch.count = 0;
	ITEM(&b, layers, struct plan_layer, LAYER_NET)->state = LS_ENFORCED;
	expect(&b, "layers: net is not enforced as it says");
	head(&b)->network.batch.count -= 20; /* no end */
	expect(&b, "network: bad batch");
	head(&b)->network.batch.count -= 1;
	expect(&b, "network: bad batch");
	for (unsigned i = 0; i < 3; i++) {
		batch = ITEM(&b, network.batch, char, 20 * i);
		memcpy(&h, batch, sizeof(h));
		h.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8;
		memcpy(batch, &h, sizeof(h));
		expect(&b, i == 1 ? "network: a message of another kind" : "network: bad batch");
		batch = ITEM(&b, network.batch, char, 20 * i);
		memcpy(&h, batch, sizeof(h));
		h.nlmsg_len = i == 2 ? 24 : 0;
		memcpy(batch, &h, sizeof(h));
		expect(&b, "network: bad batch");
	}
	buf_free(&b);
}

static void test_listeners(void **state)
{
	struct buf b = BUF_INIT(PLAN_MAX);

	plan_sample(&b);
	head(&b)->network.listeners.count = PLAN_LISTENERS_MAX + 1;
	expect(&b, "network: bad table");
	head(&b)->network.listeners.off += 4;
	expect(&b, "network: bad table");
	head(&b)->network.pool = 0;
	expect(&b, "network: bad pool");
	head(&b)->network.pool = PLAN_POOL_MAX + 1;
	expect(&b, "network: bad pool");
	head(&b)->network.listeners.count = 0;
	expect(&b, "network: bad pool");
	ITEM(&b, network.listeners, struct plan_listener, 1)->v6 = 2;
	expect(&b, "network: bad listener");
	ITEM(&b, network.listeners, struct plan_listener, 1)->optional = 2;
	expect(&b, "network: bad listener");
	ITEM(&b, network.listeners, struct plan_listener, 0)->pad = 1;
	expect(&b, "network: bad listener");
	ITEM(&b, network.listeners, struct plan_listener, 0)->port = 0;
	expect(&b, "network: bad listener");
	ITEM(&b, network.listeners, struct plan_listener, 0)->inside = 0;
	expect(&b, "network: bad listener");
	ITEM(&b, network.listeners, struct plan_listener, 0)->inside = PLAN_TCP_PORT;
	expect(&b, "network: bad listener");
	ITEM(&b, network.listeners, struct plan_listener, 0)->inside = PLAN_DNS_PORT;
	expect(&b, "network: bad listener");
	ITEM(&b, network.sockets, struct plan_socket, 0)->kind = PS_TCP;
	ITEM(&b, network.sockets, struct plan_socket, 0)->port = 4321;
	ITEM(&b, network.listeners, struct plan_listener, 0)->inside = 4321;
	expect(&b, "network: bad listener");
	buf_free(&b);
}

/* Many entries that share one long string must not make the check slow. */
static void test_overlapping_strings(void **state)
{
	enum { LEN = 20000, ENTRIES = 2000 };
	struct buf b = BUF_INIT(PLAN_MAX);
	struct plan_env env = { { 0, LEN } };

	plan_sample(&b);
	env.text.off = (uint32_t)b.len;
	for (int i = 0; i < LEN; i++)
		buf_add(&b, "A", 1);
	buf_align(&b, 8);
	buf_add(&b, "\0\0\0\0\0\0\0", 8);
	head(&b)->env_pass.off = (uint32_t)b.len;
	head(&b)->env_pass.count = ENTRIES;
	for (int i = 0; i < ENTRIES; i++)
		buf_add(&b, &env, sizeof(env));
	assert_false(b.failed);
	expect(&b, "too many strings");
	buf_free(&b);
}

static void test_json(void **state)
{
	static const char *const parts[] = {
		"{\n\t\"schema\": 1,\n\t\"version\": ",
		"\"profile\": \"sample\"",
		"\"layer\": \"time\",\n\t\t\t\"state\": \"downgraded\"",
		"\"namespaces\": [\"user\", \"pid\", \"mount\", \"net\"]",
		"\"kind\": \"bind\"",
		"\"flags\": [\"ro\", \"nosuid\", \"nodev\", \"rec\"]",
		"\"landlock\": [\"execute\", \"read_file\", \"read_dir\"]",
		"\"resource\": \"nofile\",\n\t\t\t\"soft\": 1024,\n\t\t\t\"hard\": null",
		"\"bounding\": [\"CAP_NET_BIND_SERVICE\"]",
		"\"EPERM\": [",
		"\"3: jeq 0x10 ? 4 : 7\"",
		"\"4: ld arg1.low\"",
		"\"value\": \"1234567890123456789\"",
	};
	struct buf b = BUF_INIT(PLAN_MAX), out = BUF_INIT(1 << 20);

	plan_sample(&b);
	plan_print_json(plan_open(b.data, b.len, NULL), &out);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!strstr(out.data, parts[i]))
			fail_msg("no %s in %s", parts[i], out.data);
	}
	buf_free(&b);
	buf_free(&out);
}

static void test_text(void **state)
{
	static const char *const parts[] = {
		"profile sample, enforcement strict\n",
		"  time          downgraded: not in this kernel\n",
		"  bind       /usr from /usr  ro,nosuid,nodev,rec",
		"  symlink    /bin -> usr/bin",
		"  nofile        1024 unlimited\n",
		"content: box\\x0a\n",
		"by argument\n    ioctl",
		"  every other number: EPERM\n",
	};
	struct buf b = BUF_INIT(PLAN_MAX), out = BUF_INIT(1 << 20);

	plan_sample(&b);
	plan_print_text(plan_open(b.data, b.len, NULL), true, &out);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!strstr(out.data, parts[i]))
			fail_msg("no %s in %s", parts[i], out.data);
	}
	/* Only how many, and nothing of a key that is none. */
	buf_free(&out);
	plan_print_text(plan_open(b.data, b.len, NULL), false, &out);
	assert_non_null(strstr(out.data, "by argument: 1\n"));
	assert_null(strstr(out.data, "    ioctl"));
	buf_free(&b);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_mounts),
		cmocka_unit_test(test_network),
		cmocka_unit_test(test_listeners),
		cmocka_unit_test(test_overlapping_strings),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
