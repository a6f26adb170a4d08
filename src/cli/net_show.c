/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `purple net show`. What purple-net tells of its connections is hostile: it is read
 * once, its count is checked, and its texts are printed escaped.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/cmd_net.h"
#include "net/live.h"
#include "policy/netrule.h"
#include "supervisor/denials.h"

enum { OUTPUT_MAX = 64 << 20, CELL = 300, COLUMNS = 8, ADDRESS = INET6_ADDRSTRLEN };

struct view {
	char name[SANDBOX_NAME_MAX + 1];
	struct control_net net;
	struct denials denials;
	struct net_rule *rules; /* owned; those allowed, then those blocked */
	struct net_shown_head head;
	struct net_shown *flows; /* owned; head.count of them */
};

static int read_at(int fd, void *to, size_t len, off_t at)
{
	while (len) {
		ssize_t n = pread(fd, to, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EBADMSG;
		to = (char *)to + n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The supervisor has refusals of all kinds. */
static void keep_network(struct denials *d)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < d->count; i++)
		if (d->items[i].type == EV_NET_DENIED || d->items[i].type == EV_DNS_DENIED)
			memmove(&d->items[n++], &d->items[i], sizeof(d->items[i]));
	d->count = n;
}

static int read_told(struct view *v, int fd)
{
	const size_t count = (size_t)v->net.allow_count + v->net.block_count;
	int r = read_at(fd, &v->denials, sizeof(v->denials), 0);

	if (r == 0 && (count > 2 * NET_RULES_MAX || v->denials.count > DENIALS_MAX))
		r = -EBADMSG;
	if (r < 0)
		return r;
	keep_network(&v->denials);
	v->rules = calloc(count + 1, sizeof(*v->rules));
	if (!v->rules)
		return -ENOMEM;
	return read_at(fd, v->rules, count * sizeof(*v->rules), sizeof(v->denials));
}

static int read_shown(struct view *v, int fd)
{
	int r = read_at(fd, &v->head, sizeof(v->head), 0);

	if (r == 0 && (v->head.magic != NET_SHOWN_MAGIC || v->head.count > 2 * NET_CONNECTIONS_MAX))
		r = -EBADMSG;
	if (r < 0)
		return r;
	v->flows = calloc(v->head.count + 1, sizeof(*v->flows));
	if (!v->flows)
		return -ENOMEM;
	r = read_at(fd, v->flows, v->head.count * sizeof(*v->flows), sizeof(v->head));
	for (uint32_t i = 0; r == 0 && i < v->head.count; i++)
		v->flows[i].host[sizeof(v->flows[i].host) - 1] = '\0';
	return r;
}

static int ask(const char *name, struct view *v, struct err *e)
{
	_cleanup_sandbox_ struct found_sandbox f = FOUND_SANDBOX_INIT;
	static struct control_message answer;
	_cleanup_close_ int fd = -1;
	unsigned nfds = 2;
	int fds[2] = { -1, -1 }, r = sandbox_find(&f, name, e);

	if (r < 0)
		return r;
	fd = sandbox_talk(&f, false, e);
	if (fd < 0)
		return fd;
	str_copy(v->name, sizeof(v->name), f.sandbox.state.name);
	r = control_send_value(fd, CONTROL_NET_SHOW, 0, 0);
	if (r < 0 && r != -EPIPE)
		return err_set(e, r, "state", "ask the supervisor of %s", v->name);
	r = sandbox_hear_fds(fd, v->name, CONTROL_NET_IS, &answer, fds, &nfds, e);
	if (r < 0)
		return r;
	v->net = answer.net;
	v->net.why[sizeof(v->net.why) - 1] = '\0';
	r = nfds ? read_told(v, fds[0]) : -EBADMSG;
	if (r == 0 && v->net.lives)
		r = nfds > 1 ? read_shown(v, fds[1]) : -EBADMSG;
	for (unsigned i = 0; i < nfds; i++)
		close(fds[i]);
	return r < 0 ? err_set(e, r, "network", "read what the supervisor of %s tells", v->name)
		     : 0;
}

static const char *state_of(const struct net_shown *f)
{
	static const char *const names[] = {
		[NET_SHOWN_PROXY] = "waits",
		[NET_SHOWN_RESOLVES] = "resolves",
		[NET_SHOWN_CONNECTS] = "connects",
		[NET_SHOWN_OPEN] = "open",
	};

	return f->state < ARRAY_SIZE(names) ? names[f->state] : "unknown";
}

static void address_of(const struct net_shown *f, char ret[ADDRESS])
{
	if (!f->dialled || !inet_ntop(f->v6 ? AF_INET6 : AF_INET, f->addr, ret, ADDRESS))
		str_copy(ret, ADDRESS, "");
}

static void put_rules_json(struct buf *b, const char *key, const struct net_rule *rules,
			   uint32_t count)
{
	buf_printf(b, ",\n \"%s\": [", key);
	for (uint32_t i = 0; i < count; i++) {
		char text[CELL];

		net_rule_format(&rules[i], text, sizeof(text));
		buf_puts(b, i ? ", " : "");
		buf_json_string(b, text);
	}
	buf_puts(b, "]");
}

static void put_flow_json(struct buf *b, const struct net_shown *f)
{
	char address[ADDRESS];

	address_of(f, address);
	buf_printf(b, "{\"protocol\": \"%s\", \"direction\": \"%s\", \"host\": ",
		   f->udp ? "udp" : "tcp", f->incoming ? "in" : "out");
	buf_json_string(b, f->host);
	buf_puts(b, ", \"address\": ");
	if (address[0])
		buf_json_string(b, address);
	else
		buf_puts(b, "null");
	buf_printf(b,
		   ", \"port\": %u, \"state\": \"%s\", \"bytes_up\": %" PRIu64
		   ", \"bytes_down\": %" PRIu64 ", \"age_ms\": %" PRIu64 ", \"quiet_ms\": %" PRIu64
		   "}",
		   f->port, state_of(f), f->up, f->down, f->age_ms, f->quiet_ms);
}

static void put_json(struct buf *b, const struct view *v)
{
	buf_puts(b, "{\"name\": ");
	buf_json_string(b, v->name);
	buf_printf(b, ", \"network\": \"%s\"", v->net.lives ? "on" : "died");
	if (!v->net.lives) {
		buf_puts(b, ", \"network_reason\": ");
		buf_json_string(b, v->net.why);
	}
	buf_printf(b,
		   ", \"locked\": %s, \"connections\": %u, \"max_connections\": %" PRIu64
		   ", \"bytes_per_second\": %" PRIu64 ", \"names\": %u",
		   v->net.locked ? "true" : "false", v->head.count, v->net.max_connections,
		   v->net.bytes_per_second, v->head.names);
	put_rules_json(b, "allow", v->rules, v->net.allow_count);
	put_rules_json(b, "block", v->rules + v->net.allow_count, v->net.block_count);
	buf_puts(b, ",\n \"flows\": [");
	for (uint32_t i = 0; i < v->head.count; i++) {
		buf_puts(b, i ? ",\n  " : "\n  ");
		put_flow_json(b, &v->flows[i]);
	}
	buf_puts(b, "],\n \"denials\": ");
	denials_json(&v->denials, b);
	buf_printf(b, ", \"denials_not_listed\": %" PRIu64 "}\n", v->denials.others);
}

static void put_bytes(char cell[CELL], uint64_t n)
{
	static const char units[] = "BKMGT";
	double d = (double)n;
	int unit = 0;

	for (; d >= 1024 && unit < 4; unit++)
		d /= 1024;
	snprintf(cell, CELL, unit && d < 10 ? "%.1f%c" : "%.0f%c", d, units[unit]);
}

static void fill_row(char row[COLUMNS][CELL], const struct net_shown *f)
{
	char address[ADDRESS];

	address_of(f, address);
	snprintf(row[0], CELL, "%s%s", f->udp ? "udp" : "tcp", f->incoming ? " in" : "");
	str_copy(row[1], CELL, f->host[0] ? f->host : "-");
	snprintf(row[2], CELL, "%u", f->port);
	str_copy(row[3], CELL, address[0] ? address : "-");
	str_copy(row[4], CELL, state_of(f));
	put_bytes(row[5], f->up);
	put_bytes(row[6], f->down);
	snprintf(row[7], CELL, "%" PRIu64 "s", f->age_ms / 1000);
}

static void put_flows(struct buf *b, const struct view *v)
{
	static const char *const titles[COLUMNS] = { "PROTO", "HOST", "PORT", "ADDRESS",
						     "STATE", "UP",   "DOWN", "AGE" };
	static char row[COLUMNS][CELL];
	size_t widths[COLUMNS];

	for (int c = 0; c < COLUMNS; c++)
		widths[c] = strlen(titles[c]);
	for (uint32_t i = 0; i < v->head.count; i++) {
		fill_row(row, &v->flows[i]);
		for (int c = 0; c < COLUMNS; c++)
			widths[c] = MAX(widths[c], cell_width(row[c]));
	}
	for (uint32_t i = 0; i <= v->head.count; i++) {
		if (i)
			fill_row(row, &v->flows[i - 1]);
		for (int c = 0; c < COLUMNS; c++) {
			put_cell(b, i ? row[c] : titles[c], widths[c], c + 1 < COLUMNS);
			buf_puts(b, c + 1 < COLUMNS ? "  " : "\n");
		}
	}
}

static void put_text(struct buf *b, const struct view *v)
{
	char line[DENIAL_LINE];

	if (!v->net.lives) {
		buf_puts(b, "purple-net died (");
		put_cell(b, v->net.why, 0, false);
		buf_puts(b, "): nothing outside can be reached\n");
	}
	buf_printf(b, "connections  %u of %" PRIu64 "%s\n", v->head.count, v->net.max_connections,
		   v->net.locked ? "; the rules are locked" : "");
	if (v->net.bytes_per_second)
		buf_printf(b, "bandwidth    %" PRIu64 " bytes a second, each way\n",
			   v->net.bytes_per_second);
	for (uint32_t i = 0; i < v->net.allow_count + v->net.block_count; i++) {
		net_rule_format(&v->rules[i], line, sizeof(line));
		buf_puts(b, i < v->net.allow_count ? "allow        " : "block        ");
		put_cell(b, line, 0, false);
		buf_puts(b, "\n");
	}
	if (v->head.count) {
		buf_puts(b, "\n");
		put_flows(b, v);
	}
	if (v->denials.count || v->denials.others)
		buf_puts(b, "\n");
	for (uint32_t i = 0; i < v->denials.count; i++) {
		denial_line(&v->denials.items[i], line);
		buf_printf(b, "%s\n", line);
	}
	if (v->denials.others)
		buf_printf(b, "%" PRIu64 " more were refused\n", v->denials.others);
}

int net_show(const char *name, bool json)
{
	_cleanup_buf_ struct buf b = BUF_INIT(OUTPUT_MAX);
	static struct view v;
	struct err e = { 0 };
	int r = ask(name, &v, &e);

	if (r == 0)
		(json ? put_json : put_text)(&b, &v);
	free(v.rules);
	free(v.flows);
	return r < 0 ? command_failed(&e) : command_output(&b);
}
