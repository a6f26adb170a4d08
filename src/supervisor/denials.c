/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/denials.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

static const char *const reasons[NET_VERDICTS] = {
	[NET_NOT_LISTED] = "not listed",
	[NET_BLOCKED] = "blocked",
	[NET_SPECIAL] = "special address",
	[NET_OTHER_NAME] = "another name",
	[NET_NO_NAME] = "no name",
	[NET_UNREACHABLE] = "unreachable",
	[NET_TOO_MANY] = "too many connections",
	[NET_TOO_MANY_NAMES] = "too many names",
};

/* What is said of it, where it is more than the reason. */
static const char *const words[NET_VERDICTS] = {
	[NET_SPECIAL] = "private, of this host, or a metadata service, and not listed by address",
	[NET_OTHER_NAME] = "a request in it for another name, malformed, or not whole after 10 s",
	[NET_NO_NAME] = "an address that no look-up has given",
	[NET_UNREACHABLE] = "allowed, but the host did not get a connection",
	[NET_TOO_MANY] = "more than network.max_connections, or the host's open files, allow",
	[NET_TOO_MANY_NAMES] = "too many new names under a wildcard in too short a time",
};

static void copy_name(char *dst, size_t size, const char *src)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789.-_:*/[]";
	size_t n = 0;

	for (; n + 1 < size && src[n] != '\0'; n++)
		dst[n] = strchr(plain, src[n]) ? src[n] : '?';
	dst[n] = '\0';
}

static bool is_same(const struct denial *a, const struct denial *b)
{
	return a->verdict == b->verdict && a->port == b->port && a->udp == b->udp &&
	       streq(a->host, b->host);
}

const struct denial *denials_add(struct denials *d, const struct net_message *m, const char *rule)
{
	static struct denial new; /* it may be asked for where there is no room for it */
	struct net_message copy = *m;

	d->others += m->count;
	if (m->verdict == 0)
		return NULL;
	if (m->verdict >= NET_VERDICTS) {
		d->others++;
		return NULL;
	}
	new = (struct denial){
		.port = m->port, .udp = m->udp != 0, .verdict = m->verdict, .count = 1
	};
	copy.text[sizeof(copy.text) - 1] = copy.address[sizeof(copy.address) - 1] = '\0';
	copy_name(new.host, sizeof(new.host), copy.text);
	copy_name(new.address, sizeof(new.address), copy.address);
	copy_name(new.rule, sizeof(new.rule), rule);
	for (uint32_t i = 0; i < d->count; i++) {
		if (is_same(&d->items[i], &new)) {
			d->items[i].count++;
			return &d->items[i];
		}
	}
	if (d->count == DENIALS_MAX) {
		d->others++;
		return &new;
	}
	d->items[d->count] = new;
	return &d->items[d->count++];
}

const char *denial_reason(const struct denial *d)
{
	return d->verdict < NET_VERDICTS && reasons[d->verdict] ? reasons[d->verdict] : "unknown";
}

/* As a rule has it; of a look-up the name alone. */
static void put_target(const struct denial *d, const char *host, char *ret, size_t size)
{
	bool v6 = strchr(host, ':');
	const char *udp = d->udp && d->port ? "/udp" : "";

	if (d->port)
		snprintf(ret, size, v6 ? "[%s]:%u%s" : "%s:%u%s", host, d->port, udp);
	else
		snprintf(ret, size, "%s", host);
}

void denial_allow(const struct denial *d, char ret[DENIAL_ALLOW])
{
	const char *host = d->verdict == NET_SPECIAL && d->address[0] ? d->address : d->host;
	char target[300];

	ret[0] = '\0';
	if ((d->verdict != NET_NOT_LISTED && d->verdict != NET_SPECIAL) || !host[0] ||
	    strchr(host, '?'))
		return;
	put_target(d, host, target, sizeof(target));
	snprintf(ret, DENIAL_ALLOW, "network.allow_outgoing: [\"%s\"]", target);
}

void denial_line(const struct denial *d, char ret[DENIAL_LINE])
{
	const char *what = d->verdict < NET_VERDICTS && words[d->verdict] ? words[d->verdict]
									  : denial_reason(d);
	char target[300] = "a connection", allow[DENIAL_ALLOW], times[48] = "", more[400] = "";

	if (d->host[0])
		put_target(d, d->host, target, sizeof(target));
	if (d->count > 1)
		snprintf(times, sizeof(times), " (%llu times)", (unsigned long long)d->count);
	if (d->verdict == NET_BLOCKED)
		snprintf(more, sizeof(more), " by %s%s%s",
			 d->rule[0] ? "\"" : "network.blocked_ips", d->rule,
			 d->rule[0] ? "\"" : "");
	if (d->address[0])
		snprintf(more + strlen(more), sizeof(more) - strlen(more), " (%s)", d->address);
	denial_allow(d, allow);
	snprintf(ret, DENIAL_LINE, "%s%s%s: %s%s%s%s",
		 d->verdict == NET_UNREACHABLE ? "no connection to " : "refused ", target, times,
		 what, more, allow[0] ? "; to allow: " : "", allow);
}

static void put_pair(struct buf *b, const char *key, const char *value)
{
	buf_printf(b, ",\"%s\":", key);
	if (value[0])
		buf_json_string(b, value);
	else
		buf_puts(b, "null");
}

void denials_json(const struct denials *d, struct buf *b)
{
	buf_puts(b, "[");
	for (uint32_t i = 0; i < d->count; i++) {
		const struct denial *one = &d->items[i];
		char allow[DENIAL_ALLOW];

		denial_allow(one, allow);
		buf_printf(b, "%s{\"type\":\"network\"", i ? "," : "");
		put_pair(b, "host", one->host);
		if (one->port)
			buf_printf(b, ",\"port\":%u", one->port);
		else
			buf_puts(b, ",\"port\":null");
		put_pair(b, "protocol",
			 !one->port && one->host[0] ? "dns"
			 : one->udp		    ? "udp"
						    : "tcp");
		put_pair(b, "reason", denial_reason(one));
		buf_printf(b, ",\"count\":%llu", (unsigned long long)one->count);
		put_pair(b, "allow", allow);
		if (one->address[0])
			put_pair(b, "address", one->address);
		if (one->rule[0])
			put_pair(b, "rule", one->rule);
		buf_puts(b, "}");
	}
	buf_puts(b, "]");
}
