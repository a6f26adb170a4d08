/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/denials.h"

#include <errno.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "policy/path.h"
#include "sys/files.h"

/* What is said of a verdict, where it is more than its name. */
static const struct {
	enum net_verdict verdict;
	const char *words;
} network_words[] = {
	{ NET_SPECIAL, "private, of this host, or a metadata service, and not listed by address" },
	{ NET_OTHER_NAME, "a request in it for another name, malformed, or not whole after 10 s" },
	{ NET_NO_NAME, "an address that no look-up has given" },
	{ NET_UNREACHABLE, "allowed, but the host did not get a connection" },
	{ NET_TOO_MANY, "more than network.max_connections, or the host's open files, allow" },
	{ NET_TOO_MANY_NAMES, "too many new names under a wildcard in too short a time" },
};

bool denial_is(enum event_type type)
{
	return type == EV_FILE_DENIED || type == EV_DNS_DENIED || type == EV_NET_DENIED ||
	       type == EV_SYSCALL_DENIED || type == EV_LIMIT_REACHED;
}

static bool is_network(const struct denial *d)
{
	return d->type == EV_DNS_DENIED || d->type == EV_NET_DENIED;
}

/* Escaped, and cut where it has no room; never inside of an escape or a character. */
static void put_text(char *to, size_t size, const struct event *ev, enum event_field f)
{
	const struct event_value *v = event_get(ev, f);
	struct buf b = BUF_INIT(8 * EVENT_TEXT_MAX);
	size_t n = 0;

	if (v)
		event_escape(&b, v->data, MIN(v->len, size), false);
	while (!b.failed && n < b.len) {
		size_t step = b.data[n] == '\\' ? (b.data[n + 1] == 'x' ? 4 : 2)
						: MAX(utf8_len(b.data + n), (size_t)1);

		if (n + step >= size)
			break;
		memcpy(to + n, b.data + n, step);
		n += step;
	}
	to[n] = '\0';
	buf_free(&b);
}

static uint64_t number(const struct event *ev, enum event_field f, uint64_t otherwise)
{
	const struct event_value *v = event_get(ev, f);

	return v ? v->number : otherwise;
}

static void fill_network(struct denial *d, const struct event *ev)
{
	const struct event_value *proto = NULL;
	size_t n;
	bool v6;

	put_text(d->host, sizeof(d->host), ev, EF_HOST);
	put_text(d->reason, sizeof(d->reason), ev, EF_REASON);
	put_text(d->rule, sizeof(d->rule), ev, EF_RULE);
	str_copy(d->layer, sizeof(d->layer), "network");
	if (ev->type == EV_NET_DENIED) {
		put_text(d->address, sizeof(d->address), ev, EF_ADDRESS);
		d->port = (uint16_t)number(ev, EF_PORT, 0);
		proto = event_get(ev, EF_PROTO);
	}
	d->udp = proto && proto->len == 3 && memcmp(proto->data, "udp", 3) == 0;
	v6 = strchr(d->host, ':') && d->port;
	snprintf(d->what, sizeof(d->what), "%s%s%s", v6 ? "[" : "", d->host, v6 ? "]" : "");
	n = strlen(d->what);
	if (d->port)
		snprintf(d->what + n, sizeof(d->what) - n, ":%u%s", d->port, d->udp ? "/udp" : "");
	if (!d->host[0])
		str_copy(d->what, sizeof(d->what), "a connection");
}

static void fill_file(struct denial *d, const struct event *ev)
{
	size_t n;

	put_text(d->what, sizeof(d->what), ev, EF_ACCESS);
	n = strlen(d->what);
	if (n == 0)
		return;
	d->what[n++] = ' ';
	put_text(d->what + n, sizeof(d->what) - n, ev, EF_PATH);
	put_text(d->reason, sizeof(d->reason), ev, EF_ERROR);
	put_text(d->layer, sizeof(d->layer), ev, EF_LAYER);
	put_text(d->rule, sizeof(d->rule), ev, EF_RULE);
}

bool denial_fill(struct denial *d, const struct event *ev, const struct advice *a)
{
	d->type = (uint8_t)ev->type;
	d->count = MAX(number(ev, EF_COUNT, 1), (uint64_t)1);
	if (is_network(d)) {
		fill_network(d, ev);
	} else if (ev->type == EV_FILE_DENIED) {
		fill_file(d, ev);
	} else if (ev->type == EV_SYSCALL_DENIED) {
		put_text(d->what, sizeof(d->what), ev, EF_SYSCALL);
		put_text(d->reason, sizeof(d->reason), ev, EF_ERROR);
		put_text(d->rule, sizeof(d->rule), ev, EF_RULE);
		str_copy(d->layer, sizeof(d->layer), "seccomp");
	} else {
		put_text(d->what, sizeof(d->what), ev, EF_LIMIT);
		put_text(d->reason, sizeof(d->reason), ev, EF_MESSAGE);
		str_copy(d->rule, sizeof(d->rule), d->what);
		str_copy(d->layer, sizeof(d->layer), "limits");
	}
	if (d->rule[0] == '\0')
		str_copy(d->rule, sizeof(d->rule), a->rule);
	str_copy(d->allow, sizeof(d->allow), a->allow);
	str_copy(d->why, sizeof(d->why), a->why);
	return denial_is(ev->type) && d->what[0] != '\0' &&
	       (!is_network(d) || d->host[0] || streq(d->reason, net_verdict_name(NET_TOO_MANY)));
}

bool denial_is_same(const struct denial *a, const struct denial *b)
{
	return a->type == b->type && streq(a->what, b->what) && streq(a->reason, b->reason) &&
	       streq(a->rule, b->rule) && streq(a->allow, b->allow);
}

/* Programs look for many files that may be or not; these must not take all places. */
enum { ABSENT_MAX = DENIALS_MAX / 2 };

bool denial_is_absence(const struct denial *d)
{
	return d->type == EV_FILE_DENIED && streq(d->reason, "ENOENT");
}

/* Below the home, which may be a mount, from there. */
static int find_on_host(const char *path)
{
	const uint64_t resolve = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
	char home[PATH_NORMAL_MAX];
	int from = AT_FDCWD, fd;

	if (path_to_home(path, home) && home[1] == '/') {
		from = sys_openat(AT_FDCWD, getenv("HOME"), O_PATH | O_DIRECTORY, 0);
		path = home + 2;
	}
	fd = from == AT_FDCWD || from >= 0
		     ? sys_openat2(from, path, O_PATH | O_NOFOLLOW, 0, resolve)
		     : from;
	if (from >= 0)
		sys_close(from);
	sys_close(fd);
	return fd;
}

bool denial_host_lacks(const struct denial *d)
{
	const char *path = str_after(d->what, "read ");
	int fd;

	if (!denial_is_absence(d))
		return false;
	path = path ? path : str_after(d->what, "exec ");
	/* Escaped or cut, it is another path. */
	if (!path || strchr(path, '\\') || strlen(d->what) + 8 > sizeof(d->what))
		return false;
	fd = find_on_host(path);
	return fd == -ENOENT || fd == -ENOTDIR;
}

static unsigned count_absent(const struct denials *d)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < d->count; i++)
		n += denial_is_absence(&d->items[i]);
	return n;
}

const struct denial *denials_add(struct denials *d, const struct event *ev, const struct advice *a)
{
	struct denial new = { 0 };

	if (!denial_fill(&new, ev, a)) {
		d->others += new.count;
		return NULL;
	}
	for (uint32_t i = 0; i < d->count; i++)
		if (denial_is_same(&d->items[i], &new)) {
			d->items[i].count += new.count;
			return &d->items[i];
		}
	if (d->count == DENIALS_MAX || (denial_is_absence(&new) && count_absent(d) == ABSENT_MAX)) {
		d->others += new.count;
		return NULL;
	}
	d->items[d->count] = new;
	return &d->items[d->count++];
}

const char *denial_topic(const struct denial *d)
{
	return is_network(d)		      ? "network"
	       : d->type == EV_FILE_DENIED    ? "files"
	       : d->type == EV_SYSCALL_DENIED ? "seccomp"
					      : "limits";
}

static void network_reason(const struct denial *d, char *ret, size_t size)
{
	const char *what = d->reason;

	for (size_t i = 0; i < ARRAY_SIZE(network_words); i++)
		if (streq(d->reason, net_verdict_name(network_words[i].verdict)))
			what = network_words[i].words;
	str_copy(ret, size, what);
	if (streq(d->reason, net_verdict_name(NET_BLOCKED)))
		snprintf(ret, size, "%s by %s%s%s", what, d->rule[0] ? "\"" : "network.blocked_ips",
			 d->rule, d->rule[0] ? "\"" : "");
	if (d->address[0])
		snprintf(ret + strlen(ret), size - strlen(ret), " (%s)", d->address);
}

void denial_line(const struct denial *d, char ret[DENIAL_LINE])
{
	const char *verb = streq(d->reason, net_verdict_name(NET_UNREACHABLE)) ? "no connection to "
			   : d->type == EV_LIMIT_REACHED		       ? "reached "
									       : "refused ";
	char times[48] = "", reason[500];
	int n;

	if (d->count > 1)
		snprintf(times, sizeof(times), " (%llu times)", (unsigned long long)d->count);
	if (is_network(d))
		network_reason(d, reason, sizeof(reason));
	else
		snprintf(reason, sizeof(reason), "%s%s%.300s", d->reason,
			 d->rule[0] && d->type != EV_LIMIT_REACHED ? " by " : "",
			 d->type != EV_LIMIT_REACHED ? d->rule : "");
	n = snprintf(ret, DENIAL_LINE, "%s%s%s: %s", verb, d->what, times, reason);
	if (d->allow[0])
		snprintf(ret + n, DENIAL_LINE - (size_t)n, "; to allow: %s", d->allow);
	else if (d->why[0] && (!is_network(d) || streq(d->reason, "isolated")))
		snprintf(ret + n, DENIAL_LINE - (size_t)n, "; %s", d->why);
}

static void put_pair(struct buf *b, const char *key, const char *value)
{
	buf_printf(b, ",\"%s\":", key);
	if (value[0])
		buf_json_string(b, value);
	else
		buf_puts(b, "null");
}

void denial_json(const struct denial *d, struct buf *b)
{
	char option[ADVICE_OPTION];

	advice_option(d->allow, option);
	buf_printf(b, "\"type\":\"%s\"", event_table[d->type].name);
	put_pair(b, "what", d->what);
	put_pair(b, "layer", d->layer);
	put_pair(b, "reason", d->reason);
	put_pair(b, "rule", d->rule);
	buf_printf(b, ",\"count\":%llu", (unsigned long long)d->count);
	put_pair(b, "allow", d->allow);
	put_pair(b, "option", option);
	put_pair(b, "why", d->why);
	if (!is_network(d))
		return;
	put_pair(b, "host", d->host);
	if (d->port)
		buf_printf(b, ",\"port\":%u", d->port);
	else
		buf_puts(b, ",\"port\":null");
	put_pair(b, "protocol", !d->port && d->host[0] ? "dns" : d->udp ? "udp" : "tcp");
	if (d->address[0])
		put_pair(b, "address", d->address);
}

void denials_json(const struct denials *d, struct buf *b)
{
	buf_puts(b, "[");
	for (uint32_t i = 0; i < d->count; i++) {
		buf_puts(b, i ? ",{" : "{");
		denial_json(&d->items[i], b);
		buf_puts(b, "}");
	}
	buf_puts(b, "]");
}
