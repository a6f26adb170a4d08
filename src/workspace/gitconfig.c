/* SPDX-License-Identifier: Apache-2.0 */
#include "workspace/gitconfig.h"

#include <fnmatch.h>
#include <string.h>
#include <strings.h>

#include "base/macros.h"
#include "base/str.h"

enum { KEY_MAX = 256, TEXT_MAX = 1024 };

/* One setting: "section.key" or "section.sub.key"; section and key in lower case. */
struct setting {
	char section[KEY_MAX], key[64];
	char value[TEXT_MAX]; /* without the blanks around it and the quotes */
	const char *line;     /* where it stands: all that is between */
	size_t len;
};

struct reader {
	const char *at, *end;
	char section[KEY_MAX]; /* "core", or "remote.origin" */
	const char *fault;
};

enum kind { ANY, URL, WORKTREE, UPDATE };

/* Sections by fnmatch(3), whose '*' is the name in quotes; of each the keys. */
static const struct {
	const char *section;
	enum kind kind;
	const char *keys;
} harmless[] = {
	{ "core", ANY,
	  " repositoryformatversion filemode bare logallrefupdates ignorecase precomposeunicode "
	  "symlinks autocrlf eol safecrlf abbrev quotepath sparsecheckout sparsecheckoutcone "
	  "untrackedcache preloadindex splitindex commitgraph multipackindex compression "
	  "trustctime checkstat whitespace " },
	{ "core", WORKTREE, " worktree " },
	{ "extensions", ANY,
	  " objectformat worktreeconfig partialclone refstorage relativeworktrees "
	  "compatobjectformat preciousobjects " },
	{ "init", ANY, " defaultbranch " },
	{ "user", ANY, " name email useconfigonly " },
	{ "author", ANY, " name email " },
	{ "committer", ANY, " name email " },
	{ "branch.*", ANY,
	  " merge rebase description vscode-merge-base gh-merge-base gk-merge-base base " },
	{ "branch.*", URL, " remote pushremote " },
	{ "branch", ANY, " autosetupmerge autosetuprebase sort " },
	{ "remote.*", ANY,
	  " fetch push tagopt prune prunetags mirror skipdefaultupdate skipfetchall promisor "
	  "partialclonefilter gh-resolved followremotehead " },
	{ "remote.*", URL, " url pushurl " },
	{ "remote", ANY, " pushdefault " },
	{ "submodule.*", ANY, " active branch ignore fetchrecursesubmodules shallow " },
	{ "submodule.*", URL, " url " },
	{ "submodule.*", UPDATE, " update " },
	{ "submodule", ANY, " recurse active fetchjobs propagatebranches " },
	{ "pull", ANY, " rebase ff " },
	{ "push", ANY, " default autosetupremote followtags recursesubmodules " },
	{ "merge", ANY, " ff conflictstyle renamelimit renames stat log autostash " },
	{ "rebase", ANY, " autostash autosquash updaterefs stat rebasemerges " },
	{ "fetch", ANY, " prune prunetags parallel recursesubmodules writecommitgraph all " },
	{ "rerere", ANY, " enabled autoupdate " },
	{ "commit", ANY, " gpgsign status verbose cleanup " },
	{ "tag", ANY, " gpgsign sort " },
	{ "diff", ANY,
	  " renames renamelimit algorithm colormoved mnemonicprefix noprefix context " },
	{ "log", ANY, " date decorate follow abbrevcommit " },
	{ "status", ANY, " short branch showuntrackedfiles submodulesummary showstash " },
	{ "color", ANY, " ui branch diff status grep interactive advice push remote " },
	{ "gc", ANY, " auto autodetach autopacklimit pruneexpire writecommitgraph " },
	{ "maintenance", ANY, " auto strategy " },
	{ "maintenance.*", ANY, " enabled schedule auto " },
	{ "index", ANY, " version threads sparse skiphash " },
	{ "pack", ANY, " threads windowmemory writereverseindex " },
	{ "feature", ANY, " manyfiles experimental " },
	{ "lfs", ANY, " repositoryformatversion " },
	{ "stash", ANY, " showpatch showstat showincludeuntracked " },
	{ "worktree", ANY, " guessremote userelativepaths " },
	{ "checkout", ANY, " defaultremote guess workers " },
	{ "clone", ANY, " defaultremotename rejectshallow " },
	{ "advice", ANY, "*" },
};

static bool has_word(const char *words, const char *word)
{
	size_t n = strlen(word);

	if (streq(words, "*"))
		return true;
	for (const char *at = words; (at = strstr(at, word)); at++)
		if (at > words && at[-1] == ' ' && at[n] == ' ')
			return true;
	return false;
}

/* No helper ("ext::sh -c …"), and nothing that another program would take for an option. */
static bool is_plain_url(const char *url)
{
	return url[0] != '-' && !strstr(url, "::") && !strpbrk(url, "`$;|&<>\\\n");
}

/* Does @path, from @dir, stay below the top? */
static bool stays(const char *dir, const char *path)
{
	int depth = *dir != '\0';

	if (*path == '/')
		return false;
	for (const char *s = dir; (s = strchr(s, '/')); s++)
		depth++;
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && memcmp(path, "..", 2) == 0)
			depth--;
		else if (n > 0 && !(n == 1 && *path == '.'))
			depth++;
		if (depth < 0)
			return false;
		path += n + (path[n] == '/');
	}
	return true;
}

static bool is_update(const char *value)
{
	return streq(value, "checkout") || streq(value, "rebase") || streq(value, "merge") ||
	       streq(value, "none");
}

static bool is_harmless(const struct setting *s, const char *dir)
{
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
		if (fnmatch(harmless[i].section, s->section, 0) != 0 ||
		    !has_word(harmless[i].keys, s->key))
			continue;
		switch (harmless[i].kind) {
		case ANY:
			return true;
		case URL:
			return is_plain_url(s->value);
		case WORKTREE:
			return stays(dir, s->value);
		case UPDATE:
			return is_update(s->value);
		}
	}
	return false;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *s, const char *end)
{
	while (s < end && is_blank(*s))
		s++;
	return s;
}

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

/* "[section]" or "[section "sub"]", and nothing behind it. */
static bool read_section(struct reader *r, const char *s, const char *end)
{
	size_t n = 0;

	for (s++; s < end && is_name(lower(*s)) && n < sizeof(r->section) - 2; s++)
		r->section[n++] = lower(*s);
	if (n == 0)
		return false;
	s = skip_blanks(s, end);
	if (s < end && *s == '"') {
		r->section[n++] = '.';
		for (s++; s < end && *s != '"' && n < sizeof(r->section) - 1; s++) {
			if (*s == '\\' && ++s == end)
				return false;
			r->section[n++] = *s;
		}
		if (s == end || *s++ != '"')
			return false;
	}
	r->section[n] = '\0';
	if (s == end || *s != ']')
		return false;
	s = skip_blanks(s + 1, end);
	return s == end || *s == '#' || *s == ';';
}

/* What a backslash and @c stand for; 0: git knows none such. */
static char escaped(char c)
{
	static const char from[] = "\\\"ntb", to[] = "\\\"\n\t\b";
	const char *at = c ? strchr(from, c) : NULL;

	return (char)(at ? to[at - from] : 0);
}

/* In quotes or without. A comment behind it is none of ours. */
static bool read_value(struct setting *t, const char *s, const char *end)
{
	size_t n = 0;
	bool quoted = false;

	while (end > s && is_blank(end[-1]))
		end--;
	for (; s < end; s++) {
		if (*s == '"') {
			quoted = !quoted;
			continue;
		}
		if ((!quoted && (*s == '#' || *s == ';')) || n >= sizeof(t->value) - 1)
			return false;
		t->value[n] = *s;
		/* At the end of the line it would go on in the next. */
		if (*s == '\\' && (++s == end || !(t->value[n] = escaped(*s))))
			return false;
		n++;
	}
	t->value[n] = '\0';
	return !quoted;
}

static bool read_setting(struct reader *r, struct setting *t, const char *s, const char *end)
{
	size_t n = 0;

	if (!r->section[0] || *s == '-' || (*s >= '0' && *s <= '9'))
		return false;
	for (; s < end && is_name(lower(*s)) && n < sizeof(t->key) - 1; s++)
		t->key[n++] = lower(*s);
	t->key[n] = '\0';
	memcpy(t->section, r->section, sizeof(t->section));
	t->value[0] = '\0';
	s = skip_blanks(s, end);
	if (n == 0 || (s < end && *s != '='))
		return false;
	return s == end || read_value(t, skip_blanks(s + 1, end), end);
}

/* The next setting; false: there is none, or @r->fault. */
static bool next(struct reader *r, struct setting *t)
{
	while (r->at < r->end) {
		const char *line = r->at, *end = memchr(line, '\n', (size_t)(r->end - line)), *s;

		if (!end)
			end = r->end;
		r->at = end < r->end ? end + 1 : end;
		if (end > line && end[-1] == '\r')
			end--;
		s = skip_blanks(line, end);
		if (s == end || *s == '#' || *s == ';')
			continue;
		if (memchr(line, '\r', (size_t)(end - line)) ||
		    memchr(line, '\0', (size_t)(end - line))) {
			r->fault = "it has characters that settings have not";
			return false;
		}
		t->line = s;
		t->len = (size_t)(end - s);
		if (*s == '[' ? !read_section(r, s, end) : !read_setting(r, t, s, end)) {
			r->fault = "it has a line that is not understood";
			return false;
		}
		if (*s != '[')
			return true;
	}
	return false;
}

/* The next that is not harmless. */
static bool next_other(struct reader *r, struct setting *t, const char *dir)
{
	while (next(r, t))
		if (!is_harmless(t, dir))
			return true;
	return false;
}

const char *gitconfig_refuses(const char *was, size_t was_len, const char *now, size_t now_len,
			      const char *dir)
{
	struct reader a = { .at = was, .end = was + was_len },
		      b = { .at = now, .end = now + now_len };
	struct setting x, y;

	for (;;) {
		bool more = next_other(&b, &y, dir), had = next_other(&a, &x, dir);

		if (b.fault)
			return b.fault;
		if (a.fault)
			return "what is there now is not understood";
		if (!more && !had)
			return NULL;
		/* The same ones, in the same order, and nothing else. */
		if (!more || !had || !streq(x.section, y.section) || x.len != y.len ||
		    memcmp(x.line, y.line, x.len) != 0)
			return more ? "it has a setting that may name a program"
				    : "a setting that may name a program is missing";
	}
}
