/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy.h"

#include <string.h>
#include <strings.h>

#include "base/macros.h"
#include "net/refusal.h"

struct out {
	char *p;
	size_t len;
	bool full;
};

static void put(struct out *o, const char *text, size_t len)
{
	if (o->full || len > PROXY_HEAD_MAX - o->len) {
		o->full = true;
		return;
	}
	memcpy(o->p + o->len, text, len);
	o->len += len;
}

static void put_text(struct out *o, const char *text)
{
	put(o, text, strlen(text));
}

static bool is(const char *name, size_t len, const char *word)
{
	return len == strlen(word) && strncasecmp(name, word, len) == 0;
}

/* Does a Connection field among those from @fields to @end name this one? RFC 9110 §7.6.1. */
static bool connection_names(const char *fields, const char *end, const char *name, size_t len)
{
	static const char word[] = "Connection:";

	for (const char *line = fields, *next; line < end; line = next) {
		next = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1;
		if (strncasecmp(line, word, sizeof(word) - 1) != 0)
			continue;
		for (const char *p = line + sizeof(word) - 1, *stop; p < next; p = stop + 1) {
			p += strspn(p, " \t");
			stop = p + strcspn(p, ",\r");
			if ((size_t)(stop - p) >= len && strncasecmp(p, name, len) == 0 &&
			    strspn(p + len, " \t") == (size_t)(stop - p) - len)
				return true;
			if (*stop == '\r')
				break;
		}
	}
	return false;
}

static bool is_kept(const char *fields, const char *end, const char *name, size_t len)
{
	static const char *const hops[] = { "Host", "Connection", "Keep-Alive", "TE", "Upgrade" };

	for (size_t i = 0; i < ARRAY_SIZE(hops); i++)
		if (is(name, len, hops[i]))
			return false;
	if (strncasecmp(name, "Proxy-", MIN(len, strlen("Proxy-"))) == 0 && len > strlen("Proxy-"))
		return false;
	return is(name, len, "Content-Length") || is(name, len, "Transfer-Encoding") ||
	       !connection_names(fields, end, name, len);
}

static void put_target(struct out *o, const char *data, const struct http_head *head)
{
	const char *target = data + head->target + strlen("http://");
	size_t left = head->target_len - strlen("http://");

	while (left > 0 && *target != '/' && *target != '?') {
		target++;
		left--;
	}
	if (left == 0 && strcmp(head->method, "OPTIONS") == 0)
		put_text(o, "*"); /* RFC 9112 §3.2.4 */
	else if (left == 0 || *target == '?')
		put_text(o, "/");
	put(o, target, left);
}

size_t proxy_rewrite(const char *data, const struct http_head *head, char ret[PROXY_HEAD_MAX])
{
	/* A field at least, or the empty line, follows each line; the head was found good. */
	const char *fields = (const char *)memchr(data, '\n', head->len) + 1;
	const char *end = data + head->len - 2;
	char host[REFUSAL_HOST_MAX];
	struct out o = { .p = ret };

	put_text(&o, head->method);
	put_text(&o, " ");
	put_target(&o, data, head);
	put_text(&o, head->minor ? " HTTP/1.1\r\nHost: " : " HTTP/1.0\r\nHost: ");
	refusal_host(&head->host, head->port == 80 ? 0 : head->port, host);
	put_text(&o, host);
	put_text(&o, "\r\n");
	for (const char *line = fields, *next; line < end; line = next) {
		next = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1;
		if (is_kept(fields, end, line, strcspn(line, ":")))
			put(&o, line, (size_t)(next - line));
	}
	put_text(&o, "Connection: close\r\n\r\n");
	return o.full ? 0 : o.len;
}
