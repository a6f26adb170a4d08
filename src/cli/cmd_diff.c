/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/diff.h"
#include "cli/sandboxes.h"
#include "workspace/similar.h"

enum { PATHS_MAX = 1024 };

static const char *const help[] = {
	"Shows what a sandbox has changed in its workspace and the host does not have yet:",
	"that of NAME, or of the one whose workspace is the current directory; PATHs narrow it.",
	"What the host would later run or obey is marked: executes-on-host.",
	"",
	"      --stat            one line a path",
	"      --name-only       the paths alone",
	"  -z                    with it: each as it is, with a NUL behind it",
	"      --json            for programs; purple(1) says what is in it",
	"  -U, --unified N       N lines around each change (3)",
	"      --raw             lines as they are, for patch(1); else what a terminal would",
	"                        obey, or what turns text around, is escaped",
	"      --color WHEN      always, never or auto: on a terminal, unless NO_COLOR is set",
	"      --no-pager        not through $PAGER (less)",
	"  -h, --help            this text",
	"",
	"Exit status: 0 nothing changed, 1 something, 125 not all could be read.",
	NULL,
};

struct request {
	bool stat, names, zero, json, raw, no_pager;
	const char *unified, *colour;
};

static int usage(struct err *e, const char *what)
{
	err_set(e, EPROTO, "usage", "%s", what);
	err_remedy(e, "`purple diff --help` says more");
	return -EPROTO;
}

static int check(const struct request *q, struct diff *d, struct err *e)
{
	const char *no_colour = getenv("NO_COLOR");
	uint64_t n = 3;

	if (q->stat + q->names + q->json > 1)
		return usage(e, "one of --stat, --name-only and --json");
	if (q->zero && !q->names)
		return usage(e, "-z goes with --name-only");
	if (q->unified && (parse_u64(q->unified, &n) < 0 || n > 1000000))
		return usage(e, "--unified: a number of lines");
	if (q->colour && !streq(q->colour, "auto") && !streq(q->colour, "always") &&
	    !streq(q->colour, "never"))
		return usage(e, "--color: always, never or auto");
	d->context = (unsigned)n;
	d->raw = q->raw;
	d->colour = isatty(STDOUT_FILENO) && !(no_colour && *no_colour);
	if (q->colour && !streq(q->colour, "auto"))
		d->colour = streq(q->colour, "always");
	return 0;
}

/* The words that are left as paths to narrow to. */
static int narrow(struct review *v, char **words, int count, struct err *e)
{
	static const char *only[PATHS_MAX];

	if (count > PATHS_MAX)
		return usage(e, "too many paths");
	for (int i = 0; i < count; i++) {
		char path[PATH_MAX];
		int r = review_path(v, words[i], path, e);

		if (r < 0)
			return r;
		only[i] = strdup(path);
		if (!only[i])
			return err_set(e, ENOMEM, "output", "memory");
	}
	v->stack.only = only;
	v->stack.only_count = (size_t)count;
	return 0;
}

static int print(struct diff *d, const struct request *q, struct err *e)
{
	int r;

	if (isatty(STDOUT_FILENO) && !q->no_pager && !q->json && !q->zero && d->changes->count)
		diff_pager_start(d);
	if (!q->json && !q->names && !q->raw)
		diff_heading(d);
	if (q->json)
		r = diff_json(d);
	else if (q->names)
		r = diff_names(d, q->zero);
	else
		r = q->stat ? diff_stat(d) : diff_patch(d);
	if (r < 0)
		err_set(e, r, "workspace", "not all could be read of what %s changed",
			d->review->meta.name);
	/* Who ends the pager has seen enough. */
	if (!d->pager && (fflush(stdout) < 0 || ferror(stdout)))
		r = err_set(e, errno, "output", "write");
	diff_pager_end(d);
	return r < 0 ? r : 0;
}

/* 1: something has changed. */
static int show(struct review *v, struct diff *d, const struct request *q, struct err *e)
{
	_cleanup_changes_ struct changes c = { 0 };
	int r = changes_read(&c, &v->stack, e);

	d->review = v;
	d->changes = &c;
	/* Neither patch(1) nor a list of names knows of them. */
	if (r == 0 && (q->raw || q->names))
		changes_forget_renames(&c);
	else if (r == 0 && changes_find_similar(&c, &v->stack) < 0)
		r = err_set(e, ENOMEM, "workspace", "find what was renamed");
	if (r == 0)
		r = print(d, q, e);
	d->changes = NULL;
	return r < 0 ? r : c.count > 0;
}

/* What the sandbox @name has changed beside its workspace. @shown: the one that was. */
static int show_parts(struct review *v, const char *shown, struct diff *d, const struct request *q,
		      struct err *e)
{
	char part[STORE_NAME_MAX + 1];
	int worst = 0, r = 0;

	for (unsigned n = 1; n <= STORE_PARTS_MAX && r >= 0; n++) {
		store_part(shown, n, part);
		if (streq(part, shown))
			continue;
		r = review_open_part(v, shown, n, e);
		if (r == 0 && (q->names || q->raw))
			fprintf(stderr, "purple: workspace: also changed: %s, see purple diff %s\n",
				v->meta.path, part);
		else if (r == 0)
			r = show(v, d, q, e);
		review_close(v);
		worst = MAX(worst, r);
		r = r == -ENOENT && !err_is_set(e) ? 0 : r;
	}
	return r < 0 ? r : worst;
}

int cmd_diff(int argc, char **argv)
{
	struct request q = { 0 };
	const struct option_word options[] = {
		{ 0, "stat", NULL, &q.stat },	{ 0, "name-only", NULL, &q.names },
		{ 'z', "null", NULL, &q.zero }, { 0, "json", NULL, &q.json },
		{ 'U', "unified", &q.unified }, { 0, "raw", NULL, &q.raw },
		{ 0, "color", &q.colour },	{ 0, "no-pager", NULL, &q.no_pager },
	};
	const struct command_line line = {
		help, "purple diff [OPTION…] [NAME] [PATH…]", options, ARRAY_SIZE(options), 0, -1,
	};
	static struct review v = REVIEW_INIT;
	char shown[STORE_NAME_MAX + 1] = "";
	struct diff d = { .out = stdout };
	struct err e = { 0 };
	const char *word;
	bool one;
	int words, r = command_line(&line, argc, argv, &words, &e), parts = 0;

	if (r == 1)
		return 0;
	word = r == 0 && words > 0 ? argv[0] : NULL;
	one = word && strchr(word, ':');
	if (r == 0)
		r = check(&q, &d, &e);
	if (r == 0)
		r = review_open(&v, &word, &e);
	/* Found by where we are: then it is that directory alone. */
	one |= (words == 0 || word) && strchr(v.meta.name, ':');
	if (r == 0 && words > (word ? 0 : 1)) {
		r = word ? narrow(&v, argv, words, &e) : narrow(&v, argv + 1, words - 1, &e);
		one = true;
	}
	if (r == 0)
		r = show(&v, &d, &q, &e);
	str_copy(shown, sizeof(shown), v.meta.name);
	review_close(&v);
	if (r >= 0 && !one)
		parts = show_parts(&v, shown, &d, &q, &e);
	if (r >= 0)
		r = parts < 0 ? parts : MAX(r, parts);
	return r < 0 ? command_failed(&e) : r;
}
