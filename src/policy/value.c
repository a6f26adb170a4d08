/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "policy/check.h"
#include "policy/parse.h"

int policy_too_large(struct pos pos, struct diags *d)
{
	return diag_error(d, pos, "", "too large; a policy may take 16 MiB of memory");
}

bool node_is_null(const struct node *n)
{
	return n->kind == NODE_SCALAR && n->style == NODE_PLAIN &&
	       (streq(n->text, "") || streq(n->text, "~") || streq(n->text, "null"));
}

static bool is_bool(const char *s)
{
	return streq(s, "true") || streq(s, "false");
}

static bool is_number(const char *s)
{
	uint64_t v;

	if (*s == '-' || *s == '+')
		s++;
	return parse_u64(s, &v) != -EINVAL ||
	       (isdigit((unsigned char)*s) && s[strspn(s, "0123456789.eE")] == '\0');
}

const char *node_kind_text(const struct node *n)
{
	if (n->kind == NODE_LIST)
		return "a list";
	if (n->kind == NODE_MAP)
		return "a map";
	if (node_is_null(n))
		return "nothing";
	if (n->style == NODE_PLAIN && is_bool(n->text))
		return "true or false";
	if (n->style == NODE_PLAIN && is_number(n->text))
		return "a number";
	return "text";
}

static int wrong_type(const struct node *n, const char *path, const char *want, struct diags *d)
{
	return diag_error(d, n->pos, path, "%s is expected here, not %s", want, node_kind_text(n));
}

int value_text(struct arena *a, const struct node *n, const char *path, const char **ret,
	       struct diags *d)
{
	const char *s;

	if (n->kind != NODE_SCALAR || node_is_null(n))
		return wrong_type(n, path, "text", d);
	if (n->style == NODE_PLAIN && (is_bool(n->text) || is_number(n->text)))
		return diag_error(d, n->pos, path, "text is expected here; put quotes around %.64s",
				  n->text);
	s = arena_strdup(a, n->text);
	if (!s)
		return policy_too_large(n->pos, d);
	*ret = s;
	return 0;
}

int value_bool(const struct node *n, const char *path, bool *ret, struct diags *d)
{
	if (n->kind != NODE_SCALAR || n->style == NODE_QUOTED || !is_bool(n->text))
		return diag_error(d, n->pos, path, "true or false is expected here%s",
				  n->style == NODE_QUOTED ? ", without quotes" : "");
	*ret = n->text[0] == 't';
	return 0;
}

int value_u64(const struct node *n, const char *path, uint64_t max, uint64_t *ret, struct diags *d)
{
	uint64_t v = 0;
	int r;

	if (n->kind != NODE_SCALAR || node_is_null(n))
		return wrong_type(n, path, "a whole number", d);
	if (n->style == NODE_QUOTED)
		return diag_error(d, n->pos, path,
				  "a whole number is expected here, without quotes");
	if (n->text[0] == '0' && isdigit((unsigned char)n->text[1]))
		return diag_error(d, n->pos, path,
				  "%.64s starts with 0; write 0o… for octal, or leave the 0 out",
				  n->text);
	r = parse_u64(n->text, &v);
	if (r == -EINVAL)
		return diag_error(d, n->pos, path, "%.64s is not a whole number%s", n->text,
				  strstr(path, "_seconds") ? " of seconds" : "");
	if (r < 0 || v > max)
		return diag_error(d, n->pos, path, "%.64s is too large; the most is %llu", n->text,
				  (unsigned long long)max);
	*ret = v;
	return 0;
}

/* "1.5" at the start of @s, in thousandths; *end is behind it. */
static int parse_milli(const char *s, uint64_t *ret, const char **end)
{
	uint64_t v = 0, unit = 100;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	for (; isdigit((unsigned char)*s); s++)
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -ERANGE;
	if (__builtin_mul_overflow(v, (uint64_t)1000, &v))
		return -ERANGE;
	if (*s == '.') {
		if (!isdigit((unsigned char)*++s))
			return -EINVAL;
		for (; isdigit((unsigned char)*s); s++, unit /= 10) /* 0: beyond thousandths */
			if (__builtin_add_overflow(v, (uint64_t)(*s - '0') * unit, &v))
				return -ERANGE;
	}
	*ret = v;
	*end = s;
	return 0;
}

static const struct {
	const char *names[4];
	unsigned shift;
} size_units[] = {
	{ { "", "B", NULL, NULL }, 0 },	   { { "K", "k", "KB", "KiB" }, 10 },
	{ { "M", "m", "MB", "MiB" }, 20 }, { { "G", "g", "GB", "GiB" }, 30 },
	{ { "T", "t", "TB", "TiB" }, 40 },
};

static int unit_shift(const char *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(size_units); i++)
		for (size_t j = 0; j < ARRAY_SIZE(size_units[i].names); j++)
			if (size_units[i].names[j] && streq(size_units[i].names[j], s))
				return (int)size_units[i].shift;
	return -1;
}

/* "2G", "512MB", "64KiB", "1048576"; all units are powers of 1024. */
static int parse_size(const char *s, uint64_t *ret)
{
	const char *unit;
	uint64_t milli;
	int shift, r;

	if (parse_u64(s, ret) != -EINVAL)
		return parse_u64(s, ret);
	r = parse_milli(s, &milli, &unit);
	if (r < 0)
		return r;
	shift = unit_shift(unit);
	if (shift < 0 || (shift == 0 && milli % 1000 != 0))
		return -EINVAL;
	if (milli > (UINT64_MAX >> shift))
		return -ERANGE;
	*ret = (milli << shift) / 1000;
	return 0;
}

/* "50MBps", "50MB/s", a plain number. "Mbps" would be bits: refused. */
static int parse_rate(const char *s, uint64_t *ret)
{
	size_t n = strlen(s);
	char buf[64];

	if (n >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, s, n + 1);
	if (n > 2 && (streq(buf + n - 2, "ps") || streq(buf + n - 2, "/s"))) {
		if (buf[n - 3] != 'B')
			return -EINVAL;
		buf[n - 2] = '\0';
	}
	return parse_size(buf, ret);
}

static int parse_cores(const char *s, uint64_t *ret)
{
	const char *end;
	int r = parse_milli(s, ret, &end);

	return r < 0 ? r : *end == '\0' ? 0 : -EINVAL;
}

/* A bound as one would write it. */
static void format_number(const struct policy_key *k, uint64_t v, char *buf, size_t size)
{
	static const char units[] = "\0KMGT";
	unsigned i = 0;

	if (k->type == KEY_CORES) {
		snprintf(buf, size, v % 1000 ? "%llu.%02llu" : "%llu", (unsigned long long)v / 1000,
			 (unsigned long long)v % 1000 / 10);
		return;
	}
	if (k->type != KEY_COUNT)
		for (; i < 4 && v >= 1024 && v % 1024 == 0; i++)
			v /= 1024;
	snprintf(buf, size, "%llu%.1s%s", (unsigned long long)v, units + i,
		 k->type == KEY_RATE ? "Bps" : "");
}

void policy_key_range(const struct policy_key *k, char *buf, size_t size)
{
	char low[32], high[32];

	buf[0] = '\0';
	if (k->max == 0)
		return;
	format_number(k, k->min, low, sizeof(low));
	format_number(k, k->max, high, sizeof(high));
	snprintf(buf, size, "%s to %s", low, high);
}

static int value_number(struct policy_num *to, const struct policy_key *k, const char *path,
			const struct node *n, struct diags *d)
{
	char range[80];
	uint64_t v = 0;
	int r;

	if (n->kind != NODE_SCALAR || node_is_null(n))
		return wrong_type(n, path, policy_key_type_text(k), d);
	if (k->type == KEY_COUNT) {
		/* What is too large for 64 bits is out of the key's range, as less is. */
		r = n->style != NODE_QUOTED ? parse_u64(n->text, &v) : 0;
		if (r != -ERANGE && value_u64(n, path, UINT64_MAX, &v, d) < 0)
			return -EINVAL;
	} else if (k->type == KEY_CORES) {
		r = n->style == NODE_QUOTED ? -EINVAL : parse_cores(n->text, &v);
	} else {
		r = k->type == KEY_SIZE ? parse_size(n->text, &v) : parse_rate(n->text, &v);
	}
	if (r == -EINVAL)
		return diag_error(
			d, n->pos, path, "%.64s: %s is expected here%s", n->text,
			policy_key_type_text(k),
			k->type == KEY_CORES && n->style == NODE_QUOTED ? ", without quotes" : "");
	if (r < 0 || v < k->min || v > k->max) {
		policy_key_range(k, range, sizeof(range));
		return diag_error(d, n->pos, path, "%.64s is out of range; write %s", n->text,
				  range);
	}
	*to = (struct policy_num){ .v = v, .set = true, .pos = n->pos };
	return 0;
}

static int value_enum(int *to, const struct policy_key *k, const char *path, const struct node *n,
		      struct diags *d)
{
	char all[160] = "";
	const char *near;
	int i;

	for (i = 0; k->names[i]; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? ", " : "",
			 k->names[i]);
	if (n->kind != NODE_SCALAR || node_is_null(n))
		return diag_error(d, n->pos, path, "one of %s is expected here, not %s", all,
				  node_kind_text(n));
	i = names_index(k->names, n->text);
	if (i >= 0) {
		*to = i;
		return 0;
	}
	near = names_nearest(k->names, n->text);
	if (near)
		return diag_error(d, n->pos, path, "%.64s is unknown; did you mean %s?", n->text,
				  near);
	return diag_error(d, n->pos, path, "%.64s is unknown; write one of %s", n->text, all);
}

static int value_path(struct policy *p, const char *path, const struct node *n, const char **ret,
		      struct diags *d)
{
	struct check_why why = { "" };
	const char *s = NULL;

	if (node_is_null(n))
		return diag_error(d, n->pos, path,
				  "a path is expected here; write ~/ for the home directory");
	if (value_text(&p->arena, n, path, &s, d) < 0)
		return -EINVAL;
	if (check_path(&p->arena, s, ret, &why) < 0)
		return diag_error(d, n->pos, path, "%s", why.text);
	*ret = s;
	return 0;
}

int value_scalar(struct policy *p, const struct policy_key *k, const char *path,
		 const struct node *n, struct diags *d)
{
	void *field = (char *)p + k->offset;
	struct policy_str *str = field;
	const char *s = NULL;
	int r;

	switch ((enum key_type)k->type) {
	case KEY_BOOL:
		return value_bool(n, path, field, d);
	case KEY_ENUM:
		return value_enum(field, k, path, n, d);
	case KEY_TEXT:
	case KEY_PATH:
		r = k->type == KEY_PATH ? value_path(p, path, n, &s, d)
					: value_text(&p->arena, n, path, &s, d);
		if (r == 0)
			*str = (struct policy_str){ .s = s, .pos = n->pos };
		return r;
	case KEY_COUNT:
	case KEY_SIZE:
	case KEY_RATE:
	case KEY_CORES:
		return value_number(field, k, path, n, d);
	case KEY_EXTENDS:
		return value_text(&p->arena, n, path, &s, d);
	default:
		return -EINVAL;
	}
}
