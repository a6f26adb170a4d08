/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules that a running sandbox has now, as `purple net allow` and `deny` change
 * them. Pure.
 *
 * allow: the rule is listed from then on, and if it was a blocked one, is that no
 * more. It is refused if another blocked rule covers it, for that would beat it.
 *
 * deny: a rule that is listed is no more. If it was not, or what is left still allows
 * any of what it says, it is blocked. A rule of any host can only be taken out of the
 * list.
 */
#ifndef PURPLE_SUPERVISOR_RULE_LISTS_H
#define PURPLE_SUPERVISOR_RULE_LISTS_H

#include "base/err.h"
#include "policy/netrule.h"

enum { RULE_LIST_MAX = 1024 };

struct rule_list {
	uint32_t count, pad;
	struct net_rule items[RULE_LIST_MAX]; /* holes zero */
};

struct rule_lists {
	struct rule_list allow, block;
};

/* Does @a allow all that @b does? With @blocks: block; that without "/udp" is for both. */
bool rule_covers(const struct net_rule *a, const struct net_rule *b, bool blocks);

/* @rule is copied, without its holes. 0, or -errno with @e set; then nothing is changed. */
int rule_lists_allow(struct rule_lists *l, const struct net_rule *rule, struct err *e);
int rule_lists_deny(struct rule_lists *l, const struct net_rule *rule, struct err *e);

#endif
