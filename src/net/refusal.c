/* SPDX-License-Identifier: Apache-2.0 */
#include "net/refusal.h"

#include <stdio.h>
#include <string.h>

#include "base/macros.h"

#define LIST "network.allow_outgoing: "

void refusal_host(const struct host *host, uint16_t port, char ret[REFUSAL_HOST_MAX])
{
	bool v6 = host->kind == HOST_V6;
	char text[HOST_NAME_MAX_LEN + 1];
	int len = snprintf(ret, REFUSAL_HOST_MAX, v6 ? "[%s]" : "%s", host_text(host, text));

	if (port)
		snprintf(ret + len, REFUSAL_HOST_MAX - (size_t)len, ":%u", port);
}

static void special_text(const struct refusal *r, const char *where, char ret[REFUSAL_TEXT_MAX])
{
	if (r->host->kind == HOST_NAME)
		snprintf(ret, REFUSAL_TEXT_MAX,
			 "purple: %s has no public address, and this sandbox's policy does not "
			 "list the one it has\n"
			 "rule that would allow it, beside that of the name: " LIST
			 "[\"ADDRESS:%u\"]\n",
			 where, r->port);
	else
		snprintf(ret, REFUSAL_TEXT_MAX,
			 "purple: %s is no public address, and this sandbox's policy does not "
			 "list it\n"
			 "rule that would allow it: " LIST "[\"%s\"]\n",
			 where, where);
}

static void other_text(const struct refusal *r, const char *where, char ret[REFUSAL_TEXT_MAX])
{
	char asked[REFUSAL_HOST_MAX], rule[REFUSAL_HOST_MAX];

	if (!r->asked) {
		snprintf(ret, REFUSAL_TEXT_MAX,
			 "purple: this connection is for %s, and what it carries is not\n", where);
		return;
	}
	refusal_host(r->asked, r->asked_port, asked);
	refusal_host(r->asked, r->asked_port ? r->asked_port : r->port, rule);
	snprintf(ret, REFUSAL_TEXT_MAX,
		 "purple: this connection is for %s, and the request for %s\n"
		 "that takes a connection of its own, and the rule " LIST "[\"%s\"]\n",
		 where, asked, rule);
}

void refusal_text(const struct refusal *r, char ret[REFUSAL_TEXT_MAX])
{
	char where[REFUSAL_HOST_MAX];

	refusal_host(r->host, r->port, where);
	switch (r->verdict) {
	case NET_BLOCKED:
		snprintf(ret, REFUSAL_TEXT_MAX,
			 "purple: %s is blocked by this sandbox's policy: network.blocked_ips\n"
			 "no rule of network.allow_outgoing would allow it while that one is "
			 "there\n",
			 where);
		return;
	case NET_SPECIAL:
		special_text(r, where, ret);
		return;
	case NET_OTHER_NAME:
		other_text(r, where, ret);
		return;
	case NET_NO_NAME:
		snprintf(ret, REFUSAL_TEXT_MAX,
			 host_is_loopback(r->host)
				 ? "purple: %s is this sandbox itself, which no proxy leads to\n"
				   "connect without the proxy: NO_PROXY=localhost,127.0.0.1,::1\n"
				 : "purple: %s is of this sandbox's own making, and stands for no "
				   "host\n",
			 where);
		return;
	case NET_UNREACHABLE:
		snprintf(ret, REFUSAL_TEXT_MAX,
			 "purple: %s cannot be reached: %s\n"
			 "this sandbox's policy allows it\n",
			 where, r->why);
		return;
	case NET_TOO_MANY_NAMES:
		snprintf(ret, REFUSAL_TEXT_MAX,
			 "purple: %s is one new name too many under a wildcard of this sandbox's "
			 "policy\n"
			 "it can be had later, or by a rule of its own\n",
			 where);
		return;
	case NET_NOT_LISTED:
	default:
		snprintf(ret, REFUSAL_TEXT_MAX,
			 "purple: %s is not allowed by this sandbox's policy\n"
			 "rule that would allow it: " LIST "[\"%s\"]\n",
			 where, where);
	}
}

size_t refusal_http(unsigned status, const char *text, bool head, char ret[REFUSAL_HTTP_MAX])
{
	int n = snprintf(ret, REFUSAL_HTTP_MAX,
			 "HTTP/1.1 %u %.*s\r\n"
			 "Content-Type: text/plain; charset=utf-8\r\n"
			 "Content-Length: %zu\r\n"
			 "Cache-Control: no-store\r\n"
			 "Connection: close\r\n\r\n%s",
			 status, (int)strcspn(text, "\n"), text, strlen(text), head ? "" : text);

	return MIN((size_t)n, (size_t)REFUSAL_HTTP_MAX - 1);
}
