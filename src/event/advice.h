/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A refusal as a lesson: the one line of a policy that would allow it, and the option of
 * `purple run` that says the same. Where no single line does, why not.
 *
 * A line is "SECTION.KEY: VALUE", YAML that can be pasted behind what a policy file has:
 * a list adds to the list that is there, unless its tag is !replace. It says what would
 * allow, not that it should be; nothing here knows whether a file exists on the host, and
 * so nobody inside learns that.
 *
 * Pure: neither memory of its own nor a look at the host, but for where Purple's own
 * state is (policy_forbidden()). For the static programs too.
 */
#ifndef PURPLE_EVENT_ADVICE_H
#define PURPLE_EVENT_ADVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/event.h"
#include "net/protocol.h"
#include "plan/plan.h"

enum { ADVICE_LINE = 1024, ADVICE_WHY = 256, ADVICE_OPTION = 2048 }; /* bytes */

struct advice {
	char allow[ADVICE_LINE]; /* "": no single line does */
	char why[ADVICE_WHY];	 /* why none does, or what else it takes; "" */
	char rule[64];		 /* what of the policy refused, if the event does not say; "" */
};

/* What it is held against. */
struct advice_policy {
	const struct plan *plan;      /* NULL: not known */
	const char *workspace;	      /* as it is named inside; NULL: not known */
	const struct net_rule *block; /* network.blocked_ips as it is in force */
	size_t block_count;
};

/* Of a file.denied, dns.denied, net.denied, syscall.denied or limit.reached; of others: nothing. */
void advice_of(const struct event *ev, const struct advice_policy *p, struct advice *ret);

/* Call @nr of this machine. Nothing, if @p was not made to tell causes. */
void advice_syscall(const struct plan *p, int nr, const uint64_t args[6], struct advice *ret);

/* "not listed", … Constant. */
const char *net_verdict_name(enum net_verdict verdict);

/* The option that says what the line @allow does, quoted for a shell; "": there is none. */
void advice_option(const char *allow, char ret[ADVICE_OPTION]);

#endif
