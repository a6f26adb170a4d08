/* SPDX-License-Identifier: Apache-2.0 */
/* What became of an apply, for people and for programs. */
#include <string.h>

#include "base/str.h"
#include "cli/apply.h"

static bool is_told(const struct apply_run *run, enum apply_state state)
{
	return state != APPLY_LEFT && (state != APPLY_WANTED || run->dry);
}

static const char *state_word(const struct apply_run *run, enum apply_state state)
{
	return state == APPLY_WANTED && run->dry ? "would apply" : apply_state_names[state];
}

void apply_show(struct apply_run *run)
{
	struct diff d = { .out = stdout };

	for (size_t i = 0; i < run->apply.changes->count; i++) {
		const struct change *c = &run->apply.changes->items[i];
		const struct apply_item *item = &run->apply.items[i];

		if (!is_told(run, item->state))
			continue;
		fprintf(stdout, "%s: %s ", state_word(run, item->state),
			change_kind_names[c->kind]);
		diff_put_path(&d, "", c->path);
		if (item->why && item->state != APPLY_LANDED)
			fprintf(stdout, ": %s", item->why);
		if (item->where && item->state != APPLY_LANDED) {
			fputs(": ", stdout);
			diff_put_path(&d, "", item->where);
		}
		if (item->error)
			fprintf(stdout, ": %s", strerror(item->error));
		fputc('\n', stdout);
	}
}

static void put_item(struct buf *b, const struct change *c, const struct apply_item *item)
{
	buf_printf(b, "{\"state\": \"%s\", \"kind\": \"%s\"", apply_state_names[item->state],
		   change_kind_names[c->kind]);
	diff_json_member(b, "path", c->path);
	if (item->text)
		buf_puts(b, ", \"partly\": true");
	if (item->state != APPLY_LANDED) {
		if (item->why)
			diff_json_member(b, "why", item->why);
		if (item->where)
			diff_json_member(b, "where", item->where);
		if (item->error)
			diff_json_member(b, "error", strerror(item->error));
	}
	buf_puts(b, "}");
}

void apply_show_json(struct apply_run *run, const struct err *e)
{
	const struct store_meta *m = run->apply.meta;
	struct buf b = BUF_INIT(1 << 20);
	bool first = true;

	buf_printf(&b, "{\"version\": 1, \"dry_run\": %s", run->dry ? "true" : "false");
	diff_json_member(&b, "sandbox", m->name);
	diff_json_member(&b, "workspace", m->path);
	for (unsigned s = 0; s < APPLY_STATES; s++)
		buf_printf(&b, ", \"%s\": %zu", apply_state_names[s],
			   apply_count(&run->apply, (enum apply_state)s));
	buf_printf(&b, ", \"removed\": %s", run->removed ? "true" : "false");
	if (err_is_set(e))
		diff_json_member(&b, "error", e->message);
	buf_puts(&b, ", \"changes\": [");
	for (size_t i = 0; i < run->apply.changes->count; i++) {
		buf_puts(&b, first ? "\n" : ",\n");
		first = false;
		put_item(&b, &run->apply.changes->items[i], &run->apply.items[i]);
		fwrite(b.data, 1, b.len, stdout);
		buf_free(&b);
		b = BUF_INIT(1 << 20);
	}
	buf_puts(&b, "]}\n");
	fwrite(b.data, 1, b.len, stdout);
	buf_free(&b);
}
