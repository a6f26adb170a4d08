/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation: decide() fills one table, indexed by call number, with
 * an action and, for few calls, clauses on arguments. compile() turns it into
 * BPF. Nothing else knows the rules.
 */
#include "plan/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "plan/bpf.h"
#include "plan/syscall.h"

#define RET_ERRNO(e) (SECCOMP_RET_ERRNO | (uint32_t)(e))
#define X32_BIT 0x40000000u /* __X32_SYSCALL_BIT */

/* If all conditions hold: @ret. */
struct clause {
	const struct policy_cond *conds;
	size_t conds_count;
	uint32_t ret;
};

struct call {
	bool needed, allowed, denied;
	uint32_t ret;		/* what @allowed and @denied come to, if no clause holds */
	int refusal;		/* errno while not allowed; 0: the number is unknown */
	struct clause *clauses; /* the first that holds decides */
	size_t clauses_count;
	const struct policy_cond *observed; /* where it is allowed and this holds: tell of it */
};

struct calls {
	struct call of[SYSCALL_LIMIT];
	uint32_t arch;
	uint32_t deny; /* the action of a denial */
	struct arena arena;
	bool root, network, causes; /* see struct filter_options */
	unsigned observe;
};

static void calls_done(struct calls **c)
{
	if (*c)
		arena_free(&(*c)->arena);
	free(*c);
}

/* ENOSYS and EAFNOSUPPORT say "not there", which even a killing policy leaves to the caller. */
static uint32_t refuse(const struct calls *c, int error)
{
	if (error == EAFNOSUPPORT && c->observe & FO_REFUSED)
		return SECCOMP_RET_USER_NOTIF;
	return error == EPERM ? c->deny : RET_ERRNO(error);
}

struct place {
	char text[256];
};

/* "file:line:column: ", "--option: ", or "" for what Purple itself asks for. */
static struct place place_of(struct pos pos)
{
	struct place at = { "" };

	if (pos.file && pos.line > 0)
		snprintf(at.text, sizeof(at.text), "%.200s:%u:%u: ", pos.file, pos.line,
			 pos.column);
	else if (pos.file)
		snprintf(at.text, sizeof(at.text), "%.200s: ", pos.file);
	return at;
}

static int unknown_call(struct err *e, const char *list, const char *name, struct pos pos)
{
	char near[64];
	int r = err_set(e, EPROTO, "seccomp", "%s%s: no system call is called '%s'",
			place_of(pos).text, list, name);

	if (syscall_nearest(name, near))
		err_remedy(e, "did you mean '%s'?", near);
	return r;
}

/* @ret: the call, or NULL if this architecture has none of that name. */
static int find_call(struct calls *c, const char *list, const char *name, struct pos pos,
		     struct call **ret, struct err *e)
{
	int nr = syscall_number(name, c->arch);

	*ret = NULL;
	if (nr == -2)
		return unknown_call(e, list, name, pos);
	if (nr >= 0 && nr < SYSCALL_LIMIT)
		*ret = &c->of[nr];
	return 0;
}

static int refuse_needed(struct err *e, const char *list, const char *name, struct pos pos)
{
	err_set(e, EPROTO, "seccomp", "%s%s: '%s' cannot be denied: no command starts without it",
		place_of(pos).text, list, name);
	err_remedy(e, "leave it out, or deny some of its uses with an advanced rule");
	return -EPROTO;
}

static enum syscall_level policy_level(const struct policy *p)
{
	static const enum syscall_level levels[] = {
		[BASELINE_DEFAULT] = SL_DEFAULT,
		[BASELINE_STRICT] = SL_STRICT,
		[BASELINE_PERMISSIVE] = SL_PERMISSIVE,
		[BASELINE_NONE] = SL_NEEDED,
	};

	return p->syscalls.default_deny ? levels[p->syscalls.baseline] : SL_PERMISSIVE;
}

static void apply_baseline(struct calls *c, const struct policy *p)
{
	enum syscall_level level = policy_level(p);

	for (size_t g = 0; g < syscall_groups_count; g++) {
		const struct syscall_group *group = &syscall_groups[g];

		for (size_t i = 0; i < group->count; i++) {
			int nr = syscall_number(group->names[i], c->arch);
			struct call *call;

			if (nr < 0 || nr >= SYSCALL_LIMIT)
				continue;
			call = &c->of[nr];
			call->needed = group->level == SL_NEEDED;
			call->refusal = group->refusal;
			call->allowed = group->level <= level ||
					(p->nesting && group->level == SL_NESTING);
		}
	}
}

static int apply_names(struct calls *c, const struct policy *p, struct err *e)
{
	const struct policy_strs *allow = &p->syscalls.allow, *deny = &p->syscalls.deny;
	struct call *call;
	int r;

	for (size_t i = 0; i < allow->count; i++) {
		r = find_call(c, "syscalls.allow", allow->items[i].s, allow->items[i].pos, &call,
			      e);
		if (r < 0)
			return r;
		if (call)
			call->allowed = true;
	}
	for (size_t i = 0; i < deny->count; i++) {
		r = find_call(c, "syscalls.deny", deny->items[i].s, deny->items[i].pos, &call, e);
		if (r < 0)
			return r;
		if (call && call->needed)
			return refuse_needed(e, "syscalls.deny", deny->items[i].s,
					     deny->items[i].pos);
		if (call)
			call->denied = true;
	}
	return 0;
}

static int add_clause(struct calls *c, struct call *call, const struct policy_cond *conds,
		      size_t count, uint32_t ret, struct err *e)
{
	struct clause *grown;

	grown = arena_grow(&c->arena, call->clauses, call->clauses_count, sizeof(*grown));
	if (!grown)
		return err_set(e, ENOMEM, "seccomp", "too many rules on arguments");
	call->clauses = grown;
	grown[call->clauses_count++] = (struct clause){ conds, count, ret };
	return 0;
}

/* A condition that can never hold, or always does, is not what its author meant. */
static int check_conds(const struct policy_sysrule *rule, struct err *e)
{
	for (size_t i = 0; i < rule->conds_count; i++) {
		const struct policy_cond *c = &rule->conds[i];
		bool masked = c->op == OP_MASKED_EQ || c->op == OP_MASKED_NEQ;
		const char *fault = NULL;

		if (c->arg > 5)
			fault = "a system call has arguments 0 to 5";
		else if ((unsigned)c->op > OP_MASKED_NEQ)
			fault = "unknown comparison";
		else if (masked && (c->value & ~c->mask))
			fault = "the value has bits outside of the mask, so they are never equal";
		else if (masked && c->mask == 0)
			fault = "an empty mask compares nothing";
		else if ((c->op == OP_LT || c->op == OP_GTE) && c->value == 0)
			fault = "no number is below 0";
		else if ((c->op == OP_GT || c->op == OP_LTE) && c->value == UINT64_MAX)
			fault = "no number is above 2^64-1";
		if (fault)
			return err_set(e, EPROTO, "seccomp",
				       "%ssyscalls.advanced_rules: %s: condition %zu: %s",
				       place_of(rule->pos).text, rule->syscall, i, fault);
	}
	return 0;
}

static int apply_rules(struct calls *c, const struct policy *p, bool allow, struct err *e)
{
	const struct policy_sysrules *rules = &p->syscalls.advanced_rules;
	static const char list[] = "syscalls.advanced_rules";

	for (size_t i = 0; i < rules->count; i++) {
		const struct policy_sysrule *rule = &rules->items[i];
		struct call *call;
		int r;

		if (rule->allow != allow)
			continue;
		r = find_call(c, list, rule->syscall, rule->pos, &call, e);
		if (r == 0)
			r = check_conds(rule, e);
		if (r < 0)
			return r;
		if (!call)
			continue;
		if (!allow && rule->conds_count == 0 && call->needed)
			return refuse_needed(e, list, rule->syscall, rule->pos);
		r = add_clause(c, call, rule->conds, rule->conds_count,
			       allow	   ? SECCOMP_RET_ALLOW
			       : c->causes ? RET_ERRNO(FC_RULE + i)
					   : c->deny,
			       e);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool guard_applies(const struct calls *c, const struct syscall_guard *g,
			  const struct policy *p)
{
	switch (g->when) {
	case GW_ALWAYS:
		return true;
	case GW_NOT_NESTING:
		return !p->nesting;
	case GW_LOOPBACK:
		return p->network.loopback || c->network;
	case GW_SMALL:
		return c->root || policy_level(p) <= SL_STRICT;
	}
	return false;
}

static uint32_t guard_cause(const struct call *call, const struct syscall_guard *g)
{
	if (g->error)
		return RET_ERRNO(FC_GUARD + (g - syscall_guards));
	return call->allowed ? SECCOMP_RET_ALLOW : RET_ERRNO(FC_BASELINE);
}

static int apply_guards(struct calls *c, const struct policy *p, struct err *e)
{
	for (size_t i = 0; i < syscall_guards_count; i++) {
		const struct syscall_guard *g = &syscall_guards[i];
		int nr = syscall_number(g->syscall, c->arch), r;
		struct call *call = nr >= 0 && nr < SYSCALL_LIMIT ? &c->of[nr] : NULL;

		if (!call || !(call->allowed || c->causes) || !guard_applies(c, g, p))
			continue;
		r = add_clause(c, call, g->conds, g->count,
			       c->causes  ? guard_cause(call, g)
			       : g->error ? refuse(c, g->error)
					  : SECCOMP_RET_ALLOW,
			       e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Drop clauses that nothing reaches or that change nothing. */
static void settle(const struct calls *c, struct call *call)
{
	size_t n;

	if (call->denied)
		call->ret = c->causes ? RET_ERRNO(FC_DENY) : c->deny;
	else if (call->allowed)
		call->ret = SECCOMP_RET_ALLOW;
	else if (c->causes)
		call->ret = RET_ERRNO(FC_BASELINE);
	else
		call->ret = refuse(c, call->refusal ? call->refusal : ENOSYS);
	if (call->denied)
		call->clauses_count = 0;
	for (n = 0; n < call->clauses_count; n++) {
		if (call->clauses[n].conds_count == 0) {
			call->ret = call->clauses[n].ret;
			break;
		}
	}
	while (n > 0 && call->clauses[n - 1].ret == call->ret)
		n--;
	call->clauses_count = n;
}

/* The same bits on every architecture here. */
#define OPENED_TO_WRITE(n)                                               \
	{                                                                \
		.arg = (n), .op = OP_MASKED_NEQ, .value = 0,             \
		.mask = O_WRONLY | O_RDWR | O_CREAT | (uint64_t)O_TRUNC, \
	}

/* By name, and not by what a call might do: what else makes or changes files is not seen. */
static const struct observed {
	const char *syscall;
	unsigned by;			/* enum filter_observe: any of these */
	const struct policy_cond *only; /* unless FO_OPENS is one of @by, and asked for */
} observed[] = {
	{ "execve", FO_EXEC, NULL },
	{ "execveat", FO_EXEC, NULL },
	{ "open", FO_WRITES | FO_OPENS | FO_PROTECT,
	  &(const struct policy_cond)OPENED_TO_WRITE(1) },
	{ "openat", FO_WRITES | FO_OPENS | FO_PROTECT,
	  &(const struct policy_cond)OPENED_TO_WRITE(2) },
	{ "creat", FO_WRITES | FO_OPENS | FO_PROTECT, NULL },
	{ "truncate", FO_WRITES | FO_OPENS | FO_PROTECT, NULL },
	{ "connect", FO_CONNECTS, NULL },
	{ "sendto", FO_CONNECTS, &(const struct policy_cond){ .arg = 4, .op = OP_NEQ } },
	{ "clone", FO_FORKS, NULL },
	{ "clone3", FO_FORKS, NULL },
	{ "fork", FO_FORKS, NULL },
	{ "vfork", FO_FORKS, NULL },
	{ "access", FO_OPENS, NULL },
	{ "faccessat", FO_OPENS, NULL },
	{ "faccessat2", FO_OPENS, NULL },
	{ "mkdir", FO_CHANGES | FO_PROTECT, NULL },
	{ "mkdirat", FO_CHANGES | FO_PROTECT, NULL },
	{ "mknod", FO_CHANGES | FO_PROTECT, NULL },
	{ "mknodat", FO_CHANGES | FO_PROTECT, NULL },
	{ "symlink", FO_CHANGES | FO_PROTECT, NULL },
	{ "symlinkat", FO_CHANGES | FO_PROTECT, NULL },
	{ "link", FO_CHANGES | FO_PROTECT, NULL },
	{ "linkat", FO_CHANGES | FO_PROTECT, NULL },
	{ "unlink", FO_CHANGES | FO_PROTECT, NULL },
	{ "unlinkat", FO_CHANGES | FO_PROTECT, NULL },
	{ "rmdir", FO_CHANGES | FO_PROTECT, NULL },
	{ "rename", FO_CHANGES | FO_PROTECT, NULL },
	{ "renameat", FO_CHANGES | FO_PROTECT, NULL },
	{ "renameat2", FO_CHANGES | FO_PROTECT, NULL },
	{ "chmod", FO_CHANGES, NULL },
	{ "fchmodat", FO_CHANGES, NULL },
	{ "fchmodat2", FO_CHANGES, NULL },
	/* Its flags are in memory, out of the filter's sight. */
	{ "openat2", FO_WRITES | FO_OPENS | FO_PROTECT, NULL },
};

/* What C libraries and tar try at each thread and each file, and do without. */
static bool is_tried_often(const struct calls *c, int nr)
{
	return nr == syscall_number("clone3", c->arch) || nr == syscall_number("openat2", c->arch);
}

static void observe_absent(struct calls *c)
{
	for (int nr = 0; c->observe & FO_REFUSED && nr < SYSCALL_LIMIT; nr++)
		if (c->of[nr].ret == RET_ERRNO(ENOSYS) &&
		    (c->observe & FO_TRIED || !is_tried_often(c, nr)))
			c->of[nr].ret = SECCOMP_RET_USER_NOTIF;
}

static void observe(struct calls *c)
{
	observe_absent(c);
	for (size_t i = 0; i < ARRAY_SIZE(observed); i++) {
		int nr = syscall_number(observed[i].syscall, c->arch);
		struct call *call;

		if (nr < 0 || nr >= SYSCALL_LIMIT || !(observed[i].by & c->observe))
			continue;
		call = &c->of[nr];
		if (observed[i].only && !(observed[i].by & c->observe & FO_OPENS)) {
			call->observed = observed[i].only;
			continue;
		}
		if (call->ret == SECCOMP_RET_ALLOW)
			call->ret = SECCOMP_RET_USER_NOTIF;
		for (size_t k = 0; k < call->clauses_count; k++)
			if (call->clauses[k].ret == SECCOMP_RET_ALLOW)
				call->clauses[k].ret = SECCOMP_RET_USER_NOTIF;
	}
}

static int refuse_observed(struct err *e, const char *list, const char *what, const char *why,
			   struct pos pos)
{
	err_set(e, EPROTO, "seccomp", "%s%s: %s where the sandbox is observed: %s",
		place_of(pos).text, list, what, why);
	err_remedy(
		e,
		"leave it out, or audit.enabled and denials.file, and set filesystem.protect: []");
	return -EPROTO;
}

/*
 * Between the filter and the first answer lies the hand-over of the listener: a call of
 * it that waited for an answer would wait forever. And who answers reads the caller's
 * memory: a page of it that the caller alone can fill would hold him up.
 */
static int check_observed(struct calls *c, const struct policy *p, struct err *e)
{
	const struct policy_sysrules *rules = &p->syscalls.advanced_rules;
	const struct policy_strs *allow = &p->syscalls.allow;
	static const char stalls[] = "it would let a program inside stop who observes it";

	for (size_t i = 0; c->observe && i < rules->count; i++) {
		const struct policy_sysrule *rule = &rules->items[i];

		if (!rule->allow &&
		    (streq(rule->syscall, "sendmsg") || streq(rule->syscall, "write")))
			return refuse_observed(e, "syscalls.advanced_rules",
					       "uses of sendmsg and write cannot be denied",
					       "who observes starts with them", rule->pos);
		if (rule->allow && streq(rule->syscall, "userfaultfd"))
			return refuse_observed(e, "syscalls.advanced_rules",
					       "userfaultfd cannot be allowed", stalls, rule->pos);
	}
	for (size_t i = 0; c->observe && i < allow->count; i++)
		if (streq(allow->items[i].s, "userfaultfd"))
			return refuse_observed(e, "syscalls.allow", "userfaultfd cannot be allowed",
					       stalls, allow->items[i].pos);
	return 0;
}

/* A command of a sandbox that stays takes rights from itself: jail/door.h. */
static void allow_lock(struct calls *c)
{
	int nr = syscall_number("landlock_restrict_self", c->arch);

	if (nr < 0 || nr >= SYSCALL_LIMIT)
		return;
	c->of[nr].allowed = true;
	c->of[nr].denied = false;
	c->of[nr].clauses_count = 0;
}

/* NULL: @e says why. */
static struct calls *decide(const struct policy *p, const struct filter_options *o, struct err *e)
{
	_cleanup_(calls_done) struct calls *c = calloc(1, sizeof(*c));

	if (!c) {
		err_set(e, ENOMEM, "seccomp", "no memory for the filter");
		return NULL;
	}
	c->arena = ARENA_INIT(4 << 20);
	c->arch = o->arch ? o->arch : syscall_native_arch();
	c->root = o->root;
	c->network = o->network;
	c->causes = o->causes;
	c->observe = o->observe;
	c->deny = o->observe & FO_REFUSED ? SECCOMP_RET_USER_NOTIF
		  : p->syscalls.kill	  ? SECCOMP_RET_KILL_PROCESS
					  : RET_ERRNO(EPERM);
	if (c->arch != AUDIT_ARCH_X86_64 && c->arch != AUDIT_ARCH_AARCH64) {
		err_set(e, EOPNOTSUPP, "seccomp", "no filter for architecture 0x%x", c->arch);
		err_remedy(e, "x86_64 and aarch64 are supported");
		return NULL;
	}
	apply_baseline(c, p);
	/* A denial beats what is allowed in words, and that beats the guards. */
	if (apply_names(c, p, e) < 0 || apply_rules(c, p, false, e) < 0 ||
	    apply_rules(c, p, true, e) < 0 || apply_guards(c, p, e) < 0 ||
	    check_observed(c, p, e) < 0)
		return NULL;
	if (o->observe & FO_PROTECT)
		allow_lock(c);
	for (size_t nr = 0; nr < SYSCALL_LIMIT; nr++)
		settle(c, &c->of[nr]);
	observe(c);
	return TAKE_PTR(c);
}

/* Numbers from @start to the next span's: an action, or the clauses at @label. */
struct span {
	uint32_t start, ret;
	bool leaf;
	size_t label;
};

static bool is_leaf(const struct call *call)
{
	return call->clauses_count > 0 || (call->observed && call->ret == SECCOMP_RET_ALLOW);
}

static size_t compile_answer(struct bpf_prog *b, const struct call *call, uint32_t ret)
{
	size_t tell;

	if (ret != SECCOMP_RET_ALLOW || !call->observed)
		return bpf_return(b, ret);
	tell = bpf_return(b, SECCOMP_RET_USER_NOTIF);
	return bpf_cond(b, call->observed, tell, bpf_return(b, ret));
}

static size_t compile_clauses(struct bpf_prog *b, const struct call *call)
{
	size_t no = compile_answer(b, call, call->ret);

	for (size_t i = call->clauses_count; i > 0; i--) {
		const struct clause *cl = &call->clauses[i - 1];
		size_t yes = compile_answer(b, call, cl->ret);

		for (size_t k = cl->conds_count; k > 0; k--)
			yes = bpf_cond(b, &cl->conds[k - 1], yes, no);
		no = yes;
	}
	return no;
}

static size_t span_label(struct bpf_prog *b, const struct span *s)
{
	return s->leaf ? s->label : bpf_return(b, s->ret);
}

static bool span_joins(const struct span *a, const struct span *b)
{
	return !a->leaf && !b->leaf && a->ret == b->ret;
}

/*
 * The end of the comb that starts at @i: the same action on and on, but for
 * single numbers. A tooth then costs one comparison and not two.
 */
static size_t comb_end(const struct span *s, size_t n, size_t i)
{
	enum { TEETH = 3 }; /* more in a row would be a linear search */
	size_t end = i;

	while (end + 2 < n && end < i + 2 * TEETH && span_joins(&s[end], &s[end + 2]) &&
	       s[end + 2].start == s[end + 1].start + 1)
		end += 2;
	return end;
}

static size_t compile_comb(struct bpf_prog *b, const struct span *s, size_t first, size_t last)
{
	size_t label = span_label(b, &s[first]);

	for (size_t i = last; i > first; i -= 2)
		label = bpf_branch(b, BPF_JEQ, s[i - 1].start, span_label(b, &s[i - 1]), label);
	return label;
}

/* A binary search over combs @lo to @hi; comb i is spans @combs[i] to @combs[i + 1] - 1. */
static size_t compile_search(struct bpf_prog *b, const struct span *s, const size_t *combs,
			     size_t lo, size_t hi)
{
	size_t mid = lo + (hi - lo + 1) / 2, right, left;

	if (lo == hi)
		return compile_comb(b, s, combs[lo], combs[lo + 1] - 1);
	right = compile_search(b, s, combs, mid, hi);
	left = compile_search(b, s, combs, lo, mid - 1);
	return bpf_branch(b, BPF_JGE, s[combs[mid]].start, right, left);
}

static size_t compile_spans(struct bpf_prog *b, const struct calls *c, struct span *spans)
{
	size_t n = 0;

	for (uint32_t nr = 0; nr <= SYSCALL_LIMIT; nr++) {
		struct span s = { .start = nr,
				  .ret = c->observe & FO_REFUSED ? SECCOMP_RET_USER_NOTIF
								 : RET_ERRNO(ENOSYS) };

		if (nr < SYSCALL_LIMIT) {
			s.ret = c->of[nr].ret;
			s.leaf = is_leaf(&c->of[nr]);
		}
		if (s.leaf)
			s.label = compile_clauses(b, &c->of[nr]);
		if (n == 0 || !span_joins(&spans[n - 1], &s))
			spans[n++] = s;
	}
	return n;
}

/*
 * A call with clauses runs the filter each time, without the kernel's bitmap.
 * The one that programs make most is asked for before all others.
 */
static size_t compile_hot(struct bpf_prog *b, const struct calls *c, const struct span *s, size_t n,
			  size_t top)
{
	int nr = syscall_number("openat", c->arch);

	for (size_t i = 0; i < n; i++) {
		if (s[i].leaf && (int)s[i].start == nr)
			return bpf_branch(b, BPF_JEQ, s[i].start, s[i].label, top);
	}
	return top;
}

static void compile(struct bpf_prog *b, const struct calls *c)
{
	struct span spans[SYSCALL_LIMIT + 1];
	size_t combs[SYSCALL_LIMIT + 2], combs_count = 0, n, top, minus_one;

	n = compile_spans(b, c, spans);
	for (size_t i = 0; i < n; i = comb_end(spans, n, i) + 1)
		combs[combs_count++] = i;
	combs[combs_count] = n;
	top = compile_search(b, spans, combs, 0, combs_count - 1);
	if (c->arch == AUDIT_ARCH_X86_64) {
		/* -1 is how a debugger inside skips a call; it is none of x32's. */
		minus_one = bpf_branch(b, BPF_JEQ, UINT32_MAX, bpf_return(b, RET_ERRNO(ENOSYS)),
				       bpf_return(b, SECCOMP_RET_KILL_PROCESS));
		top = bpf_branch(b, BPF_JGE, X32_BIT, minus_one, top);
	}
	top = compile_hot(b, c, spans, n, top);
	bpf_goto(b, top);
	top = bpf_load(b, offsetof(struct seccomp_data, nr));
	bpf_branch(b, BPF_JEQ, c->arch, top, bpf_return(b, SECCOMP_RET_KILL_PROCESS));
	bpf_load(b, offsetof(struct seccomp_data, arch));
}

int filter_build(const struct policy *p, const struct filter_options *o, struct buf *insns,
		 struct err *e)
{
	_cleanup_(calls_done) struct calls *c = decide(p, o, e);
	_cleanup_free_ struct bpf_prog *b = NULL;

	if (!c)
		return -e->code;
	b = calloc(1, sizeof(*b));
	if (!b)
		return err_set(e, ENOMEM, "seccomp", "no memory for the filter");
	compile(b, c);
	if (b->full) {
		err_set(e, E2BIG, "seccomp", "the filter has more than %d instructions",
			BPF_PROG_MAX);
		err_remedy(e, "use fewer conditions in syscalls.advanced_rules");
		return -E2BIG;
	}
	bpf_finish(b, insns);
	if (insns->failed)
		return err_set(e, ENOMEM, "seccomp", "no room for the filter");
	return 0;
}

static bool check_name(const char *list, size_t i, const char *name, struct pos pos,
		       struct diags *d)
{
	char near[64], path[64];

	if (!name || syscall_number(name, 0) != -2) /* NULL: in a policy with other faults */
		return true;
	snprintf(path, sizeof(path), "%s[%zu]", list, i);
	if (syscall_nearest(name, near))
		diag_error(d, pos, path, "no system call is called '%s'; did you mean '%s'?", name,
			   near);
	else
		diag_error(d, pos, path, "no system call is called '%s'", name);
	return false;
}

int filter_check(const struct policy *p, struct diags *d)
{
	const struct policy_sysrules *rules = &p->syscalls.advanced_rules;
	const struct {
		const char *path;
		const struct policy_strs *names;
	} lists[] = { { "syscalls.allow", &p->syscalls.allow },
		      { "syscalls.deny", &p->syscalls.deny } };
	_cleanup_buf_ struct buf insns = BUF_INIT(BPF_PROG_MAX * sizeof(struct sock_filter));
	struct err e = { 0 };
	bool good = d->errors == 0;
	char *rest;

	for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
		const struct policy_strs *l = lists[k].names;

		for (size_t i = 0; i < l->count; i++)
			good &= check_name(lists[k].path, i, l->items[i].s, l->items[i].pos, d);
	}
	for (size_t i = 0; i < rules->count; i++)
		good &= check_name("syscalls.advanced_rules", i, rules->items[i].syscall,
				   rules->items[i].pos, d);
	if (!good)
		return -EINVAL;
	if (filter_build(p, &(struct filter_options){ 0 }, &insns, &e) == 0)
		return 0;
	/* "FILE:LINE:COLUMN: …" */
	rest = strstr(e.message, ": ");
	if (rest)
		*rest = '\0';
	return diag_error(d, (struct pos){ .file = rest ? e.message : NULL }, "", "%s%s%s",
			  rest ? rest + 2 : e.message, e.remedy[0] ? "; " : "", e.remedy);
}
