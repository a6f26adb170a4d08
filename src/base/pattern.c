/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pattern.h"

#include <errno.h>
#include <string.h>

/* What a part of a pattern or of a path is: [at, end). */
struct part {
	const char *at, *end;
};

static bool is_text(struct part s, const char *text)
{
	size_t n = strlen(text);

	return (size_t)(s.end - s.at) == n && memcmp(s.at, text, n) == 0;
}

/* The component that starts at @at; the next starts behind its end. */
static struct part component(const char *at, const char *end)
{
	const char *slash = memchr(at, '/', (size_t)(end - at));

	return (struct part){ at, slash ? slash : end };
}

static const char *behind(struct part s, const char *end)
{
	return s.end < end ? s.end + 1 : end;
}

/* One character of a set, which may be quoted; moves behind it. @at < @end, as was checked. */
static unsigned char set_char(const char **at, const char *end)
{
	if (**at == '\\' && *at + 1 < end)
		++*at;
	return (unsigned char)*(*at)++;
}

/* The end of the set that starts with the '[' at @at, behind its ']'; NULL: it has none. */
static const char *set_end(const char *at, const char *end)
{
	at++;
	at += at < end && (*at == '!' || *at == '^');
	if (at < end && *at == ']')
		at++;
	while (at < end && *at != ']')
		at += *at == '\\' ? 2 : 1;
	return at < end ? at + 1 : NULL;
}

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
}

static unsigned char upper(unsigned char c)
{
	return c >= 'a' && c <= 'z' ? (unsigned char)(c - ('a' - 'A')) : c;
}

static bool in_range(const struct path_pattern *p, unsigned char low, unsigned char high,
		     unsigned char c)
{
	unsigned char a = lower(c), b = upper(c);

	return (c >= low && c <= high) ||
	       (p->fold && ((a >= low && a <= high) || (b >= low && b <= high)));
}

/* Is @c in the set that starts at @at and ends, behind its ']', at @end? */
static bool in_set(const struct path_pattern *p, const char *at, const char *end, unsigned char c)
{
	bool negated = at[1] == '!' || at[1] == '^', found = false;

	at += negated ? 2 : 1;
	end--;
	do {
		unsigned char low = set_char(&at, end), high = low;

		if (at + 1 < end && *at == '-') {
			at++;
			high = set_char(&at, end);
		}
		found |= in_range(p, low, high, c);
	} while (at < end);
	return found != negated;
}

/* One character of a pattern that is no '*', at *@at: does it match @c? Moves behind it. */
static bool match_char(const struct path_pattern *p, const char **at, const char *end, char c)
{
	const char *start = *at;

	if (*start == '?' || *start == '[') {
		*at = *start == '[' ? set_end(start, end) : start + 1;
		return *start == '?' || in_set(p, start, *at, (unsigned char)c);
	}
	start += *start == '\\';
	*at = start + 1;
	return p->fold ? lower((unsigned char)*start) == lower((unsigned char)c) : *start == c;
}

/* Going back to the last '*' is enough: what an earlier one took more, the last one can take. */
static bool match_component(const struct path_pattern *p, struct part want, struct part have)
{
	const char *star = NULL, *resume = NULL;

	while (have.at < have.end) {
		const char *next = want.at;

		if (want.at < want.end && *want.at == '*') {
			star = ++want.at;
			resume = have.at;
		} else if (want.at < want.end && match_char(p, &next, want.end, *have.at)) {
			want.at = next;
			have.at++;
		} else if (star) {
			want.at = star;
			have.at = ++resume;
		} else {
			return false;
		}
	}
	while (want.at < want.end && *want.at == '*')
		want.at++;
	return want.at == want.end;
}

/* The same over components, with "**" for the '*'. */
static bool match_anchored(const struct path_pattern *p, struct part have)
{
	const char *end = p->text + p->len, *at = p->text, *star = NULL, *resume = NULL;

	while (have.at < have.end) {
		struct part want = component(at, end), name = component(have.at, have.end);

		if (at < end && is_text(want, "**")) {
			if (want.end == end)
				return true;
			star = at = behind(want, end);
			resume = have.at;
		} else if (at < end && match_component(p, want, name)) {
			at = behind(want, end);
			have.at = behind(name, have.end);
		} else if (star) {
			resume = behind(component(resume, have.end), have.end);
			have.at = resume;
			at = star;
		} else {
			return false;
		}
	}
	return at == end;
}

static bool match(const struct path_pattern *p, struct part path, bool is_dir)
{
	const char *slash;

	if (path.at == path.end || (p->dirs && !is_dir))
		return false;
	if (p->anchored)
		return match_anchored(p, path);
	slash = memrchr(path.at, '/', (size_t)(path.end - path.at));
	if (slash)
		path.at = slash + 1;
	return match_component(p, (struct part){ p->text, p->text + p->len }, path);
}

bool path_pattern_match(const struct path_pattern *p, const char *path, bool is_dir)
{
	return match(p, (struct part){ path, path + strlen(path) }, is_dir);
}

bool path_pattern_covers(const struct path_pattern *p, const char *path, bool is_dir)
{
	for (const char *s = path; (s = strchr(s, '/')); s++)
		if (match(p, (struct part){ path, s }, true))
			return true;
	return path_pattern_match(p, path, is_dir);
}

static const char *check_set(const char *at, const char *end)
{
	at += at + 1 < end && (at[1] == '!' || at[1] == '^') ? 2 : 1;
	end--;
	do {
		unsigned char low, high;

		if (end - at > 1 && at[0] == '[' && strchr(":.=", at[1]))
			return "classes as [:alpha:] are not known here; write [a-zA-Z]";
		low = high = set_char(&at, end);
		if (at + 1 < end && *at == '-') {
			at++;
			high = set_char(&at, end);
		}
		if (low > high)
			return "the range in [] is upside down";
	} while (at < end);
	return NULL;
}

static const char *check_component(struct part s)
{
	if (s.at == s.end)
		return "there is nothing between two '/'";
	if (is_text(s, ".") || is_text(s, ".."))
		return "'.' and '..' are not possible in it";
	while (s.at < s.end) {
		const char *why = NULL, *close = s.at + 1;

		if (*s.at == '\\' && close++ == s.end)
			return "there is nothing behind the '\\'";
		if (*s.at == '[') {
			close = set_end(s.at, s.end);
			why = close ? check_set(s.at, close) : "a '[' without its ']'";
		}
		if (why)
			return why;
		s.at = close;
	}
	return NULL;
}

static const char *check(const struct path_pattern *p)
{
	const char *at = p->text, *end = p->text + p->len, *why = NULL;

	if (at == end)
		return "it is empty";
	if (end[-1] == '/')
		return "there is nothing between two '/'";
	if (*at == '!')
		return "a '!' that takes names out again is not known here; a name is \\!…";
	while (at < end && !why) {
		struct part s = component(at, end);

		why = check_component(s);
		at = behind(s, end);
	}
	return why;
}

int path_pattern_compile(struct path_pattern *p, const char *text, const char **why)
{
	size_t n = strlen(text), skip = text[0] == '/' ? 1 : strncmp(text, "./", 2) == 0 ? 2 : 0;
	const char *wrong;

	*p = (struct path_pattern){ .text = text + skip, .len = n - skip };
	p->dirs = p->len > 0 && p->text[p->len - 1] == '/';
	p->len -= p->dirs;
	p->anchored = skip > 0 || memchr(p->text, '/', p->len);
	wrong = n > PATH_PATTERN_MAX ? "it is longer than 255 bytes" : check(p);
	if (why)
		*why = wrong;
	return wrong ? -EINVAL : 0;
}
