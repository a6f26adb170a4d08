/* SPDX-License-Identifier: Apache-2.0 */
/* Where the head ends, and that its bytes are such as may be there. */
#include "net/http.h"

#include <string.h>

#include "base/macros.h"
#include "net/http_internal.h"

/* A server may take these for blanks in the first line (RFC 9112 §3); we only recognise them. */
static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

bool http_is_token(char c)
{
	return is_letter(c) || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

enum http_result http_bad(struct http_head *ret, unsigned status, const char *why)
{
	*ret = (struct http_head){ .status = status, .why = why };
	return HTTP_BAD;
}

static void match_version(struct http_reader *r, char c)
{
	static const char word[] = "HTTP/";
	char upper = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;

	if (upper != word[r->matched])
		r->matched = 0;
	if (upper == word[r->matched])
		r->matched++;
	if (word[r->matched] == '\0') {
		r->has_version = true;
		r->matched = 0;
	}
}

/* The first line ends at the LF at @end. */
static enum http_result end_first_line(struct http_reader *r, const char *data, size_t end,
				       struct http_head *ret)
{
	if (!r->has_version && !(r->second == '/' && strncmp(data + r->line, "GET", 3) == 0 &&
				 is_blank(data[r->line + 3])))
		return HTTP_OTHER;
	if (!r->has_version)
		return http_bad(ret, 400, "HTTP/0.9");
	if (r->line != 0)
		return http_bad(ret, 400, "white space before the request line");
	if (data[end - 1] != '\r')
		return http_bad(ret, 400, "a bare LF");
	if (http_parse_request_line(data, end - 1, ret) == HTTP_BAD)
		return HTTP_BAD;
	*ret = (struct http_head){ .status = 0 }; /* until all of it is there */
	r->phase = HTTP_FIELDS;
	r->line = end + 1;
	return HTTP_MORE;
}

/* A method, then a path or a URL, so far: git's own protocol begins with a digit. */
static bool may_be_http(const struct http_reader *r, const char *data)
{
	return is_letter(data[r->line]) &&
	       (r->second == '/' || r->second == 'h' || r->second == 'H');
}

/* The byte at @i of the first line, which may be of another protocol. */
static enum http_result scan_first_line(struct http_reader *r, const char *data, size_t i,
					struct http_head *ret)
{
	char c = data[i];

	if (r->phase == HTTP_START) {
		if (is_blank(c) || c == '\n')
			return HTTP_MORE;
		r->line = i;
		r->phase = HTTP_METHOD;
		return http_is_token(c) ? HTTP_MORE : HTTP_OTHER;
	}
	if (c == '\n')
		return r->phase == HTTP_METHOD ? HTTP_OTHER : end_first_line(r, data, i, ret);
	if (is_control(c) && !is_blank(c))
		return r->has_version || may_be_http(r, data)
			       ? http_bad(ret, 400, "a control character")
			       : HTTP_OTHER;
	if (r->phase == HTTP_METHOD && is_blank(c)) {
		r->phase = HTTP_GAP;
	} else if (r->phase == HTTP_METHOD && !http_is_token(c)) {
		if ((unsigned char)c >= 0x80)
			return HTTP_OTHER;
		r->phase = HTTP_REST;
	} else if (r->phase == HTTP_GAP && !is_blank(c)) {
		r->second = c;
		r->phase = HTTP_REST;
	}
	if (r->phase == HTTP_REST)
		match_version(r, c);
	return HTTP_MORE;
}

/* The byte at @i of the fields. */
static enum http_result scan_field(struct http_reader *r, const char *data, size_t i,
				   struct http_head *ret)
{
	char c = data[i];
	bool after_cr = i > r->line && data[i - 1] == '\r';

	if (c == '\n') {
		if (!after_cr)
			return http_bad(ret, 400, "a bare LF");
		if (i - 1 == r->line)
			return http_parse_fields(data, i + 1, r->replaces_host, ret);
		r->line = i + 1;
		return HTTP_MORE;
	}
	if (after_cr)
		return http_bad(ret, 400, "a bare CR");
	if (i == r->line && (c == ' ' || c == '\t'))
		return http_bad(ret, 400, "a field over more than one line");
	if (is_control(c) && c != '\t' && c != '\r')
		return http_bad(ret, 400, "a control character");
	return HTTP_MORE;
}

/* As much as is held of it, and there is no end. */
static enum http_result over_limit(const struct http_reader *r, struct http_head *ret)
{
	if (r->phase == HTTP_METHOD)
		return HTTP_OTHER;
	return http_bad(ret, 431, "a head of more than 16 KiB");
}

enum http_result http_read(struct http_reader *r, const char *data, size_t len,
			   struct http_head *ret)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	size_t start = MIN(len, sizeof(preface) - 1);
	enum http_result result = HTTP_MORE;

	*ret = (struct http_head){ .status = 0 };
	if (r->scanned == 0 && (start == 0 || memcmp(data, preface, start) == 0))
		return start == sizeof(preface) - 1 ? HTTP_H2 : HTTP_MORE;
	for (; result == HTTP_MORE && r->scanned < MIN(len, (size_t)HTTP_HEAD_MAX); r->scanned++)
		result = r->phase == HTTP_FIELDS ? scan_field(r, data, r->scanned, ret)
						 : scan_first_line(r, data, r->scanned, ret);
	if (result == HTTP_MORE && len >= HTTP_HEAD_MAX)
		return over_limit(r, ret);
	return result;
}
