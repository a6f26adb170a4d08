/* SPDX-License-Identifier: Apache-2.0 */
#include "net/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"

/* <ctype.h> asks the locale. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The letter, digit, '-' or '_' in lower case; 0 for all else. */
static char name_char(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_' ? c : '\0';
}

/* The last label is a number: some programs would take this for an address. */
static bool looks_numeric(const char *name)
{
	const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;

	return last[strspn(last, "0123456789")] == '\0' || (last[0] == '0' && last[1] == 'x');
}

static int copy_name(const char *text, size_t len, char *ret)
{
	size_t label = 0;

	for (size_t i = 0; i < len; i++) {
		char c = name_char(text[i]);

		if (text[i] == '.') {
			if (label == 0 || text[i - 1] == '-')
				return -EINVAL;
			label = 0;
			ret[i] = '.';
			continue;
		}
		if (c == '\0' || (c == '-' && label == 0) || ++label > HOST_LABEL_MAX)
			return -EINVAL;
		ret[i] = c;
	}
	ret[len] = '\0';
	return label == 0 || text[len - 1] == '-' || looks_numeric(ret) ? -EINVAL : 0;
}

int host_name(const char *text, size_t len, char ret[HOST_NAME_MAX_LEN + 1])
{
	int r = len == 0 || len > HOST_NAME_MAX_LEN ? -EINVAL : copy_name(text, len, ret);

	if (r < 0)
		ret[0] = '\0';
	return r;
}

static int parse_addr(const char *text, size_t len, bool v6, struct host *ret)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	char buf[INET6_ADDRSTRLEN];

	if (len >= sizeof(buf) || memchr(text, '\0', len))
		return -EINVAL;
	memcpy(buf, text, len);
	buf[len] = '\0';
	if (inet_pton(v6 ? AF_INET6 : AF_INET, buf, ret->addr) != 1)
		return -EINVAL;
	if (v6 && memcmp(ret->addr, mapped, sizeof(mapped)) == 0)
		return -EINVAL;
	ret->kind = v6 ? HOST_V6 : HOST_V4;
	return 0;
}

int host_parse(const char *text, size_t len, struct host *ret)
{
	bool v6 = memchr(text, ':', len), v4 = len > 0;

	*ret = (struct host){ .kind = HOST_NAME };
	for (size_t i = 0; i < len && v4; i++)
		v4 = is_digit(text[i]) || text[i] == '.';
	return v6 || v4 ? parse_addr(text, len, v6, ret) : host_name(text, len, ret->name);
}

static int parse_port(const char *text, size_t len, uint16_t *ret)
{
	unsigned v = 0;

	if (len == 0 || len > 5)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (!is_digit(text[i]))
			return -EINVAL;
		v = v * 10 + (unsigned)(text[i] - '0');
	}
	if (v == 0 || v > 65535)
		return -EINVAL;
	*ret = (uint16_t)v;
	return 0;
}

int host_parse_authority(const char *text, size_t len, struct host *ret, uint16_t *port)
{
	const char *end = text + len, *host = text, *host_end, *rest;

	*port = 0;
	*ret = (struct host){ .kind = HOST_NAME };
	if (len == 0)
		return -EINVAL;
	if (text[0] == '[') {
		host_end = memchr(text, ']', len);
		if (!host_end)
			return -EINVAL;
		host++;
		rest = host_end + 1;
		if (!memchr(host, ':', (size_t)(host_end - host)))
			return -EINVAL;
	} else {
		rest = memchr(text, ':', len);
		host_end = rest ? rest : end;
		rest = host_end;
	}
	if (rest != end && (*rest != ':' || parse_port(rest + 1, (size_t)(end - rest - 1), port)))
		return -EINVAL;
	return host_parse(host, (size_t)(host_end - host), ret);
}

bool host_is_localhost(const char *name)
{
	size_t len = strlen(name), tail = strlen(".localhost");

	return strcmp(name, "localhost") == 0 ||
	       (len > tail && strcmp(name + len - tail, ".localhost") == 0);
}

bool host_is_outside(const char *name)
{
	return strcmp(name, HOST_OUTSIDE) == 0;
}

bool host_is_loopback(const struct host *host)
{
	static const uint8_t one[16] = { [15] = 1 }, none[16];

	if (host->kind == HOST_NAME)
		return host_is_localhost(host->name);
	if (host->kind == HOST_V4)
		return host->addr[0] == 127 || host->addr[0] == 0;
	return memcmp(host->addr, one, 16) == 0 || memcmp(host->addr, none, 16) == 0;
}

struct host host_from_name(const char *name)
{
	struct host h = { .kind = HOST_NAME };

	str_copy(h.name, sizeof(h.name), name);
	return h;
}

struct host host_from_addr(bool v6, const void *addr)
{
	struct host h = { .kind = v6 ? HOST_V6 : HOST_V4 };

	memcpy(h.addr, addr, v6 ? 16 : 4);
	return h;
}

const char *host_text(const struct host *host, char ret[HOST_NAME_MAX_LEN + 1])
{
	if (host->kind == HOST_NAME)
		str_copy(ret, HOST_NAME_MAX_LEN + 1, host->name);
	else if (!inet_ntop(host->kind == HOST_V6 ? AF_INET6 : AF_INET, host->addr, ret,
			    HOST_NAME_MAX_LEN + 1))
		ret[0] = '\0';
	return ret;
}

bool host_equal(const struct host *a, const struct host *b)
{
	return a->kind == b->kind && strcmp(a->name, b->name) == 0 &&
	       memcmp(a->addr, b->addr, a->kind == HOST_V6 ? 16 : 4) == 0;
}
