/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/apply.h"
#include "cli/sandboxes.h"

enum { PATHS_MAX = 1024 };

static const char *const help[] = {
	"Lands in the workspace what a sandbox has changed: NAME, or the one whose workspace is",
	"the current directory; PATHs narrow it. What is not applied waits on.",
	"A file that was changed on the host since the sandbox began is a conflict: it is never",
	"overwritten, and text is not merged. With one, nothing is applied.",
	"",
	"  -i, --interactive     ask for each change, and for each hunk of text",
	"  -n, --dry-run         say what would be done, and do nothing",
	"      --except-flagged  not what the host would run or obey (see purple diff)",
	"      --skip-conflicts  apply the rest",
	"      --allow-setid     also files with set-id bits or file capabilities",
	"      --json            for programs; purple(1) says what is in it",
	"  -h, --help            this text",
	"",
	"Exit status: 0 all was applied that was asked for, 1 not all, 125 it ended early.",
	NULL,
};

struct request {
	bool except_flagged, skip_conflicts, json;
	const char *paths[PATHS_MAX];
	size_t count;
};

/* What was read before is still so: who changes it holds the lock, too. */
static int read_again(struct review *v, struct err *e)
{
	static struct store_meta now;
	int r = store_read(v->dir, &now);

	if (r == 0 && now.top == v->meta.top)
		return 0;
	err_set(e, r < 0 ? r : EAGAIN, "workspace", "%s was changed at this moment", v->meta.name);
	err_remedy(e, "try it again");
	return -EAGAIN;
}

static int lock(struct review *v, struct err *e)
{
	int r = store_lock_soon(v->dir);

	if (r == 0)
		return read_again(v, e);
	err_set(e, r == -EWOULDBLOCK ? EBUSY : r, "workspace", "%s is in use", v->meta.name);
	err_remedy(e, "`purple stop %s` ends its sandbox", v->meta.name);
	return -EBUSY;
}

static int take_paths(struct request *q, const struct review *v, char **words, int count,
		      struct err *e)
{
	if (count > PATHS_MAX) {
		err_set(e, EPROTO, "usage", "too many paths");
		return -EPROTO;
	}
	for (int i = 0; i < count; i++) {
		char path[PATH_MAX];
		int r = review_path(v, words[i], path, e);

		if (r < 0)
			return r;
		q->paths[q->count] = strdup(path);
		if (!q->paths[q->count++])
			return err_set(e, ENOMEM, "output", "memory");
	}
	return 0;
}

static bool is_below(const char *path, const char *top)
{
	const char *rest = str_after(path, top);

	return !*top || (rest && (!*rest || *rest == '/'));
}

/* A path that nothing is at was mistyped, or lies in a directory that is gone as a whole. */
static int no_change_at(const struct changes *c, const char *path, struct err *e)
{
	err_set(e, ENOENT, "workspace", "nothing has changed at %s", path);
	for (size_t i = 0; i < c->count; i++)
		if (is_below(path, c->items[i].path))
			err_remedy(e, "%s is gone as a whole: name that", c->items[i].path);
	return -ENOENT;
}

/* Is @i a new directory that is not empty? It goes with what is in it, and with no stub of it. */
static bool is_filled(const struct changes *c, size_t i)
{
	const struct change *d = &c->items[i];
	size_t n = strlen(d->path);

	if (!S_ISDIR(d->after.mode) || S_ISDIR(d->before.mode))
		return false;
	while (++i < c->count && strncmp(c->items[i].path, d->path, n) == 0)
		if (c->items[i].path[n] == '/')
			return true;
	return false;
}

static int choose(struct apply_run *run, const struct request *q, struct err *e)
{
	const struct changes *c = run->apply.changes;

	for (size_t k = 0; k < q->count; k++) {
		bool any = false;

		for (size_t i = 0; i < c->count; i++)
			if (is_below(change_path(&c->items[i]), q->paths[k])) {
				any = true;
				run->apply.items[i].state = APPLY_WANTED;
			}
		if (!any)
			return no_change_at(c, q->paths[k], e);
	}
	for (size_t i = 0; i < c->count; i++) {
		struct apply_item *item = &run->apply.items[i];

		if (!q->count)
			item->state = APPLY_WANTED;
		if (q->except_flagged && (c->items[i].flag || is_filled(c, i))) {
			item->state = APPLY_LEFT;
			item->barred = c->items[i].flag;
		}
	}
	return 0;
}

static bool has_snapshots(const struct store_meta *m)
{
	for (unsigned i = 0; i < m->layers_count; i++)
		if (*m->layers[i].label)
			return true;
	return false;
}

/* What nobody waits for any more goes. How many still wait, or -errno. */
static int tidy(struct apply_run *run, size_t *left, struct err *e)
{
	_cleanup_changes_ struct changes c = { 0 };
	struct review *v = run->review;
	int r = changes_read(&c, &v->stack, e);

	*left = c.count;
	if (r < 0 || c.count || has_snapshots(&v->meta))
		return r;
	r = store_remove(v->all, v->meta.name, v->dir);
	v->dir = -1;
	run->removed = r == 0;
	return r < 0 ? err_set(e, r, "workspace", "remove what %s changed", v->meta.name) : 0;
}

static void say_end(const struct apply_run *run, size_t left)
{
	size_t landed = apply_count(&run->apply, APPLY_LANDED);
	const char *name = run->review->meta.name;

	printf("%zu path%s applied", landed, landed == 1 ? "" : "s");
	if (run->removed)
		printf("; nothing of %s is left to apply\n", name);
	else if (left == 0)
		printf("; nothing is left to apply, but snapshots stay until purple discard %s\n",
		       name);
	else
		printf("; %zu wait%s: purple diff %s\n", left, left == 1 ? "s" : "", name);
}

static int refuse_conflicts(const struct apply_run *run, struct err *e)
{
	size_t n = apply_count(&run->apply, APPLY_CONFLICT);

	err_set(e, EEXIST, "workspace",
		"nothing was applied: of what is to be, %zu %s changed on the host meanwhile", n,
		n == 1 ? "was" : "were");
	err_remedy(e,
		   "text is not merged: compare with `purple diff`; --skip-conflicts applies the "
		   "rest");
	return -EEXIST;
}

static int act(struct apply_run *run, const struct request *q, size_t *left, struct err *e)
{
	struct err late = { 0 };
	int r = apply_check(&run->apply, e), t;

	if (r == 0 && run->interactive) {
		bool dry = run->dry;

		/* What cannot be is not asked for. */
		run->dry = false;
		apply_show(run);
		run->dry = dry;
		r = apply_ask(run, e);
		if (r == 0)
			r = apply_check(&run->apply, e);
	}
	if (r < 0 || run->dry)
		return r;
	if (apply_count(&run->apply, APPLY_CONFLICT) && !q->skip_conflicts && !run->interactive)
		return refuse_conflicts(run, e);
	r = apply_land(&run->apply, e);
	t = journal_exists(run->review->dir) ? 0 : tidy(run, left, &late);
	if (r == 0 && t < 0)
		*e = late;
	return r < 0 ? r : t;
}

static int apply(struct review *v, struct request *q, struct apply_run *run, struct err *e)
{
	_cleanup_changes_ struct changes c = { 0 };
	struct apply *a = &run->apply;
	size_t left = 0;
	int r = changes_read(&c, &v->stack, e);

	if (r < 0)
		return r;
	a->store = v->dir;
	a->host = v->host;
	a->meta = &v->meta;
	a->stack = &v->stack;
	a->changes = &c;
	r = apply_init(a, e);
	if (r == 0)
		r = choose(run, q, e);
	if (r == 0) {
		r = act(run, q, &left, e);
		if (q->json)
			apply_show_json(run, e);
		else
			apply_show(run);
		if (!q->json && !run->dry && r == 0)
			say_end(run, left);
	}
	if (r == 0 && (fflush(stdout) < 0 || ferror(stdout)))
		r = err_set(e, errno, "output", "write");
	if (r == 0)
		r = apply_count(a, APPLY_CONFLICT) + apply_count(a, APPLY_REFUSED) +
			    apply_count(a, APPLY_FAILED) >
		    0;
	a->changes = NULL;
	return r;
}

/* What the sandbox of the store @done has changed beside its workspace. */
static int apply_parts(struct review *v, const char *done, struct request *q, struct apply_run *run,
		       struct err *e)
{
	const struct apply_run begin = { .review = v,
					 .dry = run->dry,
					 .interactive = run->interactive,
					 .apply.allow_setid = run->apply.allow_setid };
	char part[STORE_NAME_MAX + 1];
	int worst = 0, r = 0;

	for (unsigned n = 1; n <= STORE_PARTS_MAX && r >= 0 && !run->quit; n++) {
		store_part(done, n, part);
		if (streq(part, done))
			continue;
		*run = begin;
		r = review_open_part(v, done, n, e);
		if (r == 0)
			r = lock(v, e);
		if (r == 0 && !q->json)
			printf("%s (%s)\n", v->meta.path, part);
		if (r == 0)
			r = apply(v, q, run, e);
		apply_free(&run->apply);
		review_close(v);
		worst = MAX(worst, r);
		r = r == -ENOENT && !err_is_set(e) ? 0 : r;
	}
	return r < 0 ? r : worst;
}

int cmd_apply(int argc, char **argv)
{
	static struct review v = REVIEW_INIT;
	static struct request q;
	static struct apply_run run = { .review = &v };
	const struct option_word options[] = {
		{ 'i', "interactive", NULL, &run.interactive },
		{ 'n', "dry-run", NULL, &run.dry },
		{ 0, "except-flagged", NULL, &q.except_flagged },
		{ 0, "skip-conflicts", NULL, &q.skip_conflicts },
		{ 0, "allow-setid", NULL, &run.apply.allow_setid },
		{ 0, "json", NULL, &q.json },
	};
	const struct command_line line = {
		help, "purple apply [OPTION…] [NAME] [PATH…]", options, ARRAY_SIZE(options), 0, -1,
	};
	struct err e = { 0 };
	char done[STORE_NAME_MAX + 1];
	const char *word;
	bool one;
	int words, status, r = command_line(&line, argc, argv, &words, &e);

	if (r == 1)
		return 0;
	word = r == 0 && words > 0 ? argv[0] : NULL;
	if (r == 0 && run.interactive && q.json)
		r = err_set(&e, EPROTO, "usage", "one of --interactive and --json");
	one = word && strchr(word, ':');
	if (r == 0)
		r = review_open(&v, &word, &e);
	/* Found by where we are: then it is that directory alone. */
	one |= (words == 0 || word) && strchr(v.meta.name, ':');
	if (r == 0)
		r = lock(&v, &e);
	if (r == 0 && words > 0)
		r = word ? take_paths(&q, &v, argv, words, &e)
			 : take_paths(&q, &v, argv + 1, words - 1, &e);
	if (r == 0)
		r = apply(&v, &q, &run, &e);
	str_copy(done, sizeof(done), v.meta.name);
	apply_free(&run.apply);
	review_close(&v);
	if (r >= 0 && !one && !q.count) {
		int parts = apply_parts(&v, done, &q, &run, &e);

		r = parts < 0 ? parts : MAX(r, parts);
	}
	status = r < 0 ? command_failed(&e) : r;
	/* A conflict is an answer, as with diff. */
	return r == -EEXIST ? 1 : status;
}
