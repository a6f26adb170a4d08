/* SPDX-License-Identifier: Apache-2.0 */
/* What of this sandbox goes into the totals of all: see totals.h. */
#include <sys/mman.h>

#include "supervisor/internal.h"
#include "sys/clock.h"
#include "sys/files.h"

uint64_t tally_now(void)
{
	return sys_clock_us(CLOCK_MONOTONIC);
}

/* @from may be 0: unknown. */
static uint64_t between(uint64_t from, uint64_t to)
{
	return from && to > from ? to - from : 0;
}

void tally_stages(const struct supervisor *s, uint64_t us[START_STAGES])
{
	const struct tally *t = &s->tally;
	uint64_t released = t->released ? t->released : s->jail.released_us;

	us[START_PLAN] = between(t->began, t->planned);
	us[START_PREPARE] = between(t->planned, t->prepared);
	us[START_JAIL] = between(t->prepared, released);
}

static bool has_started(const struct supervisor *s)
{
	return s->tally.released || (!s->request->stays && jail_has_started(&s->jail));
}

void tally(struct supervisor *s)
{
	struct tally *t = &s->tally;
	uint64_t us[START_STAGES];
	struct net_tally net;

	if (!t->tried && s->all >= 0 && s->request->totals) {
		t->tried = true;
		t->totals = totals_map(s->all);
	}
	if (!t->totals)
		return;
	if (has_started(s))
		events_started(s);
	if (!t->told && has_started(s)) {
		t->told = true;
		tally_stages(s, us);
		totals_started(t->totals, us);
	}
	for (int i = 0; i < EVENT_TYPES; i++)
		totals_add(&t->totals->events[i], s->events.counts[i], &s->told_events[i]);
	tally_network_read(s, &net);
	totals_add(&t->totals->network.up, net.up, &t->network.up);
	totals_add(&t->totals->network.down, net.down, &t->network.down);
	totals_add(&t->totals->network.begun, net.begun, &t->network.begun);
	if (s->plan->audit.flags & PA_ON)
		totals_add(&t->totals->audit_lost, s->trail.lost_total, &t->lost);
}

int tally_network(void)
{
	return sys_memfd_sized("tally", sizeof(struct net_tally));
}

static void at_least(uint64_t *to, uint64_t now)
{
	if (now > *to)
		*to = now;
}

void tally_network_read(struct supervisor *s, struct net_tally *ret)
{
	struct net_tally *have = &s->net_counted, now = { 0 };

	if (s->net_tally >= 0 &&
	    sys_call(SYS_pread64, s->net_tally, &now, sizeof(now), 0) == sizeof(now)) {
		at_least(&have->up, now.up);
		at_least(&have->down, now.down);
		at_least(&have->begun, now.begun);
		at_least(&have->closed, MIN(now.closed, have->begun));
	}
	*ret = *have;
}

void tally_keep(struct supervisor *s, struct cg_usage *u)
{
	uint64_t *const now[] = { &u->cpu_us, &u->user_us, &u->system_us };

	for (size_t i = 0; i < ARRAY_SIZE(now); i++) {
		if (*now[i] == CG_UNKNOWN)
			continue;
		at_least(&s->cpu_told[i], *now[i]);
		*now[i] = s->cpu_told[i];
	}
}

void tally_end(struct supervisor *s)
{
	struct tally *t = &s->tally;
	int all = -1;

	/* It was too short to be in the directory, which is not made for this. */
	if (s->all < 0 && s->request->runtime && s->request->totals && !t->tried) {
		all = state_open_all(s->request->runtime, false);
		if (all >= 0)
			t->totals = totals_map(all);
		t->tried = true;
		sys_close(all);
	}
	tally(s);
	if (t->totals)
		totals_ended(t->totals, s->out->started ? s->out->reason : NULL);
}
