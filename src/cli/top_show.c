/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/sandboxes.h"
#include "cli/top.h"
#include "supervisor/denials.h"

static void put_text(struct buf *b, const char *title, const char *text)
{
	buf_printf(b, "%-11s", title);
	put_cell(b, text, 0, false);
	buf_puts(b, "\n");
}

static void put_state(struct buf *b, const struct sandbox_state *s)
{
	time_t started = (time_t)(s->started_ms / 1000);
	char when[40];
	struct tm tm;

	buf_printf(b, "%-11s%s  (id %s, %s)\n", "name", s->name, s->id,
		   sandbox_kind_names[s->kind]);
	put_text(b, "state", sandbox_phase_names[s->phase]);
	if (s->started_ms && localtime_r(&started, &tm) &&
	    strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm))
		put_text(b, "started", when);
	put_text(b, "policy", s->profile);
	put_text(b, "workspace", s->workspace);
	if (s->command[0])
		put_text(b, "command", s->command);
}

static void put_usage(struct buf *b, const struct control_stats *s)
{
	const struct cg_usage *u = &s->usage;

	buf_printf(b, "%-11s", "uses");
	if (u->cpu_us != CG_UNKNOWN)
		buf_printf(b, "cpu %.2f s", (double)u->cpu_us / 1e6);
	if (s->cpu_limit_us)
		buf_printf(b, " (at most %.2f a second)", (double)s->cpu_limit_us / 1e6);
	if (u->memory != CG_UNKNOWN)
		buf_printf(b, ", memory %.1f MiB", (double)u->memory / 1048576);
	if (s->memory_limit)
		buf_printf(b, " of %.0f", (double)s->memory_limit / 1048576);
	if (u->pids != CG_UNKNOWN)
		buf_printf(b, ", processes %" PRIu64, u->pids);
	if (s->pids_limit)
		buf_printf(b, " of %" PRIu64, s->pids_limit);
	buf_puts(b, "\n");
	if (u->oom_kills != CG_UNKNOWN && u->oom_kills)
		buf_printf(b, "%-11s%" PRIu64 " killed at the memory limit\n", "", u->oom_kills);
	if (u->throttled_count != CG_UNKNOWN && u->throttled_count)
		buf_printf(b, "%-11sheld up %" PRIu64 " times by the processor limit, %.2f s\n", "",
			   u->throttled_count, (double)u->throttled_us / 1e6);
	if (s->has_network)
		buf_printf(b,
			   "%-11sin %" PRIu64 " bytes, out %" PRIu64 "; connections %" PRIu64
			   ", open %" PRIu64 "\n",
			   "network", s->network.down, s->network.up, s->network.begun,
			   s->network.begun - s->network.closed);
	else
		put_text(b, "network", "none through purple-net");
}

static void put_events(struct buf *b, const struct control_stats *s)
{
	size_t width = 0;

	buf_printf(b, "%-11s", "events");
	for (int i = 0; i < EVENT_TYPES; i++) {
		if (!s->events[i])
			continue;
		if (width > 50) {
			buf_printf(b, "\n%-11s", "");
			width = 0;
		}
		buf_printf(b, "%s%s %" PRIu64, width ? ", " : "", event_table[i].name,
			   s->events[i]);
		width += strlen(event_table[i].name) + 6;
	}
	buf_puts(b, width ? "\n" : "none\n");
}

static int ask_denials(const struct found_sandbox *f, struct denials *d, struct err *e)
{
	const char *name = f->sandbox.state.name;
	static struct control_message answer;
	_cleanup_close_ int fd = sandbox_talk(f, false, e);
	int memory = -1, r;
	unsigned count = 1;
	ssize_t n;

	if (fd < 0)
		return fd;
	r = sandbox_tell(fd, name, CONTROL_DENIALS, 0, e);
	if (r == 0)
		r = sandbox_hear_fds(fd, name, CONTROL_DENIALS_ARE, &answer, &memory, &count, e);
	if (r < 0)
		return r;
	n = count ? pread(memory, d, sizeof(*d), 0) : -1;
	if (count)
		close_fdp(&memory);
	if (n != sizeof(*d) || d->count > DENIALS_MAX)
		return err_set(e, 71 /* EPROTO */, "state", "what was refused is not to be had");
	return 0;
}

static void put_denials(struct buf *b, const struct found_sandbox *f)
{
	static struct denials d;
	char line[DENIAL_LINE];
	struct err e = { 0 };

	if (ask_denials(f, &d, &e) < 0) {
		put_text(b, "denied", e.message);
		return;
	}
	buf_printf(b, "\n%s\n", d.count ? "denied, the newest kind last" : "nothing was denied");
	for (uint32_t i = 0; i < d.count; i++) {
		denial_line(&d.items[i], line);
		buf_puts(b, "  ");
		put_cell(b, line, 0, false);
		buf_puts(b, "\n");
	}
	if (d.others)
		buf_printf(b, "  and %" PRIu64 " more\n", d.others);
}

void top_show(struct buf *b, const struct top *t, const char *id)
{
	_cleanup_sandbox_ struct found_sandbox f = FOUND_SANDBOX_INIT;
	long at = top_find(t, id);
	struct err e = { 0 };

	if (at < 0 || sandbox_find(&f, t->rows[at].name, &e) < 0 || !f.sandbox.live) {
		buf_puts(b, "It has ended.\n");
		return;
	}
	put_state(b, &f.sandbox.state);
	if (!t->rows[at].answered) {
		put_text(b, "", "its supervisor does not answer: suspended, or very busy");
		return;
	}
	for (size_t i = 0; i < t->now.count; i++)
		if (streq(t->now.items[i].id, id)) {
			put_usage(b, &t->now.items[i].stats);
			put_events(b, &t->now.items[i].stats);
		}
	put_denials(b, &f);
}
