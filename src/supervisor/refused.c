/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals: each with what would allow it, kept for the end, and told to the agent. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "supervisor/internal.h"

/* To wait for a processor is no refusal. */
static bool is_throttling(const struct event *ev)
{
	const struct event_value *v = ev->type == EV_LIMIT_REACHED ? event_get(ev, EF_LIMIT) : NULL;

	return v && v->len == strlen("resources.cpu_shares") &&
	       memcmp(v->data, "resources.cpu_shares", v->len) == 0;
}

static bool has_rule(enum event_type type)
{
	return type != EV_LIMIT_REACHED;
}

void refused(struct supervisor *s, struct event *ev, struct advice *a)
{
	const struct net_rules now = network_rules(s);
	const struct advice_policy policy = {
		.plan = s->plan,
		.workspace = s->launch->workspace,
		.block = now.block,
		.block_count = now.block_count,
	};

	if (is_throttling(ev))
		return;
	advice_of(ev, &policy, a);
	if (a->allow[0] && !event_get(ev, EF_ALLOW))
		event_text(ev, EF_ALLOW, a->allow);
	if (a->why[0])
		event_text(ev, EF_ADVICE, a->why);
	if (a->rule[0] && has_rule(ev->type) && !event_get(ev, EF_RULE))
		event_text(ev, EF_RULE, a->rule);
	denials_add(&s->denials, ev, a);
	s->out->denials = &s->denials;
}

void refused_log(struct supervisor *s)
{
	char line[DENIAL_LINE];

	if (!s->out->denials)
		return;
	for (uint32_t i = 0; i < s->denials.count; i++) {
		denial_line(&s->denials.items[i], line);
		output_note(s, line);
	}
	if (s->denials.others) {
		snprintf(line, sizeof(line), "%llu more were refused",
			 (unsigned long long)s->denials.others);
		output_note(s, line);
	}
}
