/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/netrule.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define FAIL(message) (*why = (message), -EINVAL)

static bool all_digits(const char *s)
{
	return *s != '\0' && s[strspn(s, "0123456789")] == '\0';
}

static int parse_port(const char *s, uint16_t *ret, const char **why)
{
	uint64_t v;

	if (strchr(s, '/'))
		return FAIL("after a port stands nothing, /tcp or /udp");
	if (!all_digits(s) || s[0] == '0' || parse_u64(s, &v) < 0 || v > 65535)
		return FAIL("not a port; write a number from 1 to 65535");
	*ret = (uint16_t)v;
	return 0;
}

/* The last label is a number: some programs would take this for an address. */
static bool looks_numeric(const char *s)
{
	const char *dot = strrchr(s, '.');
	const char *last = dot ? dot + 1 : s;

	return all_digits(last) || (last[0] == '0' && (last[1] == 'x' || last[1] == 'X'));
}

static int parse_name(const char *s, struct net_rule *r, const char **why)
{
	size_t n = strlen(s), label = 0;

	if (n > 0 && s[n - 1] == '.')
		n--;
	if (n == 0)
		return FAIL("no host; write a name, an address or a port");
	if (n > NET_NAME_MAX)
		return FAIL("a name of more than 253 bytes");
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 0x80)
			return FAIL("not an ASCII name; write its xn-- form");
		if (c == '@')
			return FAIL("no user before a host; write the host alone");
		if (c == '*')
			return FAIL("a '*' stands first, and alone before a dot: *.example.com");
		if (c == '.' ? label == 0 || s[i - 1] == '-' : !isalnum(c) && c != '-' && c != '_')
			return FAIL("not a host name; write one such as api.example.com:443");
		if (c == '-' && (label == 0 || i + 1 == n))
			return FAIL("not a host name; write one such as api.example.com:443");
		label = c == '.' ? 0 : label + 1;
		if (label > 63)
			return FAIL("a part of a name with more than 63 bytes");
		r->name[i] = (char)tolower(c);
	}
	r->name[n] = '\0';
	if (looks_numeric(r->name))
		return FAIL("not an IPv4 address; write four numbers from 0 to 255");
	return 0;
}

static bool host_bits_clear(const uint8_t *addr, unsigned prefix, unsigned bits)
{
	for (unsigned i = prefix; i < bits; i++)
		if (addr[i / 8] & (0x80u >> (i % 8)))
			return false;
	return true;
}

/* "10.0.0.0/8", "2001:db8::1": @s is the address, @prefix what follows the '/' or NULL. */
static int parse_addr(const char *s, const char *prefix, struct net_rule *r, const char **why)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	bool v6 = strchr(s, ':');
	unsigned bits = v6 ? 128 : 32;
	uint64_t v = bits;

	if (inet_pton(v6 ? AF_INET6 : AF_INET, s, r->addr) != 1)
		return v6 ? FAIL("not an IPv6 address")
			  : FAIL("not an IPv4 address; write four numbers from 0 to 255");
	if (v6 && memcmp(r->addr, mapped, sizeof(mapped)) == 0)
		return FAIL("an IPv4 address in IPv6 form; write it as IPv4");
	if (prefix && (!all_digits(prefix) || parse_u64(prefix, &v) < 0 || v > bits))
		return FAIL("not a prefix length; write 0 to 32 for IPv4, 0 to 128 for IPv6");
	if (!host_bits_clear(r->addr, (unsigned)v, bits))
		return FAIL("bits are set beyond the prefix; write the first address of the block");
	r->host = v6 ? NET_V6 : NET_V4;
	r->prefix = (unsigned)v;
	return 0;
}

static int parse_host(char *s, struct net_rule *r, const char **why)
{
	char *slash = strchr(s, '/');

	if (streq(s, "*")) {
		r->host = NET_ANY;
		return 0;
	}
	if (slash || strchr(s, ':') || (looks_numeric(s) && s[strspn(s, "0123456789.")] == '\0')) {
		if (slash)
			*slash++ = '\0';
		return parse_addr(s, slash, r, why);
	}
	r->host = NET_NAME;
	if (s[0] == '*' && s[1] == '.') {
		r->host = NET_WILDCARD;
		s += 2;
	}
	return parse_name(s, r, why);
}

/* Cut "[host]:port", "host:port" or "port" in two; an absent part is NULL. */
static int split(char *s, char **host, char **port, const char **why)
{
	char *colon = strchr(s, ':'), *end;

	*host = *port = NULL;
	if (s[0] == '[') {
		end = strchr(s, ']');
		if (!end || (end[1] != '\0' && end[1] != ':') || !strchr(s, ':') ||
		    strchr(s, ':') > end)
			return FAIL("brackets hold an IPv6 address: [2001:db8::1]:443");
		*end = '\0';
		*host = s + 1;
		if (end[1] == ':')
			*port = end + 2;
	} else if (all_digits(s)) {
		*port = s;
	} else if (colon && !strchr(colon + 1, ':')) {
		*colon = '\0';
		*host = s;
		*port = colon + 1;
	} else {
		*host = s; /* no colon, or two and more: a bare IPv6 address */
	}
	return 0;
}

int net_rule_parse(const char *text, struct net_rule *ret, const char **why)
{
	struct net_rule r = { .host = NET_ANY };
	char buf[NET_NAME_MAX + 32], *host, *port, *proto;
	int e;

	if (strstr(text, "://"))
		return FAIL("a URL; write the host and the port alone");
	if (strchr(text, ','))
		return FAIL("more than one rule; write each by itself");
	if (!str_copy(buf, sizeof(buf), text))
		return FAIL("too long for a rule");
	proto = strrchr(buf, '/');
	if (proto && (streq(proto, "/udp") || streq(proto, "/tcp"))) {
		r.udp = proto[1] == 'u';
		*proto = '\0';
	}
	e = split(buf, &host, &port, why);
	if (e < 0)
		return e;
	if (host && (e = parse_host(host, &r, why)) < 0)
		return e;
	if (port && (e = parse_port(port, &r.port, why)) < 0)
		return e;
	if (r.host == NET_ANY && r.port == 0)
		return FAIL("everything is more than a rule may allow; name a host or a port");
	*ret = r;
	return 0;
}

void net_rule_format(const struct net_rule *r, char *buf, size_t size)
{
	char addr[INET6_ADDRSTRLEN] = "", host[NET_NAME_MAX + 8] = "", port[8] = "";
	char prefix[8] = "";
	bool v6 = r->host == NET_V6;

	if (r->host == NET_V4 || v6) {
		inet_ntop(v6 ? AF_INET6 : AF_INET, r->addr, addr, sizeof(addr));
		if (r->prefix != (v6 ? 128u : 32u))
			snprintf(prefix, sizeof(prefix), "/%u", r->prefix);
		snprintf(host, sizeof(host), v6 ? "[%s%s]" : "%s%s", addr, prefix);
	} else if (r->host != NET_ANY) {
		snprintf(host, sizeof(host), "%s%s", r->host == NET_WILDCARD ? "*." : "", r->name);
	}
	if (r->port != 0)
		snprintf(port, sizeof(port), "%s%u", host[0] ? ":" : "", r->port);
	snprintf(buf, size, "%s%s%s", host, port, r->udp ? "/udp" : "");
}
