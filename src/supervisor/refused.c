/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals: each with what would allow it, kept for the end, and told to the agent. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "supervisor/internal.h"
#include "sys/files.h"

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
	s->told.due = true;
}

enum { TOLD_MAX = 1 << 20, TOLD_LAST = 128 }; /* bytes of the file, and kept for its last line */

/* The first, and then each tenfold: what comes again and again does not fill the file. */
static bool is_news(uint64_t count, uint64_t told)
{
	return count > 0 && (told == 0 || count / 10 >= told);
}

static void put_time(struct buf *b)
{
	struct timespec now;
	struct tm t;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &t);
	buf_printf(b, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ\",", t.tm_year + 1900,
		   t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, now.tv_nsec / 1000000);
}

static void tell(struct supervisor *s, struct buf *b)
{
	struct told *t = &s->told;

	buf_puts(b, "}\n");
	if (b->failed)
		return;
	if (t->size + b->len > TOLD_MAX - TOLD_LAST) {
		t->full = true;
		b->len = 0;
		put_time(b);
		buf_puts(b, "\"type\":\"denials.full\",\"what\":\"no more is told here\"}\n");
	}
	/* A sandbox that has filled its memory with files is told no more. */
	if (sys_write(s->jail.told_fd, b->data, b->len) != (long)b->len)
		t->full = true;
	t->size += b->len;
}

void refused_flush(struct supervisor *s)
{
	struct denials *d = &s->denials;

	/* In this order: where there is no such file, its page is not touched. */
	if (s->jail.told_fd < 0 || !s->told.due || s->told.full)
		return;
	s->told.due = false;
	for (uint32_t i = 0; i < d->count && !s->told.full; i++) {
		_cleanup_buf_ struct buf b = BUF_INIT(64 << 10);

		if (!is_news(d->items[i].count, d->items[i].told))
			continue;
		d->items[i].told = d->items[i].count;
		put_time(&b);
		denial_json(&d->items[i], &b);
		tell(s, &b);
	}
	if (is_news(d->others, d->others_told) && !s->told.full) {
		_cleanup_buf_ struct buf b = BUF_INIT(1024);

		d->others_told = d->others;
		put_time(&b);
		buf_printf(&b, "\"type\":\"denials.more\",\"what\":\"others\",\"count\":%llu",
			   (unsigned long long)d->others);
		tell(s, &b);
	}
}

void refused_settle(struct supervisor *s)
{
	struct denials *d = &s->denials;
	uint32_t n = 0;

	if (!s->out->denials)
		return;
	for (uint32_t i = 0; i < d->count; i++) {
		if (denial_host_lacks(&d->items[i]))
			continue;
		if (n != i)
			d->items[n] = d->items[i];
		n++;
	}
	d->count = n;
	if (n == 0 && d->others == 0)
		s->out->denials = NULL;
}

void refused_log(struct supervisor *s)
{
	char line[DENIAL_LINE];

	if (!s->out->denials)
		return;
	for (uint32_t i = 0; i < s->denials.count; i++) {
		denial_line(&s->denials.items[i], line);
		output_note(s, denial_topic(&s->denials.items[i]), line);
	}
	if (s->denials.others) {
		snprintf(line, sizeof(line), "%llu more were refused",
			 (unsigned long long)s->denials.others);
		output_note(s, "denials", line);
	}
}
