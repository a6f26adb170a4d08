/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a line of an audit trail, and as a moment. What is taken is told to
 * people without a byte that a screen would obey, as OCSF, and by a report.
 */
#include "fuzz.h"

#include <string.h>

#include "base/str.h"
#include "cli/audit_report.h"
#include "cli/line_filter.h"
#include "cli/ocsf.h"

static void printable(const struct buf *b)
{
	require(!b->failed);
	for (const char *s = b->data ? b->data : ""; *s;) {
		size_t n = utf8_len(s);

		require(n > 0 && ((unsigned char)*s >= ' ' || *s == '\n') && *s != 0x7f);
		require(!(n == 2 && (unsigned char)s[0] == 0xc2 && (unsigned char)s[1] < 0xa0));
		s += n;
	}
}

static void report(const struct trail_line *l)
{
	_cleanup_buf_ struct buf text = BUF_INIT(64 << 20), html = BUF_INIT(64 << 20);
	struct report_subject s = { .begin_ns = l->time_ns, .end_ns = l->time_ns };
	struct trail_reader r = TRAIL_READER_INIT;
	struct report p;

	str_copy(s.id, sizeof(s.id), "id");
	require(report_begin(&p, &s, NULL) == 0);
	report_add(&p, l);
	report_add(&p, l);
	report_end(&p, &r);
	report_text(p.root, &text);
	report_html(p.root, &html);
	printable(&text);
	printable(&html);
	require(!strstr(html.data, "<script"));
	report_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf b = BUF_INIT(64 << 20);
	_cleanup_free_ char *text = malloc(size + 1);
	struct trail_line l;
	uint64_t ns;

	require(text);
	memcpy(text, data, size);
	text[size] = '\0';
	(void)moment_parse(text, UINT64_MAX, &ns);
	if (line_parse(&l, text, size)) {
		require(!l.fields);
		return 0;
	}
	line_describe(&l, &b);
	printable(&b);
	json_decref(ocsf_event(&l));
	report(&l);
	line_free(&l);
	return 0;
}
