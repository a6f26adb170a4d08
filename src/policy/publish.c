/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/publish.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define FAIL(message) (*why = (message), -EINVAL)
#define NO_ADDRESS "write one address of the host, as in 0.0.0.0:80:8080 or [::1]:8080"

/* "8080"; the rules' own reader says what is wrong with it. */
static int parse_port(const char *s, uint16_t *ret, const char **why)
{
	struct net_rule r;

	if (*s == '\0' || s[strspn(s, "0123456789")] != '\0')
		return FAIL("write a port such as 8080, or 9000:8080, or 0.0.0.0:80:8080");
	if (net_rule_parse(s, &r, why) < 0)
		return -EINVAL;
	*ret = r.port;
	return 0;
}

static int parse_address(const char *s, bool v6, struct net_publish *p, const char **why)
{
	struct net_rule r;

	if (*s == '\0' || strchr(s, '/') || (!v6 && s[strspn(s, "0123456789.")] != '\0'))
		return FAIL(NO_ADDRESS);
	if (net_rule_parse(s, &r, why) < 0)
		return -EINVAL;
	if (r.host != (v6 ? NET_V6 : NET_V4))
		return FAIL(NO_ADDRESS);
	p->host = r.host;
	memcpy(p->addr, r.addr, sizeof(p->addr));
	return 0;
}

/* Cut the address off @s, if there is one. Returns what follows, or NULL with *why. */
static char *cut_address(char *s, char **address, bool *v6, const char **why)
{
	char *end, *colon = strchr(s, ':');

	*address = NULL;
	*v6 = *s == '[';
	if (*v6) {
		end = strchr(s, ']');
		if (!end || end[1] != ':') {
			*why = "brackets hold an IPv6 address, and a port follows: [::1]:8080";
			return NULL;
		}
		*end = '\0';
		*address = s + 1;
		return end + 2;
	}
	if (strstr(s, "::")) {
		*why = NO_ADDRESS; /* of IPv6, without its brackets */
		return NULL;
	}
	if (!colon || s + strspn(s, "0123456789") == colon)
		return s; /* a port comes first */
	*colon = '\0';
	*address = s;
	return colon + 1;
}

int net_publish_parse(const char *text, struct net_publish *ret, const char **why)
{
	struct net_publish p = { .host = NET_ANY };
	char buf[NET_NAME_MAX + 32], *rest, *address, *colon, *proto;
	bool v6;

	if (!str_copy(buf, sizeof(buf), text))
		return FAIL("too long for a port to publish");
	proto = strrchr(buf, '/');
	if (proto && streq(proto, "/udp"))
		return FAIL("only TCP can be published");
	if (proto && streq(proto, "/tcp"))
		*proto = '\0';
	rest = cut_address(buf, &address, &v6, why);
	if (!rest || (address && parse_address(address, v6, &p, why) < 0))
		return -EINVAL;
	colon = strchr(rest, ':');
	if (colon)
		*colon = '\0';
	if (parse_port(rest, &p.port, why) < 0)
		return -EINVAL;
	p.inside = p.port;
	if (colon && parse_port(colon + 1, &p.inside, why) < 0)
		return -EINVAL;
	*ret = p;
	return 0;
}

void net_publish_format(const struct net_publish *p, char ret[NET_PUBLISH_TEXT])
{
	char addr[INET6_ADDRSTRLEN] = "", host[INET6_ADDRSTRLEN + 4] = "", port[8] = "";
	bool v6 = p->host == NET_V6;

	if (p->host != NET_ANY) {
		inet_ntop(v6 ? AF_INET6 : AF_INET, p->addr, addr, sizeof(addr));
		snprintf(host, sizeof(host), v6 ? "[%s]:" : "%s:", addr);
	}
	if (p->port != p->inside)
		snprintf(port, sizeof(port), "%u:", p->port);
	snprintf(ret, NET_PUBLISH_TEXT, "%s%s%u", host, port, p->inside);
}

bool net_publish_everywhere(const struct net_publish *p)
{
	static const uint8_t none[sizeof(p->addr)];

	return p->host != NET_ANY && memcmp(p->addr, none, sizeof(none)) == 0;
}
