/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden tests: the plans of all shipped profiles on a host that a table
 * describes, for a user and for root. UPDATE_GOLDEN=1 writes them anew; read
 * the difference before you commit it. The filter has tests of its own: here
 * only which calls it lets through is compared, where the numbers are known.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/fd.h"
#include "plan/print.h"
#include "policy/keys.h"
#include "sys/landlock.h"

#include "built.h"

static const struct plan_mount *find_mount(const struct built *t, const char *target)
{
	const struct plan_mount *m = plan_items(t->plan, mounts, struct plan_mount);

	for (uint32_t i = 0; i < t->plan->mounts.count; i++) {
		const char *at = plan_string(t->plan, m[i].target);

		if (at && streq(at, target))
			return &m[i];
	}
	return NULL;
}

static const struct plan_layer *find_layer(const struct built *t, enum plan_layer_id id)
{
	return plan_items(t->plan, layers, struct plan_layer) + id;
}

static bool is_downgraded(const struct built *t, const char *what)
{
	const struct plan_downgrade *d = plan_items(t->plan, downgrades, struct plan_downgrade);

	for (uint32_t i = 0; i < t->plan->downgrades.count; i++)
		if (streq(plan_string(t->plan, d[i].what), what))
			return plan_string(t->plan, d[i].why) != NULL;
	return false;
}

static bool has_env(const struct built *t, bool set, const char *text)
{
	const struct plan_env *v = set ? plan_items(t->plan, env_set, struct plan_env)
				       : plan_items(t->plan, env_pass, struct plan_env);
	uint32_t count = set ? t->plan->env_set.count : t->plan->env_pass.count;

	for (uint32_t i = 0; i < count; i++)
		if (streq(plan_string(t->plan, v[i].text), text))
			return true;
	return false;
}

/* --- golden --- */

static const char *const profiles[] = { "ci-worker",	  "code-analyst", "coding-agent",
					"data-retriever", "default",	  "honeypot",
					"node",		  "python",	  "strict" };

static void show_difference(const char *file, const char *want, const char *got)
{
	unsigned line = 1;
	size_t i = 0, start = 0;

	for (; want[i] != '\0' && want[i] == got[i]; i++) {
		if (want[i] == '\n') {
			line++;
			start = i + 1;
		}
	}
	fail_msg("%s:%u: want '%.*s', got '%.*s' (UPDATE_GOLDEN=1 writes it anew)", file, line,
		 (int)strcspn(want + start, "\n"), want + start, (int)strcspn(got + start, "\n"),
		 got + start);
}

static void compare(const char *name, const char *kind, const struct buf *got)
{
	_cleanup_buf_ struct buf want = BUF_INIT(4 << 20);
	char file[512];

	assert_false(got->failed);
	snprintf(file, sizeof(file), GOLDEN_DIR "/%s.%s.json", name, kind);
	if (getenv("UPDATE_GOLDEN")) {
		_cleanup_close_ int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

		assert_true(fd >= 0);
		assert_int_equal(write_full(fd, got->data, got->len), 0);
		return;
	}
	if (read_file_at(AT_FDCWD, file, &want) < 0)
		fail_msg("%s cannot be read (UPDATE_GOLDEN=1 writes it)", file);
	if (!streq(want.data, got->data))
		show_difference(file, want.data, got->data);
}

/* Lines @from to before @to, which start members of the top level. */
static void take(struct buf *ret, const char *json, const char *from, const char *to)
{
	const char *a = from ? strstr(json, from) : json, *b = to ? strstr(json, to) : NULL;

	assert_non_null(a);
	assert_true(!to || b);
	buf_add(ret, a, b ? (size_t)(b - a) : strlen(a));
}

static void check_golden(const char *name, const char *kind, const struct host *h)
{
	_cleanup_buf_ struct buf text = BUF_INIT(1 << 20), json = BUF_INIT(4 << 20);
	_cleanup_buf_ struct buf plan = BUF_INIT(4 << 20), filter = BUF_INIT(4 << 20);
	struct built t;
	char path[512];

	snprintf(path, sizeof(path), PROFILE_DIR "/%s.yaml", name);
	assert_int_equal(read_file_at(AT_FDCWD, path, &text), 0);
	build_bytes(&t, name, text.data, text.len, h);
	if (!t.plan)
		fail_msg("%s for %s: %s", name, kind, t.e.message);
	plan_print_json(t.plan, &json);
	take(&plan, json.data, NULL, "\t\"seccomp\":");
	take(&plan, json.data, "\t\"sources\":", NULL);
	compare(name, kind, &plan);
#ifdef __x86_64__
	take(&filter, json.data, "\t\t\"actions\":", "\t\t\"listing\":");
	compare(name, "filter", &filter);
#endif
	done(&t);
}

static void test_golden(void **state)
{
	const struct host user = a_user(), root = a_root();

	for (size_t i = 0; i < ARRAY_SIZE(profiles); i++) {
		check_golden(profiles[i], "user", &user);
		check_golden(profiles[i], "root", &root);
	}
}

/* The same policy and host: the same bytes. */
static void test_deterministic(void **state)
{
	const struct host h = a_user();
	struct built a, b;

	build(&a, "name: x\n", &h);
	build(&b, "name: x\n", &h);
	assert_int_equal(a.block.len, b.block.len);
	assert_memory_equal(a.block.data, b.block.data, a.block.len);
	assert_memory_equal(a.plan->key, a_key, sizeof(a_key));
	done(&a);
	done(&b);
}

/* --- refusals --- */

static void test_unsupported(void **state)
{
	static const struct {
		const char *what, *text;
	} keys[] = {
		{ "network.loopback: false", "network: {isolated: false, loopback: false}\n" },
		{ "devices.allow", "devices: {allow: [/dev/kvm]}\n" },
		{ "devices.gpu", "devices: {gpu: [all]}\n" },
	};
	struct host h = a_user();

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		struct built t;

		h.best_effort = false;
		expect_refused(keys[i].text, &h, keys[i].what, "--best-effort");
		h.best_effort = true;
		build(&t, keys[i].text, &h);
		assert_non_null(t.plan);
		assert_true(is_downgraded(&t, keys[i].what));
		assert_int_equal(t.plan->downgrades.count, 1);
		assert_int_equal(t.plan->enforcement, ENFORCE_BEST_EFFORT);
		done(&t);
	}
	/* No plan is written where a lesser one would change the host. */
	expect_refused("capabilities: {default_drop: false}\n", &h, "capabilities.default_drop",
		       NULL);
}

/* Where the kernel does not tell of events, the policy that wants it to is refused. */
static void test_ebpf(void **state)
{
	static const char text[] = "audit: {enabled: true, ebpf: true, log_path: /srv/log}\n";
	struct host h = a_user();
	struct built t;

	build(&t, text, &h);
	assert_int_equal(t.plan->audit.flags & PA_EBPF, PA_EBPF);
	done(&t);
	h.no_ebpf = "only root may";
	expect_refused(text, &h, "audit.ebpf: true: only root may", "seccomp");
	h.best_effort = true;
	build(&t, text, &h);
	assert_true(is_downgraded(&t, "audit.ebpf: true"));
	assert_int_equal(t.plan->audit.flags & PA_EBPF, 0);
	done(&t);
}

static int rules_without_v6(void *ctx, const void *batch, size_t size, bool *v6)
{
	return 0;
}

static void test_network(void **state)
{
	static const char text[] =
		"network:\n  isolated: false\n  allow_outgoing: [Example.org:443, 10.0.0.0/8]\n"
		"  blocked_ips: [10.1.0.0/16]\n  dns_servers: [9.9.9.9, \"2620:fe::fe\"]\n";
	struct host h = a_user();
	const struct plan_network *n;
	const struct net_rule *rule;
	struct built t, again;

	build(&t, text, &h);
	assert_non_null(t.plan);
	n = &t.plan->network;
	rule = plan_items(t.plan, network.allow, struct net_rule);
	assert_int_equal(n->flags, PN_ON | PN_V6);
	assert_int_equal(n->allow.count, 2);
	assert_string_equal(rule->name, "example.org");
	assert_int_equal(n->block.count, 1);
	assert_int_equal(n->servers.count, 2);
	assert_int_equal(plan_items(t.plan, network.servers, struct plan_server)[1].port, 53);
	assert_int_equal(n->sockets.count, 6);
	assert_true(n->batch.count > 0);
	assert_int_equal(t.plan->landlock_net, 0);
	build(&again, text, &h);
	assert_int_equal(t.block.len, again.block.len);
	assert_memory_equal(t.block.data, again.block.data, t.block.len);
	done(&again);
	done(&t);

	h.try_network = rules_without_v6;
	build(&t, text, &h);
	assert_int_equal(t.plan->network.flags, PN_ON);
	assert_int_equal(t.plan->network.sockets.count, 3);
	done(&t);

	h = a_user(); /* without the rules: test_ports.c */
	h.namespaces &= ~(uint64_t)CLONE_NEWNET;
	h.best_effort = true;
	expect_refused(text, &h, "net namespace", NULL);
}

/* Neither a namespace nor a helper; nor anything where abstract sockets would be open. */
static void test_share_host(void **state)
{
	static const char text[] = "network: {share_host: true}\n";
	struct host h = a_user();
	const struct plan_layer *l;
	struct built t;

	h.try_network = NULL;
	build(&t, text, &h);
	assert_non_null(t.plan);
	assert_int_equal(t.plan->namespaces, h.namespaces & ~(uint64_t)CLONE_NEWNET);
	assert_int_equal(t.plan->steps & STEP_LOOPBACK, 0);
	assert_int_equal(t.plan->network.flags, 0);
	assert_int_equal(t.plan->landlock_scoped, 3);
	l = find_layer(&t, LAYER_NET);
	assert_int_equal(l->state, LS_OFF);
	assert_string_equal(plan_string(t.plan, l->why), "policy says so: network.share_host");
	done(&t);
	h.landlock_abi = 5;
	h.best_effort = true;
	expect_refused(text, &h, "abstract unix sockets", "6.12");
}

/* A socket for each listed port and family; port 53 has its server of names. */
static void test_network_udp(void **state)
{
	static const struct plan_socket expect[] = {
		{ PS_UDP, 0, 123 },  { PS_UDP, 1, 123 }, { PS_UDP, 0, 5000 },
		{ PS_UDP, 1, 5000 }, { PS_ICMP, 0, 0 },	 { PS_ICMP, 1, 0 },
	};
	const char *only_dns = "network: {isolated: false, allow_outgoing: [\"9.9.9.9:53/udp\"]}\n";
	struct host h = a_user();
	const struct plan_socket *s;
	char text[2048];
	struct built t;
	int at;

	build(&t,
	      "network: {isolated: false, allow_outgoing: [\"a.example:123/udp\", "
	      "\"9.9.9.9:53/udp\", \"[2001:db8::1]:5000/udp\", \"10.0.0.0/8:123/udp\", "
	      "\"a.example:443\"]}\n",
	      &h);
	assert_non_null(t.plan);
	s = plan_items(t.plan, network.sockets, struct plan_socket);
	assert_int_equal(t.plan->network.sockets.count, 6 + ARRAY_SIZE(expect));
	assert_memory_equal(s + 6, expect, sizeof(expect));
	done(&t);
	build(&t, only_dns, &h);
	assert_non_null(t.plan);
	assert_int_equal(t.plan->network.sockets.count, 8);
	done(&t);
	expect_refused("network: {isolated: false, allow_outgoing: [\"a.example/udp\"]}\n", &h,
		       "a.example/udp: for UDP a rule has to name the port",
		       "dns.example.org:53/udp");
	at = snprintf(text, sizeof(text), "network: {isolated: false, allow_outgoing: [");
	for (int port = 1; port <= 65; port++) {
		if (port == 65) {
			snprintf(text + at, sizeof(text) - (size_t)at, "]}\n");
			build(&t, text, &h);
			assert_non_null(t.plan);
			done(&t);
		}
		at += snprintf(text + at, sizeof(text) - (size_t)at, "\"a.example:%d/udp\",",
			       1000 + port);
	}
	snprintf(text + at, sizeof(text) - (size_t)at, "]}\n");
	expect_refused(text, &h, "UDP to more than 64 ports", NULL);
}

/* What the table marks as not supported is of a type that build_support.c looks into. */
static void test_marks(void **state)
{
	unsigned marked = 0;

	for (size_t i = 0; i < policy_keys_count; i++) {
		const struct policy_key *k = &policy_keys[i];
		bool words = k->type == KEY_BOOL || k->type == KEY_ENUM;

		if (!k->not_yet)
			continue;
		marked++;
		assert_true(words || k->type == KEY_TEXT || k->type == KEY_PATH ||
			    k->type == KEY_LIST ||
			    (k->type >= KEY_COUNT && k->type <= KEY_CORES && !k->fallback));
		assert_int_equal(words, !streq(k->not_yet, NOT_YET_ANY));
	}
	assert_true(marked > 0);
}

static void test_policy_asks_for_best_effort(void **state)
{
	const struct host h = a_user();
	struct built t;

	build(&t, "enforcement: best-effort\ndevices: {gpu: [all]}\n", &h);
	assert_non_null(t.plan);
	assert_true(is_downgraded(&t, "devices.gpu"));
	done(&t);
}

/* Never a right that the kernel does not know, and never one less than it does. */
static void test_landlock(void **state)
{
	static const uint64_t fs[] = { 0, 0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff, 0xffff, 0xffff };

	for (uint32_t abi = 0; abi < ARRAY_SIZE(fs); abi++) {
		struct host h = a_user();
		const struct plan_mount *m;
		struct built t;

		h.landlock_abi = abi;
		if (abi < 6)
			expect_refused("network: {loopback: false}\n", &h, "landlock:", "kernel");
		h.best_effort = true;
		build(&t, "network: {loopback: false}\n", &h);
		assert_non_null(t.plan);
		assert_int_equal(t.plan->landlock_abi, abi);
		assert_int_equal(t.plan->landlock_fs, fs[abi]);
		assert_int_equal(t.plan->landlock_net, abi >= 4 ? 3 : 0);
		assert_int_equal(t.plan->landlock_scoped, abi >= 6 ? 3 : 0);
		assert_int_equal(find_layer(&t, LAYER_LANDLOCK)->state,
				 abi < 6 ? LS_DOWNGRADED : LS_ENFORCED);
		assert_int_equal(is_downgraded(&t, "landlock"), abi < 6);
		m = plan_items(t.plan, mounts, struct plan_mount);
		for (uint32_t i = 0; i < t.plan->mounts.count; i++)
			assert_int_equal(m[i].landlock & ~fs[abi], 0);
		done(&t);
	}
}

static void test_namespaces(void **state)
{
	static const struct {
		uint64_t flag;
		enum plan_layer_id id;
		const char *what; /* NULL: nothing can be done without it */
	} ns[] = {
		{ CLONE_NEWUSER, LAYER_USER, NULL },
		{ CLONE_NEWNS, LAYER_MOUNT, NULL },
		{ CLONE_NEWPID, LAYER_PID, "pid namespace" },
		{ CLONE_NEWNET, LAYER_NET, "net namespace" },
		{ CLONE_NEWIPC, LAYER_IPC, "ipc namespace" },
		{ CLONE_NEWUTS, LAYER_UTS, "uts namespace" },
		{ CLONE_NEWCGROUP, LAYER_CGROUP, "cgroup namespace" },
		{ CLONE_NEWTIME, LAYER_TIME, "time namespace" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ns); i++) {
		struct host h = a_user();
		struct built t;

		h.namespaces &= ~ns[i].flag;
		expect_refused("name: x\n", &h, "namespace: this kernel does not have it", NULL);
		h.best_effort = true;
		if (!ns[i].what) {
			expect_refused("name: x\n", &h, "this kernel does not have it", NULL);
			continue;
		}
		build(&t, "name: x\n", &h);
		assert_non_null(t.plan);
		assert_int_equal(t.plan->namespaces, h.namespaces);
		for (uint32_t id = 0; id < LAYERS; id++)
			assert_int_equal(find_layer(&t, id)->state,
					 id == ns[i].id ? LS_DOWNGRADED : LS_ENFORCED);
		assert_true(is_downgraded(&t, ns[i].what));
		done(&t);
	}
}

/* --- the host's paths --- */

static void test_links(void **state)
{
	const struct host h = a_root();
	const struct plan_mount *m;
	struct built t;

	build(&t, "filesystem: {writable_paths: [~/link], immutable_paths: [~/.gitconfig]}\n", &h);
	assert_non_null(t.plan);
	m = find_mount(&t, "/home/u/link");
	assert_non_null(m);
	assert_string_equal(plan_string(t.plan, m->source), "/srv/data");
	assert_true(m->flags & PMF_IDMAP);
	assert_false(m->flags & PMF_RDONLY);
	m = find_mount(&t, "/home/u/.gitconfig");
	assert_non_null(m);
	assert_string_equal(plan_string(t.plan, m->source), "/home/u/dot/gitconfig");
	assert_true(m->flags & PMF_IS_FILE && m->flags & PMF_RDONLY);
	assert_false(m->flags & PMF_IDMAP);
	/* A link of the system is made again; one of /etc is followed; one to nowhere left. */
	m = find_mount(&t, "/bin");
	assert_int_equal(m->kind, PM_SYMLINK);
	assert_string_equal(plan_string(t.plan, m->source), "usr/bin");
	assert_string_equal(plan_string(t.plan, find_mount(&t, "/etc/ssl")->source), "/opt/ssl");
	assert_null(find_mount(&t, "/etc/pki"));
	assert_null(find_mount(&t, "/etc/shadow"));
	done(&t);
	expect_refused("filesystem: {immutable_paths: [/srv/link]}\n", &h,
		       "/srv/link is a link to data", NULL);
	expect_refused("filesystem: {immutable_paths: [~/to-proc]}\n", &h,
		       "leads to /proc, which cannot be given", NULL);
	expect_refused("filesystem: {writable_paths: [~/to-purple]}\n", &h,
		       "which cannot be writable", NULL);
	expect_refused("filesystem: {immutable_paths: [~/to-nowhere]}\n", &h,
		       "p.yaml:1: filesystem.immutable_paths: /home/u/to-nowhere", "optional");
	expect_refused("filesystem: {immutable_paths: [~/fifo]}\n", &h,
		       "neither a file nor a directory", NULL);
	expect_refused("filesystem: {output_paths: [/srv/none]}\n", &h,
		       "p.yaml:1: filesystem.output_paths: /srv/none", "optional");
}

static void test_optional(void **state)
{
	const struct host h = a_user();
	const struct plan_fact *f;
	struct built t;
	bool found = false;

	build(&t, "filesystem:\n  immutable_paths: [{host_path: /srv/none, optional: true}]\n", &h);
	assert_non_null(t.plan);
	assert_null(find_mount(&t, "/srv/none"));
	f = plan_items(t.plan, facts, struct plan_fact);
	for (uint32_t i = 0; i < t.plan->facts.count; i++)
		found |= f[i].kind == PF_ABSENT &&
			 streq(plan_string(t.plan, f[i].path), "/srv/none");
	assert_true(found);
	done(&t);
}

static void test_no_home(void **state)
{
	struct host h = a_user();
	struct built t;

	h.home = h.user = NULL;
	expect_refused("filesystem: {immutable_paths: [~/x]}\n", &h, "there is no HOME", NULL);
	expect_refused("filesystem: {scratch_paths: ['${XDG_CACHE_HOME}/x']}\n", &h,
		       "there is no HOME", NULL);
	expect_refused("filesystem: {working_dir: ~/x}\n", &h, "there is no HOME", NULL);
	build(&t, "name: x\n", &h);
	assert_non_null(t.plan);
	assert_true(has_env(&t, true, "HOME=/"));
	assert_true(has_env(&t, true, "USER=user"));
	done(&t);
}

/* Workspace paths come after the workspace; places that are twice are there once. */
static void test_order(void **state)
{
	const struct host h = a_user();
	const struct plan_mount *m, *workspace = NULL;
	struct built t;
	unsigned tmp = 0, out = 0;

	build(&t,
	      "filesystem:\n"
	      "  immutable_paths: [/usr, ./.git]\n"
	      "  output_paths: [{host_path: /srv/data, sandbox_path: /out}]\n"
	      "  scratch_paths: [/tmp, /out, /cache]\n"
	      "  working_dir: /cache\n",
	      &h);
	assert_non_null(t.plan);
	m = plan_items(t.plan, mounts, struct plan_mount);
	for (uint32_t i = 0; i < t.plan->mounts.count; i++) {
		const char *target = plan_string(t.plan, m[i].target);

		if (m[i].kind == PM_WORKSPACE) {
			workspace = &m[i];
			continue;
		}
		assert_true(target[0] == '/' || workspace);
		tmp += streq(target, "/tmp");
		out += streq(target, "/out");
	}
	assert_non_null(workspace);
	assert_int_equal(tmp, 1);
	assert_int_equal(out, 1);
	assert_int_equal(find_mount(&t, "/out")->kind, PM_OUTPUT);
	assert_int_equal(find_mount(&t, "/cache")->kind, PM_SCRATCH);
	assert_non_null(find_mount(&t, "./.git"));
	assert_string_equal(plan_string(t.plan, t.plan->working_dir), "/cache");
	done(&t);
	expect_refused("filesystem: {scratch_paths: [./x]}\n", &h, "inside the workspace", NULL);
}

static void test_outputs_and_overlays(void **state)
{
	const struct host h = a_user();
	const struct plan_mount *m;
	struct built t;

	build(&t, "filesystem:\n  output_paths: [{host_path: /srv/data, sandbox_path: /out}]\n",
	      &h);
	assert_non_null(t.plan);
	m = find_mount(&t, "/out");
	assert_int_equal(m->kind, PM_OUTPUT);
	assert_int_equal(m->landlock & (LL_READ | LL_MAKE_SYM | LL_REFER), 0);
	/* It would hold in the box as well. */
	assert_int_equal(t.plan->landlock_root, 0);
	assert_int_equal(t.plan->output_bytes, 512 << 20);
	done(&t);
	build(&t, "filesystem: {overlays: [{path: /srv/data, mode: review}]}\n", &h);
	assert_non_null(t.plan);
	m = find_mount(&t, "/srv/data");
	assert_int_equal(m->kind, PM_OVERLAY);
	assert_int_equal(m->flags & PMF_LAYERED, PMF_REVIEW);
	assert_int_equal(t.plan->output_bytes, 0);
	assert_int_not_equal(t.plan->landlock_root, 0);
	done(&t);
	expect_refused(
		"filesystem: {output_paths: [{host_path: /srv/data, sandbox_path: /tmp/o}]}\n", &h,
		"may be read", "sandbox_path: /out");
	expect_refused("filesystem:\n  output_paths: [{host_path: /srv/data, sandbox_path: /out}]\n"
		       "  immutable_paths: [{host_path: /srv/data, sandbox_path: /out/x}]\n",
		       &h, "would be in the box", NULL);
	expect_refused("filesystem:\n  overlays: [{path: /srv/data, mode: review}]\n"
		       "  writable_paths: [{host_path: /srv/data, sandbox_path: /x}]\n",
		       &h, "makes writable", NULL);
	expect_refused("filesystem:\n  overlays: [{path: /srv/data, mode: review}]\n"
		       "  scratch_paths: [/srv/data/x]\n",
		       &h, "lies in", NULL);
}

static void test_host_fails(void **state)
{
	struct fault fault = { .look = "/usr" };
	struct host h = a_user();

	h.ctx = &fault;
	expect_refused("name: x\n", &h, "look at /usr", NULL);
	fault = (struct fault){ .look = "/etc/ssl" };
	expect_refused("name: x\n", &h, "look at /etc/ssl", NULL);
	fault = (struct fault){ .list = "/etc" };
	expect_refused("name: x\n", &h, "/etc", NULL);
}

/* --- the process --- */

static void test_capabilities(void **state)
{
	const struct host h = a_user();
	const uint64_t bind = 1ULL << 10, raw = 1ULL << 13;
	struct built t;

	build(&t,
	      "capabilities: {add: [CAP_NET_BIND_SERVICE, CAP_NET_RAW, CAP_KILL],"
	      " drop: [CAP_KILL]}\n",
	      &h);
	assert_non_null(t.plan);
	assert_int_equal(t.plan->caps_bounding, bind | raw);
	assert_int_equal(t.plan->caps_ambient, bind | raw);
	assert_int_equal(t.plan->securebits & 0xc0, 0); /* ambient ones are raised later */
	done(&t);
	build(&t, "capabilities: {add: [CAP_NET_BIND_SERVICE, CAP_NET_RAW], drop: [ALL]}\n", &h);
	assert_non_null(t.plan);
	assert_int_equal(t.plan->caps_bounding | t.plan->caps_permitted | t.plan->caps_effective |
				 t.plan->caps_inheritable | t.plan->caps_ambient,
			 0);
	assert_int_equal(t.plan->securebits & 0xc0, 0xc0);
	assert_true(t.plan->steps & STEP_DROP_CAPS && t.plan->steps & STEP_NO_NEW_PRIVS);
	done(&t);
}

static void test_environment(void **state)
{
	const struct host h = a_user();
	struct built t;

	build(&t, "environment: {set: {PATH: /x, HOME: /y, A: 'b=c'}, pass: [OPENAI_*, TOKEN]}\n",
	      &h);
	assert_non_null(t.plan);
	assert_true(has_env(&t, true, "PATH=/x"));
	assert_true(has_env(&t, true, "HOME=/y"));
	assert_true(has_env(&t, true, "A=b=c"));
	assert_false(has_env(&t, true, "HOME=/home/u"));
	assert_true(has_env(&t, true, "USER=u"));
	assert_true(has_env(&t, false, "OPENAI_*"));
	assert_true(has_env(&t, false, "TOKEN"));
	assert_true(has_env(&t, false, "LANG"));
	assert_false(has_env(&t, false, "LD_*"));
	done(&t);
	/* What is passed on is the caller's, and never ours instead. */
	build(&t, "environment: {pass: [PATH, 'US*'], set: {HOME: /y}}\n", &h);
	assert_non_null(t.plan);
	assert_true(has_env(&t, false, "PATH"));
	for (uint32_t i = 0; i < t.plan->env_set.count; i++) {
		const char *text =
			plan_string(t.plan, plan_items(t.plan, env_set, struct plan_env)[i].text);

		assert_null(str_after(text, "PATH="));
		assert_null(str_after(text, "USER="));
	}
	assert_true(has_env(&t, true, "HOME=/y"));
	assert_true(has_env(&t, true, "LOGNAME=u"));
	done(&t);
}

static void test_sources(void **state)
{
	struct policy_source sources[] = { { "/a.yaml", { 7 } }, { "/b.yaml", { 8 } } };
	const char *absent[] = { "/etc/purple/profiles/a.yaml" };
	struct buf block = BUF_INIT(PLAN_MAX);
	const struct host h = a_user();
	const struct plan_source *s;
	const struct plan_fact *f;
	const struct plan *plan;
	struct err e = { 0 };
	struct policy p;

	policy_init(&p);
	p.sources = sources;
	p.sources_count = ARRAY_SIZE(sources);
	p.absent = absent;
	p.absent_count = ARRAY_SIZE(absent);
	assert_int_equal(plan_build(&p, &h, a_key, &block, &e), 0);
	plan = plan_open(block.data, block.len, NULL);
	assert_non_null(plan);
	assert_int_equal(plan->sources.count, 2);
	s = plan_items(plan, sources, struct plan_source);
	assert_string_equal(plan_string(plan, s[1].path), "/b.yaml");
	assert_memory_equal(s[1].sha256, sources[1].sha256, sizeof(s[1].sha256));
	f = plan_items(plan, facts, struct plan_fact) + plan->facts.count - 1;
	assert_int_equal(f->kind, PF_ABSENT);
	assert_string_equal(plan_string(plan, f->path), absent[0]);
	buf_free(&block);
	policy_free(&p);
}

/* 4,000 variables of 40 bytes are more than a plan holds. */
static void test_too_large(void **state)
{
	struct buf text = BUF_INIT(1 << 20);
	const struct host h = a_user();
	struct built t;

	buf_puts(&text, "environment:\n  set:\n");
	for (unsigned i = 0; i < 4000; i++)
		buf_printf(&text, "    N%u: 0123456789012345678901234567890123456789\n", i);
	build_bytes(&t, "p.yaml", text.data, text.len, &h);
	assert_null(t.plan);
	assert_non_null(strstr(t.e.message, "larger than"));
	done(&t);
	buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_deterministic),
		cmocka_unit_test(test_unsupported),
		cmocka_unit_test(test_ebpf),
		cmocka_unit_test(test_network),
		cmocka_unit_test(test_network_udp),
		cmocka_unit_test(test_share_host),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_policy_asks_for_best_effort),
		cmocka_unit_test(test_landlock),
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_optional),
		cmocka_unit_test(test_no_home),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_outputs_and_overlays),
		cmocka_unit_test(test_host_fails),
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
