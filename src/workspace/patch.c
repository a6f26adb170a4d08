/* SPDX-License-Identifier: Apache-2.0 */
#include "workspace/patch.h"

#include <errno.h>
#include <git2.h>

struct lines {
	int (*line)(void *data, char origin, const char *text, size_t n);
	void *data;
	int result;
};

static int each(const git_diff_delta *delta, const git_diff_hunk *hunk, const git_diff_line *line,
		void *data)
{
	struct lines *l = data;
	char origin = line->origin;

	switch (origin) {
	case GIT_DIFF_LINE_CONTEXT_EOFNL:
	case GIT_DIFF_LINE_ADD_EOFNL:
	case GIT_DIFF_LINE_DEL_EOFNL:
		origin = '\\';
		break;
	case GIT_DIFF_LINE_HUNK_HDR:
	case GIT_DIFF_LINE_CONTEXT:
	case GIT_DIFF_LINE_ADDITION:
	case GIT_DIFF_LINE_DELETION:
		break;
	default:
		return 0;
	}
	l->result = l->line(l->data, origin, line->content, line->content_len);
	return l->result;
}

int patch_ready(void)
{
	static bool ready;

	/* Once, and never undone: each time it takes 5 ms, for its TLS. */
	if (!ready && git_libgit2_init() < 0)
		return -ENOMEM;
	ready = true;
	return 0;
}

int patch_lines(const struct buf *a, const struct buf *b, unsigned context,
		int (*line)(void *data, char origin, const char *text, size_t n), void *data,
		struct patch_counts *counts)
{
	git_diff_options options = GIT_DIFF_OPTIONS_INIT;
	struct lines lines = { .line = line, .data = data };
	git_patch *patch = NULL;
	int r;

	*counts = (struct patch_counts){ 0 };
	if (patch_ready() < 0)
		return -ENOMEM;
	options.context_lines = context;
	r = git_patch_from_buffers(&patch, a->data ? a->data : "", a->len, "a",
				   b->data ? b->data : "", b->len, "b", &options);
	if (r < 0 || !patch)
		return r < 0 ? -ENOMEM : 0;
	counts->binary = git_patch_get_delta(patch)->flags & GIT_DIFF_FLAG_BINARY;
	git_patch_line_stats(NULL, &counts->added, &counts->removed, patch);
	if (line && !counts->binary)
		r = git_patch_print(patch, each, &lines);
	git_patch_free(patch);
	return lines.result ? lines.result : r < 0 ? -ENOMEM : 0;
}
