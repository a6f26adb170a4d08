/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `purple apply --interactive`: change by change, and hunk by hunk as git add -p does. Of a
 * file all lines are kept, with what became of each; a hunk is some of those that changed,
 * so that what is chosen is put together again without a patch.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/apply.h"

enum { CONTEXT = 3, ALL_LINES = 1000000000 };

struct line {
	char origin; /* ' ', '+' or '-' */
	bool end;    /* it has no newline */
	bool chosen; /* of '+' and '-' */
	size_t at, n;
};

struct hunk {
	size_t first, last; /* lines: those that changed, and what is between them */
};

struct text {
	struct buf before, after, all;
	struct line *lines;
	size_t count;
	struct hunk *hunks;
	size_t hunks_count;
	struct arena memory;
};

struct asking {
	struct apply_run *run;
	struct diff d;
	bool all, quit;
};

static void text_free(struct text *t)
{
	buf_free(&t->before);
	buf_free(&t->after);
	buf_free(&t->all);
	arena_free(&t->memory);
}
#define _cleanup_text_ _cleanup_(text_free)

static int take_line(void *data, char origin, const char *text, size_t n)
{
	struct text *t = data;

	if (origin == '\\' && t->count)
		t->lines[t->count - 1].end = true;
	if (origin != ' ' && origin != '+' && origin != '-')
		return 0;
	t->lines = arena_grow(&t->memory, t->lines, t->count, sizeof(*t->lines));
	if (!t->lines)
		return -ENOMEM;
	t->lines[t->count++] = (struct line){ .origin = origin, .at = t->all.len, .n = n };
	buf_add(&t->all, text, n);
	return t->all.failed ? -ENOMEM : 0;
}

/* The next run of lines that changed, from @i. False: none. */
static bool next_run(const struct text *t, size_t i, struct hunk *h)
{
	while (i < t->count && t->lines[i].origin == ' ')
		i++;
	if (i == t->count)
		return false;
	h->first = i;
	while (i + 1 < t->count && t->lines[i + 1].origin != ' ')
		i++;
	h->last = i;
	return true;
}

/* Runs with no more between them than what is shown around both are one. */
static int find_hunks(struct text *t)
{
	struct hunk h;

	for (size_t i = 0; next_run(t, i, &h); i = h.last + 1) {
		struct hunk *last = t->hunks_count ? &t->hunks[t->hunks_count - 1] : NULL;

		if (last && h.first - last->last <= 2 * CONTEXT + 1) {
			last->last = h.last;
			continue;
		}
		t->hunks = arena_grow(&t->memory, t->hunks, t->hunks_count, sizeof(h));
		if (!t->hunks)
			return -ENOMEM;
		t->hunks[t->hunks_count++] = h;
	}
	return 0;
}

/* Put the runs of hunk @k in its place. 0: it is but one. */
static int split(struct text *t, size_t k)
{
	const struct hunk whole = t->hunks[k];
	struct hunk h, *all;
	size_t runs = 0;

	for (size_t i = whole.first; next_run(t, i, &h) && h.first <= whole.last; i = h.last + 1)
		runs++;
	if (runs < 2)
		return 0;
	all = arena_alloc(&t->memory, (t->hunks_count + runs) * sizeof(h));
	if (!all)
		return -ENOMEM;
	memcpy(all, t->hunks, k * sizeof(h));
	memcpy(all + k + runs, t->hunks + k + 1, (t->hunks_count - k - 1) * sizeof(h));
	for (size_t i = whole.first, n = 0; n < runs; i = h.last + 1, n++) {
		next_run(t, i, &h);
		all[k + n] = h;
	}
	t->hunks = all;
	t->hunks_count += runs - 1;
	return 1;
}

static void show_hunk(struct asking *q, const struct text *t, const struct hunk *h)
{
	size_t first = h->first > CONTEXT ? h->first - CONTEXT : 0, old = 1, new = 1;
	size_t last = MIN(h->last + CONTEXT, t->count - 1), counts[2] = { 0, 0 };
	char head[96];

	for (size_t i = 0; i <= last; i++) {
		const struct line *l = &t->lines[i];

		old += i < first && l->origin != '+';
		new += i < first && l->origin != '-';
		counts[0] += i >= first && l->origin != '+';
		counts[1] += i >= first && l->origin != '-';
	}
	snprintf(head, sizeof(head), "@@ -%zu,%zu +%zu,%zu @@\n", counts[0] ? old : old - 1,
		 counts[0], counts[1] ? new : new - 1, counts[1]);
	diff_put_line(&q->d, 'H', head, strlen(head));
	for (size_t i = first; i <= last; i++) {
		const struct line *l = &t->lines[i];

		diff_put_line(&q->d, l->origin, t->all.data + l->at, l->n);
		if (l->end)
			diff_put_line(&q->d, '\\', "", 0);
	}
}

/* One of @letters, or 'q' at the end of the input. */
static char answer(const char *letters)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	char c;

	fflush(stdout);
	n = getline(&line, &room, stdin);
	c = n < 0 ? 'q' : line[0];
	if (n >= 0 && (c == '\0' || !strchr(letters, c) || (line[1] != '\n' && line[1] != '\0')))
		c = '?';
	free(line);
	return c;
}

static void help(bool hunk)
{
	puts(hunk ? "y - apply this hunk\nn - leave it\na - apply it and the rest of this file\n"
		    "d - leave it and the rest of this file\n"
		    "s - split it\nq - leave it, and all that follow"
		  : "y - apply this change\nn - leave it\na - apply it and all that follow\n"
		    "d - leave it\nq - leave it, and all that follow");
	puts("? - this help");
}

static void choose(struct text *t, size_t from, size_t to, bool chosen)
{
	for (size_t k = from; k < to; k++)
		for (size_t i = t->hunks[k].first; i <= t->hunks[k].last; i++)
			t->lines[i].chosen = chosen;
}

static int ask_hunks(struct asking *q, struct text *t)
{
	for (size_t k = 0; k < t->hunks_count;) {
		char c;
		int r;

		show_hunk(q, t, &t->hunks[k]);
		printf("(%zu/%zu) Apply this hunk [y,n,q,a,d,s,?]? ", k + 1, t->hunks_count);
		c = answer("ynqads");
		if (c == '?') {
			help(true);
			continue;
		}
		if (c == 's') {
			r = split(t, k);
			if (r < 0)
				return r;
			if (r == 0)
				puts("It cannot be split.");
			continue;
		}
		q->quit |= c == 'q';
		choose(t, k, c == 'a' ? t->hunks_count : k + 1, c == 'y' || c == 'a');
		k = c == 'y' || c == 'n' ? k + 1 : t->hunks_count;
	}
	return 0;
}

/* The text with what was chosen. NULL: no memory. */
static struct buf *merged(struct asking *q, const struct text *t)
{
	struct buf *b = arena_alloc(&q->run->apply.memory, sizeof(*b));

	if (!b)
		return NULL;
	*b = BUF_INIT(2 * PATCH_SIZE_MAX);
	for (size_t i = 0; i < t->count; i++) {
		const struct line *l = &t->lines[i];

		if (l->origin == ' ' || (l->origin == '+') == l->chosen)
			buf_add(b, t->all.data + l->at, l->n);
	}
	return b->failed ? NULL : b;
}

static int take_hunks(struct asking *q, struct apply_item *item, const struct text *t)
{
	size_t chosen = 0, changed = 0;

	for (size_t i = 0; i < t->count; i++) {
		changed += t->lines[i].origin != ' ';
		chosen += t->lines[i].chosen;
	}
	item->state = chosen ? APPLY_WANTED : APPLY_LEFT;
	if (!chosen || chosen == changed)
		return 0;
	item->text = merged(q, t);
	return item->text ? 0 : -ENOMEM;
}

static int read_text(struct asking *q, const struct change *c, struct text *t)
{
	struct patch_counts counts;
	int r;

	if (c->kind != CHANGE_MODIFIED || !S_ISREG(c->after.mode) || c->link_to)
		return 0;
	r = diff_read_side(&q->d, c, false, &t->before);
	if (r == 0)
		r = diff_read_side(&q->d, c, true, &t->after);
	if (r == 0)
		r = patch_lines(&t->before, &t->after, ALL_LINES, take_line, t, &counts);
	return r == 0 ? find_hunks(t) : r == -EFBIG ? 0 : r;
}

static int ask_whole(struct asking *q, const struct change *c, struct apply_item *item)
{
	diff_put_change(&q->d, c, true);
	for (;;) {
		char a;

		fputs("Apply this change to ", stdout);
		diff_put_path(&q->d, "", c->path);
		fputs(" [y,n,q,a,d,?]? ", stdout);
		a = answer("ynqad");
		if (a == '?') {
			help(false);
			continue;
		}
		q->quit = a == 'q';
		q->all = a == 'a';
		item->state = a == 'y' || a == 'a' ? APPLY_WANTED : APPLY_LEFT;
		return 0;
	}
}

static int ask_one(struct asking *q, const struct change *c, struct apply_item *item)
{
	_cleanup_text_ struct text t = {
		.before = BUF_INIT(PATCH_SIZE_MAX),
		.after = BUF_INIT(PATCH_SIZE_MAX),
		.all = BUF_INIT(2 * PATCH_SIZE_MAX),
		.memory = ARENA_INIT(LAYER_MEMORY_MAX),
	};
	int r = read_text(q, c, &t);

	if (r < 0)
		return r;
	if (!t.hunks_count)
		return ask_whole(q, c, item);
	diff_put_change(&q->d, c, false);
	r = ask_hunks(q, &t);
	return r < 0 ? r : take_hunks(q, item, &t);
}

int apply_ask(struct apply_run *run, struct err *e)
{
	const char *no_colour = getenv("NO_COLOR");
	struct asking q = { .run = run };
	const struct changes *all = run->apply.changes;
	int r = 0;

	q.d = (struct diff){ .review = run->review, .changes = all, .out = stdout };
	q.d.colour = isatty(STDOUT_FILENO) && !(no_colour && *no_colour);
	q.d.context = CONTEXT;
	for (size_t i = 0; r == 0 && i < all->count; i++) {
		struct apply_item *item = &run->apply.items[i];

		if (item->state != APPLY_WANTED || q.all)
			continue;
		item->state = APPLY_LEFT;
		/* It comes with what is in it. */
		if (diff_goes_without_saying(all, &all->items[i]))
			continue;
		if (!q.quit)
			r = ask_one(&q, &all->items[i], item);
		item->barred = item->state == APPLY_LEFT;
		if (r < 0)
			err_set(e, r, "workspace", "read %s", all->items[i].path);
	}
	run->quit = q.quit;
	return r;
}
