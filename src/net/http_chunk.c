/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_chunk.h"

#include <string.h>
#include <strings.h>

#include "base/macros.h"
#include "net/http_internal.h"

enum { SIZE_DIGITS = 15 }; /* with its line it fits 64 bits many times over */

static enum http_result bad(unsigned *status, unsigned code)
{
	*status = code;
	return HTTP_BAD;
}

/* The line at @data, of *size bytes without its CR LF. */
static enum http_result read_line(const char *data, size_t len, size_t *size, unsigned *status)
{
	for (size_t i = 0; i < MIN(len, (size_t)HTTP_LINE_MAX); i++) {
		unsigned char c = (unsigned char)data[i];

		if (c == '\n') {
			*size = i - 1;
			return i > 0 && data[i - 1] == '\r' ? HTTP_DONE : bad(status, 400);
		}
		if ((i > 0 && data[i - 1] == '\r') || (c < ' ' && c != '\t' && c != '\r') ||
		    c == 0x7f)
			return bad(status, 400);
	}
	return len < HTTP_LINE_MAX ? HTTP_MORE : bad(status, 431);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* chunk-size [ chunk-ext ]; what an extension says nobody has to know. */
static bool parse_size(const char *line, size_t len, uint64_t *ret)
{
	size_t i = 0;

	for (*ret = 0; i < len && i < SIZE_DIGITS && digit(line[i]) >= 0; i++)
		*ret = *ret << 4 | (uint64_t)digit(line[i]);
	return i > 0 && (i == len || line[i] == ';');
}

static bool name_is(const char *line, size_t len, const char *name)
{
	return len == strlen(name) && strncasecmp(line, name, len) == 0;
}

static bool is_trailer(const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	size_t size = colon ? (size_t)(colon - line) : 0;

	for (size_t i = 0; i < size; i++)
		if (!http_is_token(line[i]))
			return false;
	return size > 0 && !name_is(line, size, "Host") && !name_is(line, size, "Content-Length") &&
	       !name_is(line, size, "Transfer-Encoding");
}

static enum http_result read_size(struct http_chunks *c, const char *data, size_t len,
				  uint64_t *pass, unsigned *status)
{
	size_t before = c->phase == HTTP_NEXT_SIZE ? 2 : 0, size;
	enum http_result r;
	uint64_t n;

	if (before > 0 && len > 0 && memcmp(data, "\r\n", MIN(len, before)) != 0)
		return bad(status, 400);
	if (len < before)
		return HTTP_MORE;
	r = read_line(data + before, len - before, &size, status);
	if (r != HTTP_DONE)
		return r;
	if (!parse_size(data + before, size, &n))
		return bad(status, 400);
	*pass = before + size + 2 + n;
	c->phase = n > 0 ? HTTP_NEXT_SIZE : HTTP_TRAILER;
	return HTTP_DONE;
}

enum http_result http_chunk(struct http_chunks *c, const char *data, size_t len, uint64_t *pass,
			    unsigned *status)
{
	enum http_result r;
	size_t size;

	*pass = 0;
	if (c->phase == HTTP_FIRST_SIZE || c->phase == HTTP_NEXT_SIZE)
		return read_size(c, data, len, pass, status);
	if (c->phase == HTTP_BODY_END)
		return bad(status, 400);
	r = read_line(data, len, &size, status);
	if (r != HTTP_DONE)
		return r;
	if (size > 0 && !is_trailer(data, size))
		return bad(status, 400);
	if (size > 0 && c->fields++ == HTTP_FIELDS_MAX)
		return bad(status, 431);
	if (size == 0)
		c->phase = HTTP_BODY_END;
	*pass = size + 2;
	return HTTP_DONE;
}
