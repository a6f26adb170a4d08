/* SPDX-License-Identifier: Apache-2.0 */
/* An event as a line of JSON. Hot: no printf per character. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "event/event.h"
#include "sys/clock.h"

#define ELLIPSIS "\xe2\x80\xa6"

static const char digits[] = "0123456789abcdef";

/* How many bytes of well-formed UTF-8 are at @s, within @len; RFC 3629. 0: none. */
static size_t sequence(const unsigned char *s, size_t len)
{
	char copy[5] = { 0 };

	memcpy(copy, s, MIN(len, (size_t)4));
	return utf8_len(copy);
}

/* Is it a character that a reader's screen would obey rather than show? */
static bool is_unsafe(const unsigned char *s, size_t n)
{
	if (n == 1)
		return s[0] < 0x20 || s[0] == 0x7f;
	if (n == 2) /* C1; U+061C */
		return (s[0] == 0xc2 && s[1] < 0xa0) || (s[0] == 0xd8 && s[1] == 0x9c);
	if (n == 3 && s[0] == 0xe2 && s[1] == 0x80) /* U+200E, U+200F, U+2028 to U+202E */
		return s[2] == 0x8e || s[2] == 0x8f || (s[2] >= 0xa8 && s[2] <= 0xae);
	return n == 3 && s[0] == 0xe2 && s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9;
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void escape_byte(struct buf *b, unsigned char c, bool json)
{
	const char out[] = { '\\', '\\', 'x', digits[c >> 4], digits[c & 15] };

	buf_add(b, json ? out : out + 1, json ? 5 : 4);
}

void event_escape(struct buf *b, const void *data, size_t len, bool json)
{
	const unsigned char *s = data, *end = s + len;

	while (s < end) {
		const unsigned char *from = s;
		size_t n;

		while (s < end && is_plain(*s))
			s++;
		buf_add(b, from, (size_t)(s - from));
		if (s == end)
			break;
		n = *s ? sequence(s, (size_t)(end - s)) : 0;
		if (*s == '"') {
			buf_puts(b, json ? "\\\"" : "\"");
			s++;
		} else if (*s == '\\') {
			buf_add(b, "\\\\\\\\", json ? 4 : 2);
			s++;
		} else if (n == 0) {
			escape_byte(b, *s++, json);
		} else if (is_unsafe(s, n)) {
			while (n-- > 0)
				escape_byte(b, *s++, json);
		} else {
			buf_add(b, s, n);
			s += n;
		}
	}
}

bool event_is_printable(const void *data, size_t len)
{
	const unsigned char *s = data, *end = s + len;

	for (size_t n; s < end; s += n) {
		n = *s ? sequence(s, (size_t)(end - s)) : 0;
		if (n == 0 || is_unsafe(s, n))
			return false;
	}
	return true;
}

static int hex_value(char c)
{
	const char *p = c ? strchr(digits, c) : NULL;

	return p ? (int)(p - digits) : -1;
}

size_t event_unescape(char *s)
{
	char *to = s, *start = s;

	while (*s != '\0') {
		if (s[0] == '\\' && s[1] == '\\') {
			*to++ = '\\';
			s += 2;
		} else if (s[0] == '\\' && s[1] == 'x' && hex_value(s[2]) >= 0 &&
			   hex_value(s[3]) >= 0) {
			*to++ = (char)(hex_value(s[2]) << 4 | hex_value(s[3]));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
	return (size_t)(to - start);
}

/* Cut to @max; an escaped character of what is left may be cut in two, and is bytes then. */
static void add_text(struct buf *b, const char *data, size_t len, size_t max)
{
	event_escape(b, data, MIN(len, max), true);
	if (len > max)
		buf_puts(b, ELLIPSIS);
}

static void add_list(struct buf *b, const struct event_value *v)
{
	const char *s = v->data;
	size_t left = MIN(v->len, (size_t)EVENT_LIST_MAX);
	bool first = true;

	buf_puts(b, "[");
	while (left > 0) {
		size_t n = strnlen(s, left);

		buf_puts(b, first ? "\"" : ",\"");
		event_escape(b, s, n, true);
		buf_puts(b, "\"");
		first = false;
		s += MIN(n + 1, left);
		left -= MIN(n + 1, left);
	}
	if (v->len > EVENT_LIST_MAX)
		buf_puts(b, ",\"" ELLIPSIS "\"");
	buf_puts(b, "]");
}

static void add_hex(struct buf *b, const struct event_value *v)
{
	const uint64_t *values = v->data;

	buf_puts(b, "[");
	for (size_t i = 0; i < v->len; i++)
		buf_printf(b, "%s\"0x%llx\"", i ? "," : "", (unsigned long long)values[i]);
	buf_puts(b, "]");
}

static void add_u64(struct buf *b, uint64_t n)
{
	char text[20], *p = text + sizeof(text);

	n = MIN(n, UINT64_C(1) << 53);
	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	buf_add(b, p, (size_t)(text + sizeof(text) - p));
}

static void add_value(struct buf *b, enum event_kind kind, const struct event_value *v)
{
	switch (kind) {
	case EK_TEXT:
		buf_puts(b, "\"");
		add_text(b, v->data, v->len, EVENT_TEXT_MAX);
		buf_puts(b, "\"");
		break;
	case EK_U64:
		add_u64(b, v->number);
		break;
	case EK_I64:
		buf_puts(b, (int64_t)v->number < 0 ? "-" : "");
		add_u64(b, (int64_t)v->number < 0 ? -v->number : v->number);
		break;
	case EK_LIST:
		add_list(b, v);
		break;
	case EK_HEX:
		add_hex(b, v);
		break;
	}
}

static void add_time(struct buf *b, uint64_t ns)
{
	char text[40];
	struct tm t;
	time_t s;

	if (ns == 0)
		ns = sys_clock_ns(CLOCK_REALTIME);
	s = (time_t)(ns / 1000000000);
	gmtime_r(&s, &t);
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%09uZ", t.tm_year + 1900,
		 t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec,
		 (unsigned)(ns % 1000000000));
	buf_puts(b, text);
}

void event_encode(const struct event *ev, const char *sandbox, const char *name, struct buf *b)
{
	const struct event_info *info = &event_table[ev->type];

	buf_puts(b, "\"time\":\"");
	add_time(b, ev->time_ns);
	buf_puts(b, "\",\"sandbox\":\"");
	event_escape(b, sandbox, strlen(sandbox), true);
	buf_puts(b, "\",\"name\":\"");
	event_escape(b, name, strlen(name), true);
	buf_puts(b, "\",\"type\":\"");
	buf_puts(b, info->name);
	buf_puts(b, "\",\"severity\":\"");
	buf_puts(b, event_severity_names[info->severity]);
	buf_puts(b, "\",");
	for (int i = 0; i < info->fields_count; i++) {
		const struct event_field_info *f = &event_fields[info->fields[i]];

		if (!(ev->set >> info->fields[i] & 1))
			continue;
		buf_puts(b, "\"");
		buf_puts(b, f->name);
		buf_puts(b, "\":");
		add_value(b, f->kind, &ev->values[i]);
		buf_puts(b, ",");
	}
}
