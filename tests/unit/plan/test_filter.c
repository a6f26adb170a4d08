/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "filter_under.h"
#include "plan/bpf.h"
#include "plan/syscall.h"

static void count_report(const char *what, const struct under *u)
{
	unsigned args = 0, allow = 0;
	uint32_t ret;

	for (uint32_t nr = 0; nr < SYSCALL_LIMIT; nr++) {
		if (!bpf_decide((const struct sock_filter *)u->insns.data, u->insns.len / 8,
				u->arch, nr, &ret))
			args++;
		else if (ret == ALLOW)
			allow++;
	}
	print_message("%s: %zu instructions, %u calls allowed, %u by argument\n", what,
		      u->insns.len / sizeof(struct sock_filter), allow, args);
}

/* Every call that anybody knows is in exactly one group. */
static void test_groups_complete(void **state)
{
	static const uint32_t archs[] = { X86, ARM };
	char name[64];

	for (size_t a = 0; a < 2; a++) {
		for (int nr = 0; nr < SYSCALL_LIMIT; nr++) {
			unsigned found = 0;

			if (!syscall_name(nr, archs[a], name))
				continue;
			for (size_t g = 0; g < syscall_groups_count; g++) {
				for (size_t i = 0; i < syscall_groups[g].count; i++)
					found += !strcmp(syscall_groups[g].names[i], name);
			}
			if (found != 1)
				fail_msg("%s is in %u groups", name, found);
			assert_int_equal(syscall_number(name, archs[a]), nr);
		}
	}
	for (size_t g = 0; g < syscall_groups_count; g++) {
		for (size_t i = 0; i < syscall_groups[g].count; i++)
			assert_int_not_equal(syscall_number(syscall_groups[g].names[i], X86), -2);
	}
}

/* The decision that the tables alone give for a call without guards. */
static uint32_t expected(const char *name, enum syscall_level level, bool nesting)
{
	for (size_t g = 0; g < syscall_groups_count; g++) {
		const struct syscall_group *gr = &syscall_groups[g];

		for (size_t i = 0; i < gr->count; i++) {
			if (strcmp(gr->names[i], name) != 0)
				continue;
			if (gr->level <= level || (nesting && gr->level == SL_NESTING))
				return ALLOW;
			return ERR(gr->refusal);
		}
	}
	return ERR(ENOSYS);
}

static bool guarded(const char *name)
{
	for (size_t i = 0; i < syscall_guards_count; i++) {
		if (!strcmp(syscall_guards[i].syscall, name))
			return true;
	}
	return false;
}

static void test_baselines(void **state)
{
	static const struct {
		int baseline;
		enum syscall_level level;
		bool nesting, deny;
		const char *title;
	} cases[] = {
		{ BASELINE_NONE, SL_NEEDED, false, true, "none" },
		{ BASELINE_STRICT, SL_STRICT, false, true, "strict" },
		{ BASELINE_DEFAULT, SL_DEFAULT, false, true, "default" },
		{ BASELINE_DEFAULT, SL_DEFAULT, true, true, "default, nesting" },
		{ BASELINE_PERMISSIVE, SL_PERMISSIVE, false, true, "permissive" },
		{ BASELINE_STRICT, SL_PERMISSIVE, false, false, "default_deny: false" },
	};
	static const uint32_t archs[] = { X86, ARM };
	char name[64], title[128];

	for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		struct policy p = policy_of(cases[i / 2].baseline);
		struct under u;

		p.nesting = cases[i / 2].nesting;
		p.syscalls.default_deny = cases[i / 2].deny;
		u = build(&p, archs[i % 2]);
		snprintf(title, sizeof(title), "%s, %s", cases[i / 2].title,
			 i % 2 ? "aarch64" : "x86_64");
		count_report(title, &u);
		for (uint32_t nr = 0; nr <= 600; nr++) {
			uint32_t got = run_nr(&u, nr, NULL), want = ERR(ENOSYS);

			if (syscall_name((int)nr, u.arch, name)) {
				if (guarded(name))
					continue;
				want = expected(name, cases[i / 2].level, p.nesting);
			}
			if (got != want)
				fail_msg("%s: %u: got 0x%x, want 0x%x", title, nr, got, want);
		}
		buf_free(&u.insns);
	}
}

static void test_default_is_short(void **state)
{
	struct policy p = policy_of(BASELINE_DEFAULT);
	struct under u = build(&p, X86);

	assert_true(u.insns.len / sizeof(struct sock_filter) < 170);
	buf_free(&u.insns);
}

static void test_architectures(void **state)
{
	struct policy p = policy_of(BASELINE_DEFAULT);
	struct under u = build(&p, X86), w;

	w = u;
	w.arch = AUDIT_ARCH_I386;
	for (uint32_t nr = 0; nr < 600; nr++)
		assert_int_equal(run_nr(&w, nr, NULL), KILL);
	w.arch = ARM;
	assert_int_equal(run_nr(&w, 0, NULL), KILL);
	assert_int_equal(run_nr(&u, 0x40000000, NULL), KILL); /* x32 read */
	assert_int_equal(run_nr(&u, 0x40000000 | 520, NULL), KILL);
	assert_int_equal(run_nr(&u, 0x80000000, NULL), KILL);
	assert_int_equal(run_nr(&u, 0xfffffffe, NULL), KILL);
	assert_int_equal(run_nr(&u, 0xffffffff, NULL), ERR(ENOSYS));
	assert_int_equal(run_nr(&u, 0x3fffffff, NULL), ERR(ENOSYS));
	buf_free(&u.insns);
}

static void test_unsupported(void **state)
{
	struct policy p = policy_of(BASELINE_DEFAULT);
	struct filter_options o = { .arch = AUDIT_ARCH_S390X };
	struct buf b = BUF_INIT(1 << 16);
	struct err e = { 0 };

	assert_int_equal(filter_build(&p, &o, &b, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.remedy, "x86_64"));
	assert_int_equal(b.len, 0);
}

static void test_namespaces(void **state)
{
	struct policy p = policy_of(BASELINE_DEFAULT);
	struct under u = build(&p, X86);

	EXPECT(ALLOW, &u, "clone", 17, 0, 0);
	EXPECT(ALLOW, &u, "clone", 0x3d0f00, 0, 0); /* a thread of glibc's */
	for (int bit = 0; bit < 32; bit++) {
		uint64_t flag = 1ULL << bit;
		bool ns = flag & 0x7e020000;

		EXPECT(ns ? ERR(EPERM) : ALLOW, &u, "clone", flag | 17, 0, 0);
		EXPECT(ns ? ERR(EPERM) : ALLOW, &u, "clone", 1ULL << 32 | flag, 0, 0);
		EXPECT(ns || flag == 0x80 ? ERR(EPERM) : ALLOW, &u, "unshare", flag, 0, 0);
	}
	EXPECT(ERR(ENOSYS), &u, "clone3", 0, 0, 0);
	EXPECT(ERR(EPERM), &u, "setns", 3, 0, 0);
	EXPECT(ERR(EPERM), &u, "mount", 0, 0, 0);
	EXPECT(ERR(EPERM), &u, "fsopen", 0, 0, 0);
	buf_free(&u.insns);

	p.nesting = true;
	u = build(&p, X86);
	EXPECT(ALLOW, &u, "clone", 0x10000000 | 17, 0, 0);
	EXPECT(ALLOW, &u, "unshare", 0x7e020080, 0, 0);
	EXPECT(ALLOW, &u, "setns", 3, 0, 0);
	EXPECT(ALLOW, &u, "pivot_root", 0, 0, 0);
	EXPECT(ERR(ENOSYS), &u, "clone3", 0, 0, 0);
	EXPECT(ERR(EPERM), &u, "bpf", 0, 0, 0);
	buf_free(&u.insns);
}

static void check_sockets(const struct under *u, bool loopback)
{
	const uint64_t high = 1ULL << 32;

	for (uint64_t family = 0; family < 64; family++) {
		for (uint64_t type = 0; type < 16; type++) {
			bool inet = family == 2 || family == 10;
			uint32_t want = ERR(EAFNOSUPPORT);

			if (family == 1 || (loopback && family == 16))
				want = ALLOW;
			else if (loopback && inet)
				want = type == 1 || type == 2 ? ALLOW : ERR(EPERM);
			EXPECT(want, u, "socket", family, type, 0);
			/* SOCK_CLOEXEC | SOCK_NONBLOCK; what the kernel cuts off */
			EXPECT(want, u, "socket", family | high, type | 02004000 | high, high);
			EXPECT(family == 1 ? ALLOW : ERR(EAFNOSUPPORT), u, "socketpair", family,
			       type, 0);
		}
		if (family != 1 && family != 2 && family != 10)
			EXPECT(ERR(EAFNOSUPPORT), u, "socket", family, 3, 9); /* audit */
	}
}

static void test_sockets(void **state)
{
	struct policy p = policy_of(BASELINE_DEFAULT);

	for (int loopback = 0; loopback < 2; loopback++) {
		struct under u;

		p.network.loopback = loopback;
		u = build(&p, loopback ? X86 : ARM);
		check_sockets(&u, loopback);
		buf_free(&u.insns);
	}
}

static void test_guards(void **state)
{
	struct policy p = policy_of(BASELINE_DEFAULT);
	struct under u = build(&p, X86);
	static const uint64_t high[] = { 0, 1ULL << 32, 0x123ULL << 32, ~0ULL << 32 };

	for (size_t i = 0; i < ARRAY_SIZE(high); i++) {
		EXPECT(ERR(EPERM), &u, "ioctl", 0, high[i] | 0x5412, 0);
		EXPECT(ERR(EPERM), &u, "ioctl", 0, high[i] | 0x541c, 0);
		EXPECT(ALLOW, &u, "ioctl", 0, high[i] | 0x5413, 0);
		EXPECT(ERR(EPERM), &u, "seccomp", 1, high[i] | 8, 0);
		EXPECT(ERR(EPERM), &u, "seccomp", 1, high[i] | 0x19, 0);
		EXPECT(ALLOW, &u, "seccomp", 1, high[i] | 0x11, 0);
		EXPECT(ERR(EPERM), &u, "mknod", 0, high[i] | 0020666, 0);
		EXPECT(ERR(EPERM), &u, "mknodat", 0, 0, high[i] | 0060666);
		EXPECT(ALLOW, &u, "mknod", 0, high[i] | 0010666, 0);
		EXPECT(ALLOW, &u, "mknodat", 0, 0, high[i] | 0100666);
		EXPECT(ALLOW, &u, "mknodat", 0, 0, high[i] | 0140666);
		EXPECT(ALLOW, &u, "mknodat", 0, 0, high[i] | 0666);
		EXPECT(ALLOW, &u, "personality", high[i] | 0xffffffff, 0, 0);
		EXPECT(ALLOW, &u, "personality", high[i] | 0x40000, 0, 0);
		EXPECT(ALLOW, &u, "personality", high[i] | 0x20008, 0, 0);
		EXPECT(ERR(EPERM), &u, "personality", high[i] | 0x400000, 0,
		       0); /* READ_IMPLIES_EXEC */
		EXPECT(ERR(EPERM), &u, "personality", high[i] | 0x440000, 0, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(high); i++)
		EXPECT(ERR(EPERM), &u, "ioctl", 0, high[i] | 0x5423, 0);
	EXPECT(ALLOW, &u, "prctl", 22, 2, 0);
	EXPECT(ALLOW, &u, "ptrace", 0, 0, 0);
	buf_free(&u.insns);
}

#define STRS(...)                                                                                \
	{                                                                                        \
		(struct policy_str[]){ __VA_ARGS__ },                                            \
			sizeof((struct policy_str[]){ __VA_ARGS__ }) / sizeof(struct policy_str) \
	}

static void test_names(void **state)
{
	struct policy p = policy_of(BASELINE_STRICT);
	struct under u;

	p.syscalls.allow = (struct policy_strs)STRS({ "mount" }, { "bpf" }, { "socket" },
						    { "clone3" }, { "ptrace" });
	p.syscalls.deny = (struct policy_strs)STRS({ "bpf" }, { "lseek" });
	u = build(&p, X86);
	EXPECT(ALLOW, &u, "mount", 0, 0, 0);
	EXPECT(ERR(EPERM), &u, "bpf", 0, 0, 0); /* deny beats allow */
	EXPECT(ERR(EPERM), &u, "lseek", 0, 0, 0);
	EXPECT(ALLOW, &u, "socket", 2, 1, 0);
	EXPECT(ERR(EAFNOSUPPORT), &u, "socket", 40, 1, 0); /* a name does not lift the guards */
	EXPECT(ERR(ENOSYS), &u, "clone3", 0, 0, 0);
	EXPECT(ALLOW, &u, "ptrace", 0, 0, 0);
	EXPECT(ERR(EPERM), &u, "unshare", 0, 0, 0);
	buf_free(&u.insns);

	p.syscalls.kill = true;
	u = build(&p, X86);
	EXPECT(KILL, &u, "lseek", 0, 0, 0);
	EXPECT(KILL, &u, "ioctl", 0, 0x5412, 0);
	EXPECT(KILL, &u, "unshare", 0, 0, 0);
	EXPECT(ERR(ENOSYS), &u, "clone3", 0, 0, 0);
	EXPECT(ERR(EAFNOSUPPORT), &u, "socket", 40, 1, 0);
	EXPECT(ALLOW, &u, "read", 0, 0, 0);
	buf_free(&u.insns);
}

static void expect_error(const struct policy *p, const char *message, const char *remedy)
{
	struct buf b = BUF_INIT(1 << 20);
	struct err e = { 0 };

	assert_int_equal(filter_build(p, &(struct filter_options){ .arch = ARM }, &b, &e), -EPROTO);
	if (!strstr(e.message, message) || !strstr(e.remedy, remedy))
		fail_msg("%s / %s", e.message, e.remedy);
	buf_free(&b);
}

static void test_errors(void **state)
{
	struct policy p = policy_of(BASELINE_DEFAULT);
	struct policy_cond cond = { .arg = 1, .op = OP_MASKED_EQ, .value = 3, .mask = 1 };
	struct policy_sysrule rule = { .syscall = "ioctl", .conds = &cond, .conds_count = 1 };

	p.syscalls.allow = (struct policy_strs)STRS({ "fork", { "x.yaml", 7, 3 } },
						    { "opennat", { "x.yaml", 8, 3 } });
	expect_error(&p, "x.yaml:8:3: syscalls.allow: no system call is called 'opennat'",
		     "did you mean 'openat'?");
	p.syscalls.allow = (struct policy_strs){ 0 };
	p.syscalls.deny = (struct policy_strs)STRS({ "execve" });
	expect_error(&p, "'execve' cannot be denied", "advanced rule");
	p.syscalls.deny = (struct policy_strs){ 0 };
	p.syscalls.advanced_rules.items = &rule;
	p.syscalls.advanced_rules.count = 1;
	expect_error(&p, "condition 0: the value has bits outside of the mask", "");
	cond.arg = 6;
	expect_error(&p, "arguments 0 to 5", "");
	rule.conds_count = 0;
	expect_error(&p, "'ioctl' cannot be denied", "");
	/* What only this architecture lacks is no error. */
	p.syscalls.advanced_rules.count = 0;
	p.syscalls.deny = (struct policy_strs)STRS({ "epoll_create" }, { "iopl" });
	p.syscalls.allow = (struct policy_strs)STRS({ "fork" });
	buf_free(&(struct under){ .insns = build(&p, ARM).insns }.insns);
}

/* Every operation, around values where one half decides. */
static bool holds(const struct policy_cond *c, uint64_t v)
{
	/* clang-format off */
	switch (c->op) {
	case OP_EQ: return v == c->value;
	case OP_NEQ: return v != c->value;
	case OP_LT: return v < c->value;
	case OP_LTE: return v <= c->value;
	case OP_GT: return v > c->value;
	case OP_GTE: return v >= c->value;
	case OP_MASKED_EQ: return (v & c->mask) == c->value;
	case OP_MASKED_NEQ: return (v & c->mask) != c->value;
	}
	/* clang-format on */
	return false;
}

static const uint64_t edges[] = {
	1,
	2,
	0x7fffffff,
	0x80000000,
	0xfffffffe,
	0xffffffff,
	0x100000000,
	0x100000001,
	0x1fffffffe,
	0x1ffffffff,
	0x200000000,
	0x123456789abcdef0,
	0x8000000000000000,
	0xfffffffeffffffff,
	0xfffffffffffffffe,
};

static void test_operations(void **state)
{
	for (int op = OP_EQ; op <= OP_MASKED_NEQ; op++) {
		for (size_t i = 0; i < 2 * ARRAY_SIZE(edges); i++) {
			struct policy_cond c = { .arg = 2, .op = op, .value = edges[i / 2] };
			struct policy_sysrule rule = { "keyctl", i % 2, &c, 1, { 0 } };
			struct policy p = policy_of(BASELINE_DEFAULT);
			struct under u;

			c.mask = op >= OP_MASKED_EQ ? edges[i / 2] | edges[(i * 7) % 15] : 0;
			rule.syscall = rule.allow ? "keyctl" : "lseek";
			p.syscalls.advanced_rules.items = &rule;
			p.syscalls.advanced_rules.count = 1;
			u = build(&p, X86);
			for (size_t k = 0; k < ARRAY_SIZE(edges); k++) {
				for (int d = -1; d <= 1; d++) {
					uint64_t v = edges[k] + (uint64_t)d;
					bool allowed = holds(&c, v) == rule.allow;

					EXPECT(allowed ? ALLOW : ERR(EPERM), &u, rule.syscall, 0, 0,
					       v);
				}
			}
			buf_free(&u.insns);
		}
	}
}

static void test_rule_order(void **state)
{
	struct policy_cond tiocsti = { .arg = 1, .op = OP_EQ, .value = 0x5412 };
	struct policy_cond fd0 = { .arg = 0, .op = OP_EQ, .value = 0 };
	struct policy_sysrule rules[] = {
		{ .syscall = "ioctl", .allow = true, .conds = &tiocsti, .conds_count = 1 },
		{ .syscall = "ioctl", .allow = false, .conds = &fd0, .conds_count = 1 },
		{ .syscall = "clone3", .allow = true },
		{ .syscall = "ptrace", .allow = false },
	};
	struct policy p = policy_of(BASELINE_DEFAULT);
	struct under u;

	p.syscalls.advanced_rules = (struct policy_sysrules){ rules, ARRAY_SIZE(rules) };
	u = build(&p, X86);
	EXPECT(ERR(EPERM), &u, "ioctl", 0, 0x5412, 0);
	EXPECT(ALLOW, &u, "ioctl", 1, 0x5412, 0); /* said in words: lifts the guard */
	EXPECT(ERR(EPERM), &u, "ioctl", 1, 1ULL << 32 | 0x5412, 0);
	EXPECT(ERR(EPERM), &u, "ioctl", 0, 0x5401, 0);
	EXPECT(ALLOW, &u, "ioctl", 1, 0x5401, 0);
	EXPECT(ALLOW, &u, "clone3", 0, 0, 0);
	EXPECT(ERR(EPERM), &u, "ptrace", 0, 0, 0);
	buf_free(&u.insns);
}

/* More than 255 instructions between a jump and its target. */
static void test_long_jumps(void **state)
{
	enum { N = 120 };
	struct policy_cond conds[N];
	struct policy_sysrule rules[N];
	struct policy p = policy_of(BASELINE_NONE);
	struct under u;

	for (unsigned i = 0; i < N; i++) {
		conds[i] = (struct policy_cond){ .arg = 1, .op = OP_GT, .value = i << 20 };
		rules[i] = (struct policy_sysrule){ "bpf", i % 2, &conds[i], 1, { 0 } };
		conds[i].op = i % 3 ? OP_EQ : OP_MASKED_EQ;
		conds[i].mask = UINT64_MAX;
		rules[i].syscall = i % 5 ? "bpf" : "mount";
	}
	p.syscalls.advanced_rules = (struct policy_sysrules){ rules, N };
	u = build(&p, X86);
	assert_true(u.insns.len / sizeof(struct sock_filter) > 400);
	for (unsigned i = 0; i < N; i++) {
		EXPECT(i % 2 ? ALLOW : ERR(EPERM), &u, rules[i].syscall, 0, i << 20, 0);
		EXPECT(ERR(EPERM), &u, rules[i].syscall, 0, (i << 20) + 1, 0);
	}
	EXPECT(ALLOW, &u, "read", 0, 0, 0);
	EXPECT(ERR(EPERM), &u, "mount", 0, 1, 0);
	assert_int_equal(run_nr(&u, 500, NULL), ERR(ENOSYS));
	buf_free(&u.insns);
}

static void test_too_long(void **state)
{
	enum { N = 2000 };
	static struct policy_cond conds[N];
	static struct policy_sysrule rules[N];
	struct policy p = policy_of(BASELINE_DEFAULT);
	struct buf b = BUF_INIT(1 << 20);
	struct err e = { 0 };

	for (unsigned i = 0; i < N; i++) {
		conds[i] = (struct policy_cond){ .arg = 1, .op = OP_GT, .value = i };
		rules[i] = (struct policy_sysrule){ "bpf", true, &conds[i], 1, { 0 } };
	}
	p.syscalls.advanced_rules = (struct policy_sysrules){ rules, N };
	assert_int_equal(filter_build(&p, &(struct filter_options){ .arch = X86 }, &b, &e), -E2BIG);
	buf_free(&b);
}

/* The same words, said to libseccomp. */
static scmp_filter_ctx peer(const struct policy *p, const char *const *names, size_t count)
{
	static const enum scmp_compare ops[] = {
		[OP_EQ] = SCMP_CMP_EQ,
		[OP_NEQ] = SCMP_CMP_NE,
		[OP_LT] = SCMP_CMP_LT,
		[OP_LTE] = SCMP_CMP_LE,
		[OP_GT] = SCMP_CMP_GT,
		[OP_GTE] = SCMP_CMP_GE,
		[OP_MASKED_EQ] = SCMP_CMP_MASKED_EQ,
	};
	const struct policy_sysrules *rules = &p->syscalls.advanced_rules;
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));

	assert_non_null(ctx);
	seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE);
	assert_int_equal(seccomp_arch_add(ctx, SCMP_ARCH_X86_64), 0);
	assert_int_equal(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), 0);
	for (size_t i = 0; i < count; i++) {
		int nr = seccomp_syscall_resolve_name(names[i]);

		assert_int_equal(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0), 0);
	}
	for (size_t i = 0; i < rules->count; i++) {
		const struct policy_sysrule *r = &rules->items[i];
		struct scmp_arg_cmp cmp[6];

		for (size_t k = 0; k < r->conds_count; k++) {
			const struct policy_cond *c = &r->conds[k];

			cmp[k] = c->op == OP_MASKED_EQ
					 ? SCMP_CMP64(c->arg, ops[c->op], c->mask, c->value)
					 : SCMP_CMP64(c->arg, ops[c->op], c->value);
		}
		assert_int_equal(seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW,
							seccomp_syscall_resolve_name(r->syscall),
							(unsigned)r->conds_count, cmp),
				 0);
	}
	return ctx;
}

static struct under peer_export(scmp_filter_ctx ctx)
{
	struct under u = { .insns = BUF_INIT(1 << 20), .arch = X86 };
	FILE *f = tmpfile();
	char chunk[4096];
	size_t n;

	assert_non_null(f);
	assert_int_equal(seccomp_export_bpf(ctx, fileno(f)), 0);
	seccomp_release(ctx);
	lseek(fileno(f), 0, SEEK_SET);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(&u.insns, chunk, n);
	fclose(f);
	return u;
}

static uint64_t random_value(unsigned *seed)
{
	uint64_t v = edges[(unsigned)rand_r(seed) % ARRAY_SIZE(edges)];

	switch (rand_r(seed) % 4) {
	case 0:
		return v + 1;
	case 1:
		return v - 1;
	case 2:
		return (uint64_t)rand_r(seed) << 31 ^ (uint64_t)rand_r(seed);
	default:
		return v;
	}
}

/* Calls without guards, which libseccomp would not know of. */
static const char *const subjects[] = { "keyctl", "lseek", "bpf", "kcmp", "mbind", "syslog" };

static void random_rules(unsigned *seed, struct policy_sysrule *rules, struct policy_cond *conds,
			 size_t count)
{
	/* One condition an argument: libseccomp takes no more. No operation twice on one call. */
	for (size_t i = 0; i < count; i++) {
		rules[i] = (struct policy_sysrule){
			subjects[i % ARRAY_SIZE(subjects)], true, &conds[3 * i], 1 + i % 3, { 0 }
		};
		for (unsigned k = 0; k < 3; k++) {
			struct policy_cond *c = &conds[3 * i + k];

			*c = (struct policy_cond){ .arg = k + (unsigned)rand_r(seed) % 2 * 3,
						   .op = rand_r(seed) % (OP_MASKED_EQ + 1),
						   .mask = random_value(seed) | 1,
						   .value = random_value(seed) };
			if (c->op == OP_MASKED_EQ)
				c->value &= c->mask;
			else if (c->value == 0 || c->value == UINT64_MAX)
				c->value = 77;
		}
	}
}

static void test_against_libseccomp(void **state)
{
	unsigned seed = 20261124;
	const char *allowed[256];
	size_t n = 0;

	for (size_t g = 0; g < syscall_groups_count; g++) {
		if (syscall_groups[g].level != SL_NEEDED)
			continue;
		for (size_t i = 0; i < syscall_groups[g].count; i++) {
			if (!guarded(syscall_groups[g].names[i]))
				allowed[n++] = syscall_groups[g].names[i];
		}
	}
	for (int round = 0; round < 60; round++) {
		struct policy_cond conds[18];
		struct policy_sysrule rules[6];
		struct policy p = policy_of(BASELINE_NONE);
		struct under ours, theirs;

		random_rules(&seed, rules, conds, 6);
		p.syscalls.advanced_rules = (struct policy_sysrules){ rules, 6 };
		ours = build(&p, X86);
		theirs = peer_export(peer(&p, allowed, n));
		for (int i = 0; i < 20000; i++) {
			const struct policy_sysrule *r = &rules[i % 6];
			uint64_t args[6];
			int nr = i % 4 ? syscall_number(r->syscall, X86) : rand_r(&seed) % 460;
			uint32_t a, b;
			char name[64];

			for (int k = 0; k < 6; k++)
				args[k] = random_value(&seed);
			for (size_t k = 0; k < r->conds_count; k++) {
				if (rand_r(&seed) % 4)
					args[r->conds[k].arg] = r->conds[k].value +
								(uint64_t)(rand_r(&seed) % 3) - 1;
			}
			if (syscall_name(nr, X86, name) && guarded(name))
				continue;
			a = run_nr(&ours, (uint32_t)nr, args);
			b = run_nr(&theirs, (uint32_t)nr, args);
			if ((a == ALLOW) != (b == ALLOW))
				fail_msg("round %d: %s(%d): ours 0x%x, libseccomp 0x%x", round,
					 name, nr, a, b);
		}
		buf_free(&ours.insns);
		buf_free(&theirs.insns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups_complete),
		cmocka_unit_test(test_baselines),
		cmocka_unit_test(test_default_is_short),
		cmocka_unit_test(test_architectures),
		cmocka_unit_test(test_unsupported),
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_guards),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_operations),
		cmocka_unit_test(test_rule_order),
		cmocka_unit_test(test_long_jumps),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_against_libseccomp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
