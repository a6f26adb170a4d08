/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* "HOST" of "HOST:PORT" or "[HOST]:PORT", without the brackets. The port, or NULL: none. */
static bool split(const char *text, char host[64], const char **port, bool *bracketed)
{
	const char *end;

	*bracketed = text[0] == '[';
	if (*bracketed)
		text++;
	end = strchr(text, *bracketed ? ']' : ':');
	if (*bracketed && !end)
		return false;
	if (!end)
		end = text + strlen(text);
	if ((size_t)(end - text) >= 64)
		return false;
	memcpy(host, text, (size_t)(end - text));
	host[end - text] = '\0';
	end += *bracketed;
	*port = *end == ':' ? end + 1 : NULL;
	return *end == ':' || *end == '\0';
}

static int bad(const char *text, struct err *e)
{
	err_set(e, EPROTO, "usage", "%.80s is no address to listen at", text);
	err_remedy(e, "an address and a port: 127.0.0.1:9464, or [::1]:9464");
	return -EPROTO;
}

int serve_address_parse(const char *text, struct serve_address *ret, struct err *e)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	const char *port;
	bool bracketed;
	uint64_t number;
	char host[64];

	if (!split(text, host, &port, &bracketed) || !port || parse_u64(port, &number) < 0 ||
	    number > 65535)
		return bad(text, e);
	*ret = (struct serve_address){ 0 };
	if (bracketed) {
		if (inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
			return bad(text, e);
		v6.sin6_port = htons((uint16_t)number);
		ret->loopback = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
		memcpy(&ret->sa, &v6, ret->len = sizeof(v6));
		return 0;
	}
	if (inet_pton(AF_INET, streq(host, "localhost") ? "127.0.0.1" : host, &v4.sin_addr) != 1)
		return bad(text, e);
	v4.sin_port = htons((uint16_t)number);
	ret->loopback = ntohl(v4.sin_addr.s_addr) >> 24 == 127;
	memcpy(&ret->sa, &v4, ret->len = sizeof(v4));
	return 0;
}

void serve_address_format(const struct sockaddr_storage *sa, char ret[64])
{
	char host[INET6_ADDRSTRLEN] = "";
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;

	if (sa->ss_family == AF_INET6) {
		memcpy(&v6, sa, sizeof(v6));
		inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof(host));
		snprintf(ret, 64, "[%s]:%u", host, ntohs(v6.sin6_port));
	} else {
		memcpy(&v4, sa, sizeof(v4));
		inet_ntop(AF_INET, &v4.sin_addr, host, sizeof(host));
		snprintf(ret, 64, "%s:%u", host, ntohs(v4.sin_port));
	}
}

bool serve_host_is_local(const char *host)
{
	unsigned char room[16];
	const char *port;
	bool bracketed;
	char name[64];

	if (!split(host, name, &port, &bracketed))
		return false;
	if (bracketed)
		return inet_pton(AF_INET6, name, room) == 1;
	return streq(name, "localhost") || inet_pton(AF_INET, name, room) == 1;
}
