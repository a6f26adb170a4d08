/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

enum { OTLP_HTTP_PORT = 4318 };
#define TRACES "/v1/traces"

static const char alphanumeric[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

static bool all_of(const char *s, size_t n, const char *more)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] == '\0' || (!strchr(alphanumeric, s[i]) && !strchr(more, s[i])))
			return false;
	return true;
}

static bool parse_port(const char *s, size_t n, uint16_t *ret)
{
	unsigned v = 0;

	if (n == 0 || n > 5)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (unsigned)(s[i] - '0');
	}
	*ret = (uint16_t)v;
	return v > 0 && v <= UINT16_MAX;
}

/* "HOST[:PORT]" of @n bytes. NULL, or what is wrong. */
static const char *parse_authority(const char *s, size_t n, struct endpoint *ret)
{
	const char *close = s[0] == '[' ? memchr(s, ']', n) : NULL, *rest;
	size_t len;

	if (memchr(s, '@', n))
		return "a user or a password does not belong in it; what is secret comes by "
		       "OTEL_EXPORTER_OTLP_HEADERS";
	ret->v6 = close != NULL;
	rest = close ? close + 1 : memchr(s, ':', n);
	if (close)
		s++, n--;
	len = close ? (size_t)(close - s) : rest ? (size_t)(rest - s) : n;
	if (len == 0 || len >= sizeof(ret->host) || !all_of(s, len, close ? ":." : "._-"))
		return "a name or an address of a host stands behind ://";
	memcpy(ret->host, s, len);
	ret->host[len] = '\0';
	ret->port = OTLP_HTTP_PORT;
	if (!rest || rest == s + n)
		return NULL;
	if (*rest != ':' || !parse_port(rest + 1, (size_t)(s + n - rest - 1), &ret->port))
		return "a port is a number from 1 to 65535";
	return NULL;
}

int endpoint_parse(const char *text, bool exact, struct endpoint *ret, const char **why)
{
	const char *rest, *path;
	size_t n;

	memset(ret, 0, sizeof(*ret));
	rest = str_after(text, "http://");
	if (!rest) {
		rest = str_after(text, "https://");
		ret->tls = rest != NULL;
	}
	*why = "it begins with http:// or https://, as in http://127.0.0.1:4318";
	if (!rest)
		return -EINVAL;
	*why = "it is too long";
	if (strlen(text) >= ENDPOINT_MAX)
		return -EINVAL;
	path = strchrnul(rest, '/');
	*why = parse_authority(rest, (size_t)(path - rest), ret);
	if (*why)
		return -EINVAL;
	n = strlen(path);
	*why = "of its path only letters, digits and /._~%+- are understood, without a query";
	if (!all_of(path, n, "/._~%+-"))
		return -EINVAL;
	if (!exact) {
		while (n > 0 && path[n - 1] == '/')
			n--;
		if (n >= strlen(TRACES) &&
		    memcmp(path + n - strlen(TRACES), TRACES, strlen(TRACES)) == 0)
			n -= strlen(TRACES);
	}
	snprintf(ret->url, sizeof(ret->url), "%s://%s%s%s:%u%.*s%s", ret->tls ? "https" : "http",
		 ret->v6 ? "[" : "", ret->host, ret->v6 ? "]" : "", ret->port, (int)n, path,
		 exact ? "" : TRACES);
	*why = NULL;
	return 0;
}
