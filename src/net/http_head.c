/* SPDX-License-Identifier: Apache-2.0 */
/* What a whole head says. That there is no control character in it is known. */
#include "net/http_internal.h"

#include <string.h>
#include <strings.h>

#include "base/macros.h"

struct text {
	const char *p;
	size_t len;
};

/* What the fields say before they are held against each other. */
struct fields {
	unsigned count, hosts, lengths, codings;
	struct host host;
	uint16_t port;
};

static bool text_is(struct text t, const char *s)
{
	return t.len == strlen(s) && strncasecmp(t.p, s, t.len) == 0;
}

/* The part of *t before @c, or all; *t becomes what is behind. */
static struct text cut(struct text *t, char c)
{
	const char *end = t->len > 0 ? memchr(t->p, c, t->len) : NULL;
	struct text part = { t->p, end ? (size_t)(end - t->p) : t->len };
	size_t taken = part.len + (end ? 1 : 0);

	t->p += taken;
	t->len -= taken;
	return part;
}

/* Without optional white space, RFC 9110 §5.6.3. */
static struct text trim(struct text t)
{
	while (t.len > 0 && (*t.p == ' ' || *t.p == '\t')) {
		t.p++;
		t.len--;
	}
	while (t.len > 0 && (t.p[t.len - 1] == ' ' || t.p[t.len - 1] == '\t'))
		t.len--;
	return t;
}

static bool all_tokens(struct text t)
{
	for (size_t i = 0; i < t.len; i++)
		if (!http_is_token(t.p[i]))
			return false;
	return t.len > 0;
}

/* RFC 9112 §3.2.2; "http" alone, for what speaks TLS says a hello. */
static enum http_result parse_absolute(struct text t, struct http_head *ret)
{
	static const char scheme[] = "http://";
	size_t n = sizeof(scheme) - 1, end;

	if (t.len < n || strncasecmp(t.p, scheme, n) != 0)
		return http_bad(ret, 400, "a target that is neither a path nor an http URL");
	for (end = n; end < t.len && t.p[end] != '/' && t.p[end] != '?'; end++)
		;
	if (host_parse_authority(t.p + n, end - n, &ret->host, &ret->port) < 0)
		return http_bad(ret, 400, "a target whose host is not one");
	ret->form = HTTP_ABSOLUTE;
	ret->has_host = true;
	return HTTP_DONE;
}

static enum http_result parse_target(struct text t, struct http_head *ret)
{
	for (size_t i = 0; i < t.len; i++)
		if (t.p[i] < '!' || t.p[i] > '~' || t.p[i] == '#')
			return http_bad(ret, 400, "a target with other characters than a URL's");
	if (strcmp(ret->method, "CONNECT") == 0) {
		if (host_parse_authority(t.p, t.len, &ret->host, &ret->port) < 0 || ret->port == 0)
			return http_bad(ret, 400, "CONNECT takes a host and a port");
		ret->form = HTTP_AUTHORITY;
		ret->has_host = true;
		return HTTP_DONE;
	}
	if (t.len > 0 && t.p[0] == '/')
		return HTTP_DONE;
	if (t.len == 1 && t.p[0] == '*' && strcmp(ret->method, "OPTIONS") == 0) {
		ret->form = HTTP_ASTERISK;
		return HTTP_DONE;
	}
	return parse_absolute(t, ret);
}

static enum http_result parse_version(struct text t, struct http_head *ret)
{
	if (t.len == 8 && memcmp(t.p, "HTTP/1.", 7) == 0 && (t.p[7] == '0' || t.p[7] == '1')) {
		ret->minor = (unsigned)(t.p[7] - '0');
		return HTTP_DONE;
	}
	return http_bad(ret, t.len == 8 && memcmp(t.p, "HTTP/", 5) == 0 ? 505 : 400,
			"not HTTP/1.0 or HTTP/1.1");
}

enum http_result http_parse_request_line(const char *line, size_t len, struct http_head *ret)
{
	struct text rest = { line, len }, method = cut(&rest, ' '), target = cut(&rest, ' ');

	*ret = (struct http_head){ .status = 0 };
	if (!all_tokens(method))
		return http_bad(ret, 400, "a method that is not one");
	if (method.len > HTTP_METHOD_MAX)
		return http_bad(ret, 501, "a method of more than 32 characters");
	memcpy(ret->method, method.p, method.len);
	ret->target = (size_t)(target.p - line);
	ret->target_len = target.len;
	if (parse_version(rest, ret) == HTTP_BAD)
		return HTTP_BAD;
	return parse_target(target, ret);
}

static enum http_result read_host(struct text value, struct fields *f, struct http_head *ret)
{
	if (f->hosts++ > 0)
		return http_bad(ret, 400, "more than one Host");
	if (host_parse_authority(value.p, value.len, &f->host, &f->port) < 0)
		return http_bad(ret, 400, "a Host that is not one");
	return HTTP_DONE;
}

static enum http_result read_length(struct text value, struct fields *f, struct http_head *ret)
{
	if (f->lengths++ > 0)
		return http_bad(ret, 400, "more than one Content-Length");
	if (value.len == 0 || value.len > 18)
		return http_bad(ret, 400, "a Content-Length that is not one");
	for (size_t i = 0; i < value.len; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return http_bad(ret, 400, "a Content-Length that is not one");
		ret->length = ret->length * 10 + (uint64_t)(value.p[i] - '0');
	}
	ret->body = HTTP_LENGTH;
	return HTTP_DONE;
}

static enum http_result read_coding(struct text value, struct fields *f, struct http_head *ret)
{
	if (f->codings++ > 0)
		return http_bad(ret, 400, "more than one Transfer-Encoding");
	if (!text_is(value, "chunked"))
		return http_bad(ret, 501, "a Transfer-Encoding other than chunked");
	ret->body = HTTP_CHUNKED;
	return HTTP_DONE;
}

static enum http_result read_field(struct text line, struct fields *f, struct http_head *ret)
{
	struct text value = line, name = cut(&value, ':'), option;

	if (name.len == line.len)
		return http_bad(ret, 400, "a field without a colon");
	if (!all_tokens(name))
		return http_bad(ret, 400, "a field whose name is not one");
	if (f->count++ == HTTP_FIELDS_MAX)
		return http_bad(ret, 431, "too many fields");
	value = trim(value);
	if (text_is(name, "Host"))
		return read_host(value, f, ret);
	if (text_is(name, "Content-Length"))
		return read_length(value, f, ret);
	if (text_is(name, "Transfer-Encoding"))
		return read_coding(value, f, ret);
	if (text_is(name, "Upgrade"))
		ret->upgrade = true;
	while (text_is(name, "Connection") && value.len > 0) {
		option = trim(cut(&value, ','));
		ret->close |= text_is(option, "close");
		ret->upgrade |= text_is(option, "upgrade");
	}
	return HTTP_DONE;
}

/* Do Host and the target name the same? With CONNECT, Host may leave out the port. */
static bool hosts_agree(const struct fields *f, const struct http_head *head)
{
	uint16_t port = f->port, target = head->port;

	if (head->form == HTTP_AUTHORITY) {
		port = port ? port : target;
	} else {
		port = port ? port : 80;
		target = target ? target : 80;
	}
	return host_equal(&f->host, &head->host) && port == target;
}

static enum http_result hold_together(const struct fields *f, bool replaces_host,
				      struct http_head *ret)
{
	bool replaced = replaces_host && ret->form == HTTP_ABSOLUTE;

	if (f->hosts == 0 && ret->minor > 0)
		return http_bad(ret, 400, "no Host");
	if (f->hosts > 0 && ret->has_host && !replaced && !hosts_agree(f, ret))
		return http_bad(ret, 400, "a Host other than the target's");
	if (f->lengths > 0 && f->codings > 0)
		return http_bad(ret, 400, "both Content-Length and Transfer-Encoding");
	if (f->codings > 0 && ret->minor == 0)
		return http_bad(ret, 400, "Transfer-Encoding in HTTP/1.0");
	if (ret->body != HTTP_NO_BODY && ret->form == HTTP_AUTHORITY)
		return http_bad(ret, 400, "CONNECT with a body");
	if (f->hosts > 0 && !ret->has_host) {
		ret->host = f->host;
		ret->port = f->port;
		ret->has_host = true;
	}
	ret->close |= ret->minor == 0;
	return HTTP_DONE;
}

enum http_result http_parse_fields(const char *data, size_t len, bool replaces_host,
				   struct http_head *ret)
{
	/* Without the empty line. The request line was found good; this fills @ret again. */
	struct text rest = { data, len - 2 }, line = cut(&rest, '\n');
	struct fields f = { .count = 0 };

	if (http_parse_request_line(line.p, line.len - 1, ret) == HTTP_BAD)
		return HTTP_BAD;
	while (rest.len > 0) {
		line = cut(&rest, '\n');
		line.len--; /* the CR */
		if (read_field(line, &f, ret) == HTTP_BAD)
			return HTTP_BAD;
	}
	ret->len = len;
	return hold_together(&f, replaces_host, ret);
}
