/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/line_filter.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

int moment_parse(const char *s, uint64_t now_ns, uint64_t *ns)
{
	static const struct {
		char letter;
		uint64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 } };
	char number[20], day[32];
	size_t n = strspn(s, "0123456789");
	uint64_t count;

	if (time_parse(s, ns))
		return 0;
	if (strlen(s) == 10) {
		snprintf(day, sizeof(day), "%sT00:00:00Z", s);
		return time_parse(day, ns) ? 0 : -EINVAL;
	}
	if (n == 0 || n > 9 || !s[n] || (s[n + 1] != '\0' && !streq(s + n + 1, " ago")))
		return -EINVAL;
	str_copy(number, n + 1, s);
	if (parse_u64(number, &count) < 0)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (units[i].letter == s[n]) {
			count *= units[i].seconds * 1000000000;
			*ns = count < now_ns ? now_ns - count : 0;
			return 0;
		}
	return -EINVAL;
}

/* Is @type one of the words of @list, which are separated by commas and may be globs? */
static bool in_list(const char *list, const char *type)
{
	while (*list) {
		size_t n = strcspn(list, ",");
		char word[64];

		if (n < sizeof(word)) {
			str_copy(word, n + 1, list);
			if (fnmatch(word, type, 0) == 0)
				return true;
		}
		list += n + (list[n] == ',');
	}
	return false;
}

/* Every word fits a type that there is. */
static int check_types(const char *list, struct err *e)
{
	while (*list) {
		size_t n = strcspn(list, ",");
		const char *best = event_table[0].name;
		bool found = false;
		char word[64];

		str_copy(word, MIN(n + 1, sizeof(word)), list);
		for (int i = 0; i < EVENT_TYPES; i++) {
			found = found || fnmatch(word, event_table[i].name, 0) == 0;
			if (str_distance(word, event_table[i].name) < str_distance(word, best))
				best = event_table[i].name;
		}
		if (!found) {
			err_set(e, EPROTO, "usage", "there is no type of event %s", word);
			err_remedy(e, "did you mean %s? `purple audit show --help` lists the types",
				   best);
			return -EPROTO;
		}
		list += n + (list[n] == ',');
	}
	return 0;
}

static int check_moment(const char *option, const char *s, uint64_t now, uint64_t *ns,
			struct err *e)
{
	if (!s || moment_parse(s, now, ns) == 0)
		return 0;
	err_set(e, EPROTO, "usage", "%s: %.60s is no time", option, s);
	err_remedy(e, "2026-11-24T18:49:53Z, 2026-11-24 or how long ago: 30s, 10m, 2h, 1d");
	return -EPROTO;
}

int line_filter_init(struct line_filter *f, struct err *e)
{
	struct timespec now;
	uint64_t now_ns;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	f->until_ns = UINT64_MAX;
	if (f->types)
		r = check_types(f->types, e);
	if (r == 0)
		r = check_moment("--since", f->since, now_ns, &f->since_ns, e);
	if (r == 0)
		r = check_moment("--until", f->until, now_ns, &f->until_ns, e);
	if (r < 0 || !f->severity)
		return r;
	for (int i = 0; i < ES_SEVERITIES; i++)
		if (streq(f->severity, event_severity_names[i])) {
			f->least = (enum event_severity)i;
			return 0;
		}
	err_set(e, EPROTO, "usage", "there is no severity %.40s", f->severity);
	err_remedy(e, "one of info, notice, warning, error: that and what is graver");
	return -EPROTO;
}

static bool has_text(const struct trail_line *l, const char *text)
{
	_cleanup_buf_ struct buf b = BUF_INIT(4 * EVENT_LINE_MAX);
	const char *key;
	json_t *value;

	line_describe(l, &b);
	buf_puts(&b, "\n");
	json_object_foreach(l->fields, key, value)
	{
		line_put_value(&b, value);
		buf_puts(&b, "\n");
	}
	return b.data && strstr(b.data, text);
}

bool line_filter_match(const struct line_filter *f, const struct trail_line *l)
{
	return l->time_ns >= f->since_ns && l->time_ns <= f->until_ns && l->severity >= f->least &&
	       (!f->sandbox || streq(f->sandbox, l->sandbox) || streq(f->sandbox, l->name)) &&
	       (!f->types || in_list(f->types, l->type)) && (!f->grep || has_text(l, f->grep));
}
