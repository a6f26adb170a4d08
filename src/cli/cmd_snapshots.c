/* SPDX-License-Identifier: Apache-2.0 */
/* purple snapshots: which there are of what a sandbox changed. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "cli/held.h"
#include "sys/files.h"

static const char *const help[] = {
	"Lists the snapshots of what the sandbox NAME has changed in its workspace, oldest first. The",
	"one that it stands on now has a star.",
	"",
	"      --json            for programs; purple(1) says what is in it",
	"  -h, --help            this text",
	NULL,
};

/* The nearest snapshot at or below the layer @number; NULL: none. */
static const struct store_layer *snapshot_at(const struct store_meta *m, uint32_t number)
{
	const struct store_layer *l;

	while ((l = store_layer(m, number)) && !l->label[0])
		number = l->parent;
	return l;
}

static void put_time(struct buf *b, uint64_t ns)
{
	const time_t seconds = (time_t)(ns / 1000000000);
	char text[40] = "-";
	struct tm tm;

	if (ns && localtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	buf_puts(b, text);
}

/* The snapshots by their age; how many. A copy of what a sandbox does is behind its layer. */
static unsigned sort(const struct store_meta *m, const struct store_layer **ret)
{
	unsigned count = 0;

	for (unsigned i = 0; i < m->layers_count; i++) {
		const struct store_layer *l = &m->layers[i];
		unsigned at = count;

		if (!l->label[0])
			continue;
		for (; at > 0 && ret[at - 1]->created_ns > l->created_ns; at--)
			ret[at] = ret[at - 1];
		ret[at] = l;
		count++;
	}
	return count;
}

static void put_table(struct buf *b, const struct store_meta *m)
{
	const struct store_layer *now = snapshot_at(m, m->top);
	const struct store_layer *all[STORE_LAYERS_MAX];
	const unsigned count = sort(m, all);
	size_t widest = sizeof("LABEL") - 1;

	for (unsigned i = 0; i < count; i++)
		widest = MAX(widest, cell_width(all[i]->label));
	buf_puts(b, "  ");
	put_cell(b, "LABEL", widest, true);
	buf_puts(b, "  CREATED              ON\n");
	for (unsigned i = 0; i < count; i++) {
		const struct store_layer *l = all[i], *on = snapshot_at(m, l->parent);

		buf_puts(b, l == now ? "* " : "  ");
		put_cell(b, l->label, widest, true);
		buf_puts(b, "  ");
		put_time(b, l->created_ns);
		buf_printf(b, "  %s\n", on ? on->label : "-");
	}
}

static void put_json(struct buf *b, const struct store_meta *m, bool live)
{
	const struct store_layer *now = snapshot_at(m, m->top);
	const struct store_layer *all[STORE_LAYERS_MAX];
	const unsigned count = sort(m, all);

	buf_puts(b, "{\"version\": 1, \"name\": ");
	buf_json_string(b, m->name);
	buf_printf(b, ", \"live\": %s, \"current\": ", live ? "true" : "false");
	if (now)
		buf_json_string(b, now->label);
	else
		buf_puts(b, "null");
	buf_puts(b, ", \"snapshots\": [");
	for (unsigned i = 0; i < count; i++) {
		const struct store_layer *l = all[i], *on = snapshot_at(m, l->parent);

		buf_puts(b, i ? ",\n{\"label\": " : "\n{\"label\": ");
		buf_json_string(b, l->label);
		buf_printf(b, ", \"created_ns\": %" PRIu64 ", \"on\": ", l->created_ns);
		if (on)
			buf_json_string(b, on->label);
		else
			buf_puts(b, "null");
		buf_puts(b, "}");
	}
	buf_puts(b, count ? "\n]}\n" : "]}\n");
}

int cmd_snapshots(int argc, char **argv)
{
	static struct held h = HELD_INIT;
	bool json = false;
	const struct option_word options[] = { { 0, "json", NULL, &json, NULL } };
	const struct command_line line = {
		help, "purple snapshots [--json] NAME", options, ARRAY_SIZE(options), 1, 1,
	};
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
	struct err e = { 0 };
	int words, r = command_line(&line, argc, argv, &words, &e);

	if (r == 1)
		return 0;
	if (r == 0)
		r = held_look(&h, argv[0], &e);
	if (r == 0 && json)
		put_json(&b, &h.meta, store_is_live(h.dir));
	else if (r == 0)
		put_table(&b, &h.meta);
	held_close(&h);
	return r < 0 ? command_failed(&e) : command_output(&b);
}
