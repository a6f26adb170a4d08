/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/exposition.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "config.h"

enum unit { COUNT, MICROSECONDS, NETWORKED }; /* NETWORKED: a count, of one with purple-net */

/* Of one sandbox, from its struct control_stats. */
struct family {
	const char *name, *type, *help;
	enum unit unit;
	uint64_t unknown; /* this value means: not known here, or no limit */
	size_t off;
};

#define STAT(member) offsetof(struct control_stats, member)
#define USED(member) CG_UNKNOWN, offsetof(struct control_stats, usage.member)
/* clang-format off */
static const struct family families[] = {
	{ "purple_sandbox_cpu_seconds_total", "counter",
	  "Processor time that its processes have used.", MICROSECONDS, USED(cpu_us) },
	{ "purple_sandbox_cpu_user_seconds_total", "counter",
	  "Of it, in user mode.", MICROSECONDS, USED(user_us) },
	{ "purple_sandbox_cpu_system_seconds_total", "counter",
	  "Of it, in the kernel.", MICROSECONDS, USED(system_us) },
	{ "purple_sandbox_cpu_limit_cores", "gauge",
	  "Processors that it may use.", MICROSECONDS, 0, STAT(cpu_limit_us) },
	{ "purple_sandbox_cpu_throttled_seconds_total", "counter",
	  "Time for which the processor quota held it up.", MICROSECONDS, USED(throttled_us) },
	{ "purple_sandbox_cpu_throttled_periods_total", "counter",
	  "Periods in which the processor quota ran out.", COUNT, USED(throttled_count) },
	{ "purple_sandbox_memory_bytes", "gauge",
	  "Memory in use.", COUNT, USED(memory) },
	{ "purple_sandbox_memory_peak_bytes", "gauge",
	  "The most memory it has used.", COUNT, USED(memory_peak) },
	{ "purple_sandbox_memory_limit_bytes", "gauge",
	  "The policy's memory_limit_bytes.", COUNT, 0, STAT(memory_limit) },
	{ "purple_sandbox_swap_bytes", "gauge",
	  "Swap in use.", COUNT, USED(swap) },
	{ "purple_sandbox_oom_kills_total", "counter",
	  "Processes that the kernel killed at the memory limit.", COUNT, USED(oom_kills) },
	{ "purple_sandbox_pids", "gauge",
	  "Processes and threads.", COUNT, USED(pids) },
	{ "purple_sandbox_pids_peak", "gauge",
	  "The most processes and threads it has had.", COUNT, USED(pids_peak) },
	{ "purple_sandbox_pids_limit", "gauge",
	  "The policy's limit of processes and threads.", COUNT, 0, STAT(pids_limit) },
	{ "purple_sandbox_forks_refused_total", "counter",
	  "Forks that the limit of processes refused.", COUNT, USED(pids_refused) },
	{ "purple_sandbox_io_read_bytes_total", "counter",
	  "Bytes read from block devices.", COUNT, USED(io_read) },
	{ "purple_sandbox_io_written_bytes_total", "counter",
	  "Bytes written to block devices.", COUNT, USED(io_written) },
	{ "purple_sandbox_network_transmit_bytes_total", "counter",
	  "Bytes out of it through purple-net, without headers.", NETWORKED, CG_UNKNOWN,
	  STAT(network.up) },
	{ "purple_sandbox_network_receive_bytes_total", "counter",
	  "Bytes into it through purple-net, without headers.", NETWORKED, CG_UNKNOWN,
	  STAT(network.down) },
	{ "purple_sandbox_network_connections_total", "counter",
	  "TCP connections and UDP flows that were made.", NETWORKED, CG_UNKNOWN,
	  STAT(network.begun) },
	{ "purple_sandbox_network_connections_closed_total", "counter",
	  "Those of them that are over.", NETWORKED, CG_UNKNOWN,
	  STAT(network.closed) },
	{ "purple_sandbox_audit_lost_lines_total", "counter",
	  "Lines that the audit trail could not take.", COUNT, CG_UNKNOWN, STAT(audit_lost) },
};
/* clang-format on */

static void head(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_us(struct buf *b, uint64_t us)
{
	buf_printf(b, "%" PRIu64 ".%06" PRIu64, us / 1000000, us % 1000000);
}

static void put_label(struct buf *b, const char *s)
{
	buf_puts(b, "\"");
	for (; *s; s++) {
		if (*s == '\n')
			buf_puts(b, "\\n");
		else if (*s == '"' || *s == '\\')
			buf_printf(b, "\\%c", *s);
		else
			buf_add(b, s, 1);
	}
	buf_puts(b, "\"");
}

/* `NAME{sandbox="…",id="…"`, the brace still open. */
static void begin(struct buf *b, const char *name, const struct gathered_sandbox *s)
{
	buf_printf(b, "%s{sandbox=", name);
	put_label(b, s->name);
	buf_puts(b, ",id=");
	put_label(b, s->id);
}

static bool value_of(const struct family *f, const struct gathered_sandbox *s, uint64_t *v)
{
	memcpy(v, (const char *)&s->stats + f->off, sizeof(*v));
	return s->answered && *v != f->unknown && (f->unit != NETWORKED || s->stats.has_network);
}

static void put_family(struct buf *b, const struct family *f, const struct gathered *g)
{
	bool begun = false;
	uint64_t v;

	for (size_t i = 0; i < g->count; i++) {
		if (!value_of(f, &g->items[i], &v))
			continue;
		if (!begun)
			head(b, f->name, f->type, f->help);
		begun = true;
		begin(b, f->name, &g->items[i]);
		buf_puts(b, "} ");
		if (f->unit == MICROSECONDS)
			put_us(b, v);
		else
			buf_printf(b, "%" PRIu64, v);
		buf_puts(b, "\n");
	}
}

static bool any_answered(const struct gathered *g)
{
	for (size_t i = 0; i < g->count; i++)
		if (g->items[i].answered)
			return true;
	return false;
}

/* "net.denied" and its kin, by what comes before the dot. */
static void put_denials(struct buf *b, const struct gathered *g)
{
	static const char name[] = "purple_sandbox_denials_total", end[] = ".denied";

	if (!any_answered(g))
		return;
	head(b, name, "counter", "What was refused, by type.");
	for (size_t i = 0; i < g->count; i++)
		for (int type = 0; type < EVENT_TYPES && g->items[i].answered; type++) {
			const char *what = event_table[type].name, *dot = strchr(what, '.');

			if (!dot || !streq(dot, end))
				continue;
			begin(b, name, &g->items[i]);
			buf_printf(b, ",type=\"%.*s\"} %" PRIu64 "\n", (int)(dot - what), what,
				   g->items[i].stats.events[type]);
		}
}

/* What the state file says of each. */
static void put_states(struct buf *b, const struct gathered *g)
{
	head(b, "purple_sandboxes", "gauge",
	     "Sandboxes by state; ended: records of those that have.");
	for (int i = 0; i < SANDBOX_PHASES; i++)
		buf_printf(b, "purple_sandboxes{state=\"%s\"} %zu\n", sandbox_phase_names[i],
			   g->phases[i]);
	if (!g->count)
		return;
	head(b, "purple_sandbox_info", "gauge", "A live sandbox: its profile and kind; 1.");
	for (size_t i = 0; i < g->count; i++) {
		begin(b, "purple_sandbox_info", &g->items[i]);
		buf_puts(b, ",profile=");
		put_label(b, g->items[i].profile);
		buf_printf(b, ",kind=\"%s\"} 1\n", sandbox_kind_names[g->items[i].kind]);
	}
	head(b, "purple_sandbox_answers", "gauge",
	     "Whether its supervisor has answered in time; 0: its figures are missing here.");
	for (size_t i = 0; i < g->count; i++) {
		begin(b, "purple_sandbox_answers", &g->items[i]);
		buf_printf(b, "} %d\n", g->items[i].answered);
	}
	head(b, "purple_sandbox_paused", "gauge", "Whether it is paused.");
	for (size_t i = 0; i < g->count; i++) {
		begin(b, "purple_sandbox_paused", &g->items[i]);
		buf_printf(b, "} %d\n", g->items[i].phase == SANDBOX_PAUSED);
	}
	head(b, "purple_sandbox_start_timestamp_seconds", "gauge",
	     "When it was started, in seconds since 1970.");
	for (size_t i = 0; i < g->count; i++) {
		if (!g->items[i].started_ms)
			continue;
		begin(b, "purple_sandbox_start_timestamp_seconds", &g->items[i]);
		buf_printf(b, "} %" PRIu64 ".%03" PRIu64 "\n", g->items[i].started_ms / 1000,
			   g->items[i].started_ms % 1000);
	}
}

/* @label: `stage="plan"`, or "". */
static void put_histogram(struct buf *b, const char *name, const char *label,
			  const struct start_histogram *h)
{
	const char *comma = label[0] ? "," : "";
	uint64_t count = 0;

	for (int i = 0; i < START_BUCKETS; i++) {
		count += h->buckets[i];
		buf_printf(b, "%s_bucket{%s%sle=\"", name, label, comma);
		if (i < START_BUCKETS - 1)
			buf_printf(b, "%g", (double)start_bounds_us[i] / 1e6);
		else
			buf_puts(b, "+Inf");
		buf_printf(b, "\"} %" PRIu64 "\n", count);
	}
	buf_printf(b, label[0] ? "%s_sum{%s} " : "%s_sum%s ", name, label);
	put_us(b, h->sum_us);
	buf_printf(b, label[0] ? "\n%s_count{%s} %" PRIu64 "\n" : "\n%s_count%s %" PRIu64 "\n",
		   name, label, count);
}

static void put_totals(struct buf *b, const struct totals *t)
{
	head(b, "purple_sandboxes_started_total", "counter",
	     "Sandboxes that this user has started since the runtime directory was made.");
	buf_printf(b, "purple_sandboxes_started_total %" PRIu64 "\n", t->started);
	head(b, "purple_sandboxes_ended_total", "counter", "Those that have ended, by why.");
	for (int i = 0; i < END_REASONS; i++)
		buf_printf(b, "purple_sandboxes_ended_total{reason=\"%s\"} %" PRIu64 "\n",
			   end_reason_names[i], t->ended[i]);
	head(b, "purple_sandbox_start_seconds", "histogram",
	     "From the begin of `purple run` until the command was released.");
	put_histogram(b, "purple_sandbox_start_seconds", "", &t->whole);
	head(b, "purple_sandbox_start_stage_seconds", "histogram",
	     "The same by stage, one after the other: plan, prepare, jail.");
	for (int i = 0; i < START_STAGES; i++) {
		char label[40];

		snprintf(label, sizeof(label), "stage=\"%s\"", start_stage_names[i]);
		put_histogram(b, "purple_sandbox_start_stage_seconds", label, &t->stages[i]);
	}
	head(b, "purple_network_transmit_bytes_total", "counter", "Bytes out of all sandboxes.");
	buf_printf(b, "purple_network_transmit_bytes_total %" PRIu64 "\n", t->network.up);
	head(b, "purple_network_receive_bytes_total", "counter", "Bytes into all sandboxes.");
	buf_printf(b, "purple_network_receive_bytes_total %" PRIu64 "\n", t->network.down);
	head(b, "purple_network_connections_total", "counter",
	     "TCP connections and UDP flows of all sandboxes.");
	buf_printf(b, "purple_network_connections_total %" PRIu64 "\n", t->network.begun);
	head(b, "purple_audit_lost_lines_total", "counter",
	     "Lines that audit trails could not take: a full disk, or more than could be written.");
	buf_printf(b, "purple_audit_lost_lines_total %" PRIu64 "\n", t->audit_lost);
	head(b, "purple_trace_spans_total", "counter",
	     "Spans of traces, by whether the collector took them.");
	buf_printf(b,
		   "purple_trace_spans_total{result=\"exported\"} %" PRIu64
		   "\npurple_trace_spans_total{result=\"dropped\"} %" PRIu64 "\n",
		   t->spans[SPAN_EXPORTED], t->spans[SPAN_DROPPED]);
	head(b, "purple_events_total", "counter",
	     "Events of all sandboxes, whether or not the audit trail has them.");
	for (int i = 0; i < EVENT_TYPES; i++)
		buf_printf(b, "purple_events_total{type=\"%s\"} %" PRIu64 "\n", event_table[i].name,
			   t->events[i]);
}

void exposition(struct buf *b, const struct gathered *g, const struct totals *t)
{
	head(b, "purple_build_info", "gauge", "The version of Purple; 1.");
	buf_printf(b, "purple_build_info{version=\"%s\"} 1\n", PURPLE_VERSION);
	put_states(b, g);
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		put_family(b, &families[i], g);
	put_denials(b, g);
	if (t)
		put_totals(b, t);
	head(b, "purple_supervisors_silent", "gauge",
	     "Supervisors that have not answered in time: suspended, or very busy.");
	buf_printf(b, "purple_supervisors_silent %zu\n", g->silent);
	head(b, "purple_gather_seconds", "gauge", "How long it took to ask them all.");
	buf_puts(b, "purple_gather_seconds ");
	put_us(b, g->took_us);
	buf_puts(b, "\n");
}
