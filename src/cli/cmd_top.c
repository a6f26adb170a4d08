/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/dirs.h"
#include "cli/sandboxes.h"
#include "cli/top.h"

enum { OUTPUT_MAX = 64 << 20, DELAY_MAX_S = 3600, COUNT_MAX = 1000000 };

static const char *const help[] = {
	"Shows what sandboxes use, those that use most first, again and again; h lists the keys.",
	"",
	"  -d, --delay SECONDS   between two looks; 2",
	"  -o, --order KEY       cpu, memory, network, denials, pids, time or name",
	"  -b, --batch           print text, for a file or a pipe",
	"  -n, --count N         of --batch: so many looks, then end",
	"  -h, --help            this text",
	NULL,
};

static int batch(struct top *t, int all, uint64_t count, unsigned delay_ms)
{
	for (uint64_t i = 0; count == 0 || i < count; i++) {
		const struct timespec pause = { .tv_sec = delay_ms / 1000,
						.tv_nsec = delay_ms % 1000 * 1000000L };
		_cleanup_buf_ struct buf b = BUF_INIT(OUTPUT_MAX);
		struct err e = { 0 };
		int r;

		if (i > 0)
			nanosleep(&pause, NULL);
		r = top_look(t, all);
		if (r < 0) {
			err_set(&e, r, "state", "list the sandboxes");
			return command_failed(&e);
		}
		if (i > 0)
			buf_puts(&b, "\n");
		top_put_summary(&b, t);
		top_put_titles(&b, t, 0);
		buf_puts(&b, "\n");
		for (size_t n = 0; n < t->now.count; n++) {
			top_put_row(&b, t, &t->rows[n], 0);
			buf_puts(&b, "\n");
		}
		r = command_output(&b);
		if (r)
			return r;
	}
	return 0;
}

static int parse(const char *text, uint64_t most, const char *what, uint64_t *ret, struct err *e)
{
	if (!text)
		return 0;
	if (parse_u64(text, ret) == 0 && *ret >= 1 && *ret <= most)
		return 0;
	err_set(e, EPROTO, "usage", "%s is a whole number from 1 to %llu, not %.40s", what,
		(unsigned long long)most, text);
	return -EPROTO;
}

int cmd_top(int argc, char **argv)
{
	const char *delay = NULL, *order = NULL, *count = NULL;
	bool batched = false;
	const struct option_word options[] = {
		{ 'd', "delay", &delay, NULL },
		{ 'o', "order", &order, NULL },
		{ 'b', "batch", NULL, &batched },
		{ 'n', "count", &count, NULL },
	};
	const struct command_line line = {
		help,	 "purple top [-d SECONDS] [-o KEY] [--batch [-n N]]",
		options, ARRAY_SIZE(options),
		0,	 0,
	};
	struct top t = { 0 };
	_cleanup_close_ int all = -1;
	uint64_t seconds = 2, looks = 0;
	struct err e = { 0 };
	int names, r = command_line(&line, argc, argv, &names, &e);

	if (r == 1)
		return 0;
	if (r == 0)
		r = parse(delay, DELAY_MAX_S, "--delay", &seconds, &e);
	if (r == 0)
		r = parse(count, COUNT_MAX, "--count", &looks, &e);
	if (r == 0 && count && !batched)
		r = err_set(&e, EPROTO, "usage", "--count belongs to --batch");
	if (r == 0 && order && top_key_find(order) < 0)
		r = err_set(&e, EPROTO, "usage", "nothing is ordered by %.40s", order);
	if (r < 0) {
		err_remedy(&e, "%s", line.usage);
		return command_failed(&e);
	}
	t.key = order ? (enum top_key)top_key_find(order) : TOP_CPU;
	/* It is looked for once: where there is none yet, one that is made later is not seen. */
	all = sandboxes_open_or_make(&e);
	if (all < 0)
		return command_failed(&e);
	if (batched)
		r = batch(&t, all, looks, (unsigned)seconds * 1000);
	else
		r = top_screen(&t, all, (unsigned)seconds * 1000);
	top_free(&t);
	return r;
}
