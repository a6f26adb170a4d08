/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a call is refused, and the words of the policy that a line which allows it would have
 * to say again: what replaces a list has all of it but one item.
 */
#include <errno.h>
#include <linux/filter.h>

#include "plan/builder.h"
#include "plan/filter.h"

static const char *const ops[] = {
	"eq", "neq", "lt", "lte", "gt", "gte", "masked_eq", "masked_neq"
};

static void put_rule(struct buf *text, const struct policy_sysrule *rule)
{
	buf_printf(text, "{syscall: %s, action: %s", rule->syscall, rule->allow ? "allow" : "deny");
	for (size_t i = 0; i < rule->conds_count; i++) {
		const struct policy_cond *c = &rule->conds[i];

		buf_printf(text, "%s{arg: %u, op: %s, value: %#llx", i ? ", " : ", conditions: [",
			   c->arg, ops[c->op], (unsigned long long)c->value);
		if (c->op == OP_MASKED_EQ || c->op == OP_MASKED_NEQ)
			buf_printf(text, ", mask: %#llx", (unsigned long long)c->mask);
		buf_puts(text, "}");
	}
	buf_puts(text, rule->conds_count ? "]}" : "}");
}

int build_causes(struct builder *b, const struct filter_options *o)
{
	const struct policy_sysrules *rules = &b->policy->syscalls.advanced_rules;
	const struct policy_strs *deny = &b->policy->syscalls.deny;
	struct filter_options why = { .arch = o->arch, .root = o->root, .network = o->network };
	_cleanup_buf_ struct buf names = BUF_INIT(PLAN_MAX);
	int r;

	why.causes = true;
	r = filter_build(b->policy, &why, &b->causes, b->e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < deny->count; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", deny->items[i].s);
	b->head.audit.deny = builder_str(b, names.data);
	for (size_t i = 0; i < rules->count; i++) {
		_cleanup_buf_ struct buf text = BUF_INIT(PLAN_MAX);
		struct plan_str s;

		put_rule(&text, &rules->items[i]);
		s = builder_str(b, text.data);
		b->strings.failed |= text.failed;
		buf_add(&b->rules, &s, sizeof(s));
	}
	b->strings.failed |= names.failed;
	return 0;
}
