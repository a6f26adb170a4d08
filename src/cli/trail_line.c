/* SPDX-License-Identifier: Apache-2.0 */
/* One line of a trail: checked, and for people. See trail_reader.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/dirs.h"
#include "cli/trail_reader.h"

static bool digits(const char *s, int count, unsigned *ret)
{
	*ret = 0;
	for (int i = 0; i < count; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		*ret = *ret * 10 + (unsigned)(s[i] - '0');
	}
	return true;
}

/* "Z" or "+01:00", to the end. */
static bool parse_offset(const char *s, int *seconds)
{
	unsigned hours, minutes;

	*seconds = 0;
	if (streq(s, "Z") || streq(s, "z"))
		return true;
	if ((s[0] != '+' && s[0] != '-') || strlen(s) != 6 || !digits(s + 1, 2, &hours) ||
	    s[3] != ':' || !digits(s + 4, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*seconds = (int)(hours * 3600 + minutes * 60) * (s[0] == '-' ? -1 : 1);
	return true;
}

bool time_parse(const char *s, uint64_t *ns)
{
	unsigned year, month, day, hour, minute, second, fraction = 0, scale = 100000000;
	struct tm t;
	time_t seconds;
	int offset;

	if (strlen(s) < 20 || !digits(s, 4, &year) || s[4] != '-' || !digits(s + 5, 2, &month) ||
	    s[7] != '-' || !digits(s + 8, 2, &day) ||
	    (s[10] != 'T' && s[10] != 't' && s[10] != ' ') || !digits(s + 11, 2, &hour) ||
	    s[13] != ':' || !digits(s + 14, 2, &minute) || s[16] != ':' ||
	    !digits(s + 17, 2, &second))
		return false;
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 ||
	    minute > 59 || second > 60)
		return false;
	s += 19;
	if (*s == '.') {
		if (s[1] < '0' || s[1] > '9')
			return false;
		for (s++; *s >= '0' && *s <= '9'; s++, scale /= 10)
			fraction += (unsigned)(*s - '0') * scale;
	}
	if (!parse_offset(s, &offset))
		return false;
	t = (struct tm){ .tm_year = (int)year - 1900,
			 .tm_mon = (int)month - 1,
			 .tm_mday = (int)day,
			 .tm_hour = (int)hour,
			 .tm_min = (int)minute,
			 .tm_sec = (int)second };
	seconds = timegm(&t);
	if (t.tm_mday != (int)day || seconds - offset < 0)
		return false;
	*ns = (uint64_t)(seconds - offset) * 1000000000 + fraction;
	return true;
}

void time_format(uint64_t ns, char ret[TIME_TEXT])
{
	time_t s = (time_t)(ns / 1000000000);
	struct tm t = { 0 };
	size_t n;

	gmtime_r(&s, &t);
	n = strftime(ret, TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &t);
	snprintf(ret + n, TIME_TEXT - n, ".%03uZ", (unsigned)(ns / 1000000 % 1000));
}

int trail_default_path(char *ret, size_t size)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int n;

	if (geteuid() == 0)
		n = snprintf(ret, size, "/var/lib/purple/audit.jsonl");
	else if (state && state[0] == '/')
		n = snprintf(ret, size, "%s/purple/audit.jsonl", state);
	else if (home && home[0] == '/')
		n = snprintf(ret, size, "%s/.local/state/purple/audit.jsonl", home);
	else
		return -ENOENT;
	return n > 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}

static bool is_of_kind(const json_t *v, enum event_kind kind)
{
	if (kind == EK_TEXT)
		return json_is_string(v);
	if (kind == EK_U64)
		return json_is_integer(v) && json_integer_value(v) >= 0;
	if (kind == EK_I64)
		return json_is_integer(v);
	if (!json_is_array(v))
		return false;
	for (size_t i = 0; i < json_array_size(v); i++)
		if (!json_is_string(json_array_get(v, i)))
			return false;
	return true;
}

static const char *text_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static bool is_hash(const char *s)
{
	return s && strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

static const char *check(struct trail_line *l)
{
	const json_t *seq = json_object_get(l->fields, "seq");
	const char *severity = text_of(l->fields, "severity");

	if (!json_is_integer(seq) || json_integer_value(seq) < 0)
		return "no number";
	l->seq = (uint64_t)json_integer_value(seq);
	l->time = text_of(l->fields, "time");
	if (!l->time || !time_parse(l->time, &l->time_ns))
		return "no time";
	l->sandbox = text_of(l->fields, "sandbox");
	l->name = text_of(l->fields, "name");
	l->type = text_of(l->fields, "type");
	if (!l->sandbox || !l->name)
		return "no sandbox";
	if (!l->type)
		return "no type";
	l->known = event_type_find(l->type);
	l->severity = ES_SEVERITIES;
	for (int i = 0; severity && i < ES_SEVERITIES; i++)
		if (streq(severity, event_severity_names[i]))
			l->severity = (enum event_severity)i;
	if (l->severity == ES_SEVERITIES)
		return "no severity";
	if (!is_hash(text_of(l->fields, "prev")))
		return "no hash of the line before";
	/* Those of other types nobody asks for; else they are as if they were not there. */
	for (int i = 0; l->known >= 0 && i < event_table[l->known].fields_count; i++) {
		const struct event_field_info *f = &event_fields[event_table[l->known].fields[i]];
		const json_t *v = json_object_get(l->fields, f->name);

		if (v && !is_of_kind(v, f->kind))
			return "a field of the wrong kind";
	}
	return NULL;
}

const char *line_parse(struct trail_line *l, const char *text, size_t len)
{
	const char *wrong;
	json_error_t error;

	*l = (struct trail_line){ .known = -1 };
	l->fields = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!l->fields || !json_is_object(l->fields)) {
		line_free(l);
		return "not a JSON object";
	}
	wrong = check(l);
	if (wrong)
		line_free(l);
	return wrong;
}

void line_free(struct trail_line *l)
{
	json_decref(l->fields);
	l->fields = NULL;
}

const char *line_text(const struct trail_line *l, enum event_field f)
{
	return text_of(l->fields, event_fields[f].name);
}

uint64_t line_number(const struct trail_line *l, enum event_field f)
{
	return (uint64_t)json_integer_value(json_object_get(l->fields, event_fields[f].name));
}

static void put_part(struct buf *b, const char *s, size_t len)
{
	for (const char *end = s + len; s < end;) {
		const char *backslash = memchr(s, '\\', (size_t)(end - s));
		size_t n = (size_t)((backslash ? backslash : end) - s);

		event_escape(b, s, n, false);
		s += n;
		if (backslash) {
			buf_puts(b, "\\");
			s++;
		}
	}
}

void line_put(struct buf *b, const char *s)
{
	put_part(b, s, strlen(s));
}

void line_put_word(struct buf *b, const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "%+,-./:=@_^";

	if (*s && s[strspn(s, plain)] == '\0') {
		buf_puts(b, s);
		return;
	}
	buf_puts(b, "'");
	for (const char *quote; (quote = strchr(s, '\'')); s = quote + 1) {
		put_part(b, s, (size_t)(quote - s));
		buf_puts(b, "'\\''");
	}
	line_put(b, s);
	buf_puts(b, "'");
}

void line_put_value(struct buf *b, const json_t *value)
{
	if (json_is_string(value)) {
		line_put(b, json_string_value(value));
	} else if (json_is_integer(value)) {
		buf_printf(b, "%lld", (long long)json_integer_value(value));
	} else if (json_is_array(value)) {
		for (size_t i = 0; i < json_array_size(value); i++) {
			const char *s = json_string_value(json_array_get(value, i));

			buf_puts(b, i > 0 ? " " : "");
			line_put_word(b, s ? s : "");
		}
	} else {
		buf_puts(b, "-");
	}
}

/* What this Purple has no text for: its fields. */
static void describe_unknown(const struct trail_line *l, struct buf *b)
{
	static const char *const envelope[] = { "seq",	"time",	    "sandbox", "name",
						"type", "severity", "prev" };
	const char *separator = "", *key;
	json_t *value;

	json_object_foreach(l->fields, key, value)
	{
		bool skip = false;

		for (size_t i = 0; i < ARRAY_SIZE(envelope); i++)
			skip = skip || streq(key, envelope[i]);
		if (skip)
			continue;
		buf_puts(b, separator);
		line_put(b, key);
		buf_puts(b, "=");
		line_put_value(b, value);
		separator = " ";
	}
}

void line_describe(const struct trail_line *l, struct buf *b)
{
	const char *t, *brace;

	if (l->known < 0) {
		describe_unknown(l, b);
		return;
	}
	t = event_table[l->known].text;
	if (l->known == EV_PROCESS_EXEC && line_text(l, EF_ERROR))
		t = "could not execute {path} ({error}): {argv}";
	for (; (brace = strchr(t, '{')); t = strchr(brace, '}') + 1) {
		char name[32] = "";

		buf_add(b, t, (size_t)(brace - t));
		str_copy(name, MIN(sizeof(name), (size_t)(strchr(brace, '}') - brace)), brace + 1);
		line_put_value(b, json_object_get(l->fields, name));
	}
	buf_puts(b, t);
}
