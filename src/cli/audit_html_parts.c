/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of an account's HTML: see audit_html.h. */
#include "cli/audit_html.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

enum { LONG_TEXT = 200, LONG_SHOWN = 120, LANE_HEIGHT = 20 };

/* clang-format off */
const char html_style[] =
	":root{color-scheme:light dark;--bg:#fff;--fg:#1c1b22;--dim:#65636e;--line:#e3e1e8;"
	"--soft:#f6f5f9;--accent:#6b2fb3;--ok:#1a7f4b;--bad:#c0262d;--warn:#9a5b00;--badbg:#fdeeee;"
	"--warnbg:#fff6e5;--okbg:#e9f7ef}\n"
	"@media (prefers-color-scheme:dark){:root{--bg:#16151b;--fg:#e9e7ef;--dim:#a19eac;"
	"--line:#34323c;--soft:#201e27;--accent:#c09bf2;--ok:#5fd39a;--bad:#ff8a8f;--warn:#f0b866;"
	"--badbg:#3a1d21;--warnbg:#352a17;--okbg:#173226}}\n"
	"*{box-sizing:border-box}\n"
	"html{-webkit-text-size-adjust:100%}\n"
	"body{margin:0;overflow-wrap:anywhere;background:var(--bg);color:var(--fg);"
	"font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\n"
	"main{max-width:62rem;margin:0 auto;padding:1.5rem 1rem 3rem}\n"
	"h1{font-size:1.9rem;line-height:1.2;margin:.1rem 0 .6rem;overflow-wrap:anywhere}\n"
	"h2{font-size:1.15rem;margin:2.2rem 0 .6rem;padding-bottom:.3rem;"
	"border-bottom:1px solid var(--line)}\n"
	"h2 small{font-weight:400;color:var(--dim);margin-left:.4rem}\n"
	"p{margin:.4rem 0}\n"
	".brand{color:var(--accent);font-weight:600;font-size:.85rem;letter-spacing:.04em;"
	"text-transform:uppercase;margin:0}\n"
	"code{font:.875em/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',"
	"monospace;overflow-wrap:anywhere;unicode-bidi:isolate;white-space:pre-wrap}\n"
	".command{background:var(--soft);border:1px solid var(--line);border-radius:.5rem;"
	"padding:.6rem .8rem;margin:.6rem 0 1rem}\n"
	".badge{display:inline-block;font-size:.85rem;font-weight:600;border-radius:1rem;"
	"padding:.15rem .7rem;vertical-align:middle;background:var(--soft);color:var(--dim)}\n"
	".badge.ok{background:var(--okbg);color:var(--ok)}\n"
	".badge.bad{background:var(--badbg);color:var(--bad)}\n"
	".facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr));gap:.7rem 1.5rem;"
	"margin:0}\n"
	".facts div{min-width:0}\n"
	"dt{color:var(--dim);font-size:.8rem}\n"
	"dd{margin:0;overflow-wrap:anywhere}\n"
	".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.7rem;"
	"margin:1.6rem 0 0;padding:0;list-style:none}\n"
	".tiles a{display:block;height:100%;text-decoration:none;color:inherit;"
	"border:1px solid var(--line);border-radius:.6rem;padding:.6rem .8rem;background:var(--soft)}\n"
	".tiles a:hover{border-color:var(--accent)}\n"
	".tiles b{display:block;font-size:1.5rem;line-height:1.2;font-variant-numeric:tabular-nums}\n"
	".tiles span{color:var(--dim);font-size:.85rem}\n"
	".tiles .bad b{color:var(--bad)}.tiles .warn b{color:var(--warn)}\n"
	".note{border-left:4px solid var(--warn);background:var(--warnbg);border-radius:.3rem;"
	"padding:.5rem .8rem;margin:.5rem 0}\n"
	".note.bad{border-color:var(--bad);background:var(--badbg)}\n"
	".lanes{display:grid;grid-template-columns:max-content 1fr;gap:.25rem .8rem;align-items:center}\n"
	".lanes>span{font-size:.85rem;color:var(--dim);text-align:right}\n"
	".lanes svg{display:block;width:100%;height:1.35rem;background:var(--soft);border-radius:.25rem}\n"
	".lanes rect{fill:var(--accent)}.lanes .refused rect{fill:var(--bad)}"
	".lanes .trouble rect,.lanes .announced rect{fill:var(--warn)}\n"
	".axis{display:flex;justify-content:space-between;color:var(--dim);font-size:.75rem;"
	"font-variant-numeric:tabular-nums}\n"
	".rows{list-style:none;margin:0;padding:0}\n"
	".rows>li{padding:.45rem 0;border-bottom:1px solid var(--line);break-inside:avoid}\n"
	".rows>li:last-child{border-bottom:0}\n"
	".rows.tight>li{padding:.15rem 0;border:0}\n"
	".count,.by{color:var(--dim);font-size:.85rem}\n"
	".count{white-space:nowrap;font-variant-numeric:tabular-nums}\n"
	".kind{display:inline-block;font-size:.75rem;border:1px solid var(--line);border-radius:.3rem;"
	"padding:0 .4rem;color:var(--dim);white-space:nowrap}\n"
	".allow{display:block;margin-top:.3rem;padding:.3rem .6rem;background:var(--soft);"
	"border-left:3px solid var(--ok);border-radius:.2rem}\n"
	".allow small{color:var(--dim);display:block;font-size:.75rem}\n"
	".yes{color:var(--ok)}.no{color:var(--bad);font-weight:600}\n"
	"time,.clock{color:var(--dim);font-size:.8rem;font-variant-numeric:tabular-nums;"
	"white-space:nowrap}\n"
	".tl>li,.tree>li{display:grid;grid-template-columns:6rem minmax(0,1fr);gap:.1rem .8rem;"
	"align-items:baseline;padding:.25rem 0}\n"
	".tl .warning{color:var(--warn)}.tl .error{color:var(--bad)}.tl .intent{color:var(--accent);"
	"font-weight:600}\n"
	".tl code,.tree code{font-size:.82em}\n"
	".tree .in{padding-left:calc(min(var(--d),12)*1.1rem);min-width:0}\n"
	".tree .in.sub{border-left:0}\n"
	".tree .in.sub::before{content:'└ ';color:var(--dim)}\n"
	".tree .in.same::before{content:'→ ';color:var(--dim)}\n"
	"table{border-collapse:collapse;width:100%;font-size:.93rem}\n"
	"th{text-align:left;color:var(--dim);font-weight:400;font-size:.8rem}\n"
	"th,td{padding:.35rem .8rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top;"
	"overflow-wrap:anywhere}\n"
	"td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;width:1%}\n"
	"details>summary{cursor:pointer;color:var(--accent);padding:.3rem 0}\n"
	"details.long{display:inline}details.long>summary{display:inline;color:inherit;padding:0}\n"
	"details.long[open]>summary{color:var(--dim)}\n"
	".intent h3{font-size:1rem;margin:.2rem 0}.intent ul{margin:.3rem 0;padding-left:1.2rem}\n"
	".nothing{color:var(--dim)}\n"
	"footer{margin-top:3rem;color:var(--dim);font-size:.85rem;border-top:1px solid var(--line);"
	"padding-top:.8rem}\n"
	"@media (max-width:34rem){body{font-size:15px}h1{font-size:1.5rem}"
	".tiles{grid-template-columns:repeat(3,1fr);gap:.5rem}.tiles a{padding:.45rem .55rem}"
	".tl>li,.tree>li{grid-template-columns:minmax(0,1fr)}.facts{grid-template-columns:1fr 1fr}"
	".tree .in{padding-left:calc(min(var(--d),8)*.7rem)}th,td{padding-right:.5rem}}\n"
	"@media print{:root{--bg:#fff;--fg:#000;--dim:#444;--line:#bbb;--soft:#fff}"
	"main{max-width:none;padding:0}body{font-size:10pt}h2{break-after:avoid}"
	".tiles a{border-color:#999}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}\n";
/* clang-format on */

void html_put(struct buf *b, const char *s)
{
	_cleanup_buf_ struct buf text = BUF_INIT(1 << 20);

	line_put(&text, s);
	for (const char *p = text.data ? text.data : ""; *p;) {
		size_t n = strcspn(p, "&<>\"'");

		buf_add(b, p, n);
		p += n;
		switch (*p) {
		case '&':
			buf_puts(b, "&amp;");
			break;
		case '<':
			buf_puts(b, "&lt;");
			break;
		case '>':
			buf_puts(b, "&gt;");
			break;
		case '"':
			buf_puts(b, "&quot;");
			break;
		case '\'':
			buf_puts(b, "&#39;");
			break;
		default:
			continue;
		}
		p++;
	}
}

/* At most @n bytes, whole characters. */
static void put_begin(struct buf *b, const char *s, size_t n)
{
	char part[LONG_TEXT + 1];

	while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
		n--;
	str_copy(part, MIN(n + 1, sizeof(part)), s);
	html_put(b, part);
}

static void put_fold(struct buf *b, const char *s, const char *open, const char *close)
{
	if (strlen(s) <= LONG_TEXT) {
		buf_puts(b, open);
		html_put(b, s);
		buf_puts(b, close);
		return;
	}
	buf_printf(b, "<details class=\"long\"><summary>%s", open);
	put_begin(b, s, LONG_SHOWN);
	buf_printf(b, "…%s <span class=\"count\">(%zu bytes)</span></summary>%s", close, strlen(s),
		   open);
	html_put(b, s);
	buf_printf(b, "%s</details>", close);
}

void html_text(struct buf *b, const char *s)
{
	put_fold(b, s, "<bdi>", "</bdi>");
}

void html_code(struct buf *b, const char *s)
{
	put_fold(b, s, "<code>", "</code>");
}

void html_codes(struct buf *b, const char *before, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *s = json_string_value(json_array_get(list, i));

		buf_puts(b, i == 0 ? before : ", ");
		html_code(b, s ? s : "");
	}
}

void html_words(struct buf *b, const json_t *list)
{
	_cleanup_buf_ struct buf words = BUF_INIT(1 << 20);

	line_put_value(&words, list);
	html_code(b, words.data ? words.data : "");
}

void html_time(struct buf *b, const char *time, uint64_t begin_ns)
{
	uint64_t ns;

	if (!time_parse(time, &ns))
		return;
	buf_puts(b, "<time datetime=\"");
	html_put(b, time);
	buf_puts(b, "\" title=\"");
	html_put(b, time);
	buf_puts(b, "\">+");
	ns = ns > begin_ns ? ns - begin_ns : 0;
	if (ns < UINT64_C(60000000000))
		buf_printf(b, "%llu.%03llu s", (unsigned long long)(ns / 1000000000),
			   (unsigned long long)(ns / 1000000 % 1000));
	else
		report_duration(b, ns / 1000000);
	buf_puts(b, "</time>");
}

void html_number(struct buf *b, uint64_t n)
{
	char text[24];
	size_t len = (size_t)snprintf(text, sizeof(text), "%llu", (unsigned long long)n);

	for (size_t i = 0; i < len; i++) {
		buf_add(b, &text[i], 1);
		if (i + 1 < len && (len - i - 1) % 3 == 0)
			buf_puts(b, "\u202f"); /* a narrow blank that does not break */
	}
}

void html_times(struct buf *b, uint64_t count)
{
	if (count <= 1)
		return;
	buf_puts(b, " <span class=\"count\">× ");
	html_number(b, count);
	buf_puts(b, "</span>");
}

static void put_lane(struct buf *b, const char *name, const json_t *row, uint64_t bucket_ns)
{
	uint64_t most = 1, total = 0;

	for (size_t i = 0; i < json_array_size(row); i++) {
		uint64_t n = (uint64_t)json_integer_value(json_array_get(row, i));

		most = MAX(most, n);
		total += n;
	}
	if (total == 0)
		return;
	buf_printf(b,
		   "<span>%s</span><svg class=\"%s\" viewBox=\"0 0 %d %d\" "
		   "preserveAspectRatio=\"none\" role=\"img\" aria-label=\"%s: %llu\">",
		   name, name, REPORT_BUCKETS * 4, LANE_HEIGHT, name, (unsigned long long)total);
	for (size_t i = 0; i < json_array_size(row); i++) {
		uint64_t n = (uint64_t)json_integer_value(json_array_get(row, i));
		int height = (int)(4 + (LANE_HEIGHT - 4) * log1p((double)n) / log1p((double)most));

		if (n == 0)
			continue;
		buf_printf(b, "<rect x=\"%zu\" y=\"%d\" width=\"3\" height=\"%d\"><title>%llu at +",
			   i * 4, LANE_HEIGHT - height, height, (unsigned long long)n);
		report_duration(b, i * bucket_ns / 1000000);
		buf_puts(b, "</title></rect>");
	}
	buf_puts(b, "</svg>");
}

static void put_announced(struct buf *b, const json_t *intents, uint64_t begin_ns, uint64_t span)
{
	const json_t *one;
	size_t i;

	if (json_array_size(intents) == 0)
		return;
	buf_printf(b,
		   "<span>announced</span><svg class=\"announced\" viewBox=\"0 0 %d %d\" "
		   "preserveAspectRatio=\"none\" role=\"img\" aria-label=\"announced: %zu\">",
		   REPORT_BUCKETS * 4, LANE_HEIGHT, json_array_size(intents));
	json_array_foreach(intents, i, one)
	{
		uint64_t ns;

		if (!time_parse(report_string(one, "time"), &ns) || ns < begin_ns)
			continue;
		buf_printf(b, "<rect x=\"%d\" y=\"0\" width=\"3\" height=\"%d\"><title>",
			   (int)((double)(ns - begin_ns) / (double)span * (REPORT_BUCKETS * 4 - 3)),
			   LANE_HEIGHT);
		html_put(b, report_string(one, "text"));
		buf_puts(b, "</title></rect>");
	}
	buf_puts(b, "</svg>");
}

void html_lanes(const json_t *root, uint64_t begin_ns, struct buf *b)
{
	const json_t *activity = json_object_get(root, "activity");
	json_t *rows = json_object_get(activity, "lanes");
	uint64_t end_ns;

	if (!time_parse(report_string(activity, "to"), &end_ns))
		return;
	end_ns = MAX(end_ns, begin_ns + 1000000);
	buf_puts(b, "<section><h2>When</h2><div class=\"lanes\">");
	put_announced(b, json_object_get(root, "intents"), begin_ns, end_ns - begin_ns);
	for (void *i = json_object_iter(rows); i; i = json_object_iter_next(rows, i))
		put_lane(b, json_object_iter_key(i), json_object_iter_value(i),
			 (end_ns - begin_ns) / REPORT_BUCKETS);
	buf_puts(b, "<span></span><div class=\"axis\">");
	for (unsigned i = 0; i <= 4; i++) {
		buf_puts(b, "<span>");
		report_duration(b, (end_ns - begin_ns) / 1000000 * i / 4);
		buf_puts(b, "</span>");
	}
	buf_puts(b, "</div></div></section>\n");
}
