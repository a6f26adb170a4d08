/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "sys/clock.h"
#include "sys/files.h"

int report_open(struct report *r, const char *where, struct err *e)
{
	const char *number;
	uint64_t fd;

	r->start = sys_clock(CLOCK_MONOTONIC);
	if (!where)
		return 0;
	number = str_after(where, "fd:");
	if (!number) {
		/* No link is followed: a sandbox of before may have left one here. */
		r->fd = sys_openat(AT_FDCWD, where,
				   O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_NOFOLLOW, 0600);
		if (r->fd == -ELOOP)
			err_remedy(e, "it is a symbolic link, which is not followed");
		return r->fd < 0 ? err_set(e, r->fd, "report", "%s", where) : 0;
	}
	if (parse_u64(number, &fd) < 0 || fd > 65535 || sys_call(SYS_fcntl, (int)fd, F_GETFD) < 0) {
		err_set(e, EPROTO, "report", "%s: no such descriptor is open", where);
		return -EPROTO;
	}
	r->fd = (int)fd;
	if (fd > 2)
		sys_call(SYS_fcntl, r->fd, F_SETFD, FD_CLOEXEC);
	return 0;
}

void report_close_others(const struct report *r)
{
	unsigned from = 3;

	if (r->fd > 2) {
		if (r->fd > 3)
			sys_close_range(3, (unsigned)r->fd - 1, 0);
		from = (unsigned)r->fd + 1;
	}
	sys_close_range(from, ~0U, 0);
}

static void add_pair(struct buf *b, const char *key, const char *value)
{
	buf_printf(b, "\"%s\":", key);
	buf_json_string(b, value);
}

static void add_outputs(struct buf *b, const struct collected *c)
{
	char name[ERR_NAME];

	if (!c)
		return;
	buf_puts(b, ",\"outputs\":[");
	for (unsigned i = 0; i < c->count; i++) {
		buf_puts(b, i ? ",{" : "{");
		add_pair(b, "path", c->items[i].path);
		buf_printf(b, ",\"bytes\":%llu", (unsigned long long)c->items[i].bytes);
		if (c->items[i].error) {
			buf_puts(b, ",");
			add_pair(b, "error", err_name(c->items[i].error, name));
		}
		buf_puts(b, "}");
	}
	buf_printf(b, "],\"outputs_not_listed\":%u,\"outputs_lost\":%u", c->more, c->failed);
}

static void add_end(struct buf *b, const struct outcome *out, const struct err *e)
{
	const char *reason = err_is_set(e) || !out->reason ? "not started" : out->reason;

	buf_printf(b, ",\"status\":%d,", out->exit_status);
	add_pair(b, "reason", reason);
	if (out->killed)
		buf_printf(b, ",\"signal\":%d", out->wait_status);
	else if (out->started && WIFSIGNALED(out->wait_status))
		buf_printf(b, ",\"signal\":%d", WTERMSIG(out->wait_status));
	if (out->network_died) {
		buf_puts(b, ",\"network\":\"died\",");
		add_pair(b, "network_reason", out->network_why);
	}
	if (out->denials) {
		buf_puts(b, ",\"denials\":");
		denials_json(out->denials, b);
		buf_printf(b, ",\"denials_not_listed\":%llu",
			   (unsigned long long)out->denials->others);
	}
	if (out->store) {
		buf_puts(b, ",\"changes\":{");
		add_pair(b, "store", out->store);
		buf_printf(b, ",\"added\":%llu,\"modified\":%llu,\"deleted\":%llu}",
			   (unsigned long long)out->changes_added,
			   (unsigned long long)out->changes_modified,
			   (unsigned long long)out->changes_deleted);
	}
	add_outputs(b, out->outputs);
	if (out->traceparent[0]) {
		buf_puts(b, ",");
		add_pair(b, "traceparent", out->traceparent);
	}
	if (out->spans_waited)
		buf_printf(b, ",\"spans_exported\":%llu,\"spans_dropped\":%llu",
			   (unsigned long long)out->spans_exported,
			   (unsigned long long)out->spans_dropped);
	if (!err_is_set(e))
		return;
	buf_puts(b, ",\"error\":{");
	add_pair(b, "stage", e->stage[0] ? e->stage : "policy");
	buf_puts(b, ",");
	add_pair(b, "message", e->message[0] ? e->message : "the policy has errors");
	buf_puts(b, ",");
	add_pair(b, "remedy", e->remedy);
	buf_puts(b, "}");
}

static void add_downgrades(struct buf *b, const struct plan *p)
{
	const struct plan_downgrade *d = plan_items(p, downgrades, struct plan_downgrade);

	buf_puts(b, ",\"downgrades\":[");
	for (uint32_t i = 0; i < p->downgrades.count; i++) {
		const char *why = plan_string(p, d[i].why);

		buf_puts(b, i ? ",{" : "{");
		add_pair(b, "what", plan_string(p, d[i].what));
		buf_puts(b, ",");
		add_pair(b, "why", why ? why : "");
		buf_puts(b, "}");
	}
	buf_puts(b, "]");
}

/* What the control group knows; a figure that it does not give is left out. */
static void add_group(struct buf *b, const struct cg_usage *u)
{
	const struct {
		const char *name;
		uint64_t value;
	} figures[] = {
		{ "cpu_us", u->cpu_us },
		{ "throttled_us", u->throttled_us },
		{ "memory_peak_bytes", u->memory_peak },
		{ "oom_kills", u->oom_kills },
		{ "pids_peak", u->pids_peak },
		{ "forks_refused", u->pids_refused },
		{ "io_read_bytes", u->io_read },
		{ "io_written_bytes", u->io_written },
	};

	for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
		if (figures[i].value != CG_UNKNOWN)
			buf_printf(b, ",\"%s\":%llu", figures[i].name,
				   (unsigned long long)figures[i].value);
}

static long long ms(struct timeval t)
{
	return t.tv_sec * 1000LL + t.tv_usec / 1000;
}

void report_write(struct report *r, const struct outcome *out, const struct err *e)
{
	_cleanup_buf_ struct buf b = BUF_INIT(256 << 10);
	const struct rusage *u = &out->usage;
	struct timespec now;
	const char *name;
	int lost;

	if (r->fd < 0)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	name = r->plan ? plan_string(r->plan, r->plan->profile) : NULL;
	buf_puts(&b, "{\"version\":1,");
	add_pair(&b, "profile", name ? name : "");
	if (out->id[0] != '\0') {
		buf_puts(&b, ",");
		add_pair(&b, "id", out->id);
		buf_puts(&b, ",");
		add_pair(&b, "name", out->name[0] ? out->name : out->id);
	}
	add_end(&b, out, e);
	if (r->plan)
		add_downgrades(&b, r->plan);
	buf_printf(&b,
		   ",\"usage\":{\"wall_ms\":%lld,\"user_ms\":%lld,\"system_ms\":%lld,"
		   "\"max_rss_kb\":%ld",
		   (now.tv_sec - r->start.tv_sec) * 1000LL +
			   (now.tv_nsec - r->start.tv_nsec) / 1000000,
		   ms(u->ru_utime), ms(u->ru_stime), u->ru_maxrss);
	if (out->counted)
		add_group(&b, &out->group);
	buf_puts(&b, "}}\n");
	lost = b.failed ? -ENOMEM : write_full(r->fd, b.data, b.len);
	if (lost < 0) {
		struct err told = { 0 };

		/* The command has run: its status stays. */
		err_set(&told, lost, "report", "write it");
		err_print(&told);
	}
	close_fdp(&r->fd);
}
