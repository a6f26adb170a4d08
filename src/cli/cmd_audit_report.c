/* SPDX-License-Identifier: Apache-2.0 */
/* purple audit report: the account of one sandbox, in three forms. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/audit_report.h"
#include "cli/cmd_audit.h"
#include "cli/dirs.h"
#include "cli/sandboxes.h"

enum { EXIT_DAMAGED = 1, REPORT_MAX = 256 << 20 };

static int add_json(const char *data, size_t len, void *arg)
{
	buf_add(arg, data, len);
	return 0;
}

static void report_json(const json_t *root, struct buf *b)
{
	json_dump_callback(root, add_json, b, JSON_INDENT(2));
	buf_puts(b, "\n");
}

static const struct {
	const char *name;
	void (*put)(const json_t *root, struct buf *b);
} forms[] = { { "text", report_text }, { "json", report_json }, { "html", report_html } };

struct options {
	const char *format, *output, *file, *rules;
	bool json;
};

static int load_rules(struct intent_rules *rules, const char *path, struct err *e)
{
	static struct dirs dirs;
	char shipped[PATH_MAX];
	int r;

	if (path)
		return intent_rules_load(rules, path, e);
	r = dirs_init(&dirs);
	if (r < 0)
		return err_set(e, r, "rules", "where Purple is installed");
	snprintf(shipped, sizeof(shipped), "%s/share/purple/intent.yaml", dirs.prefix);
	return intent_rules_load(rules, shipped, e);
}

static int gather(struct report *p, const struct report_subject *s, const char *file,
		  uint64_t *damaged, struct err *e)
{
	_cleanup_trail_reader_ struct trail_reader r = TRAIL_READER_INIT;
	int n = trail_reader_open(&r, file, false, e);

	while (n >= 0) {
		_cleanup_line_ struct trail_line l = { 0 };

		n = trail_reader_next(&r, &l, e);
		if (n <= 0)
			break;
		if (streq(l.sandbox, s->id))
			report_add(p, &l);
	}
	if (n < 0)
		return n;
	json_object_set_new(json_object_get(p->root, "trail"), "file", json_string(r.path));
	report_end(p, &r);
	*damaged = r.damaged;
	return 0;
}

static int put_out(const struct buf *b, const char *path, struct err *e)
{
	_cleanup_close_ int fd = -1;
	int r = b->failed ? -ENOMEM : 0;

	if (path && !streq(path, "-")) {
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
		r = r < 0 ? r : fd < 0 ? -errno : 0;
	}
	if (r == 0)
		r = write_full(fd >= 0 ? fd : STDOUT_FILENO, b->data, b->len);
	if (r < 0 && !(r == -EPIPE && fd < 0))
		return err_set(e, r, "output", "%.400s", path ? path : "write");
	return 0;
}

static int find(const char *name, const char *file, struct report_subject *s, struct err *e)
{
	_cleanup_trail_reader_ struct trail_reader r = TRAIL_READER_INIT;
	int n = trail_reader_open(&r, file, false, e);

	r.quiet = true; /* it is said when all is read */
	r.only = name;
	return n < 0 ? n : report_find(&r, name, s, e);
}

static int make(const struct options *o, const char *name, size_t form, uint64_t *damaged,
		struct err *e)
{
	_cleanup_(intent_rules_free) struct intent_rules rules = { 0 };
	_cleanup_buf_ struct buf b = BUF_INIT(REPORT_MAX);
	_cleanup_(report_free) struct report p = { 0 };
	struct report_subject s;
	int r = load_rules(&rules, o->rules, e);

	if (r == 0)
		r = find(name, o->file, &s, e);
	if (r == 0 && report_begin(&p, &s, &rules) < 0)
		r = err_set(e, ENOMEM, "audit", "memory");
	if (r == 0)
		r = gather(&p, &s, o->file, damaged, e);
	if (r < 0)
		return r;
	if (s.sandboxes > 1)
		fprintf(stderr, "purple: audit: %llu sandboxes had this name; this is the last\n",
			(unsigned long long)s.sandboxes);
	forms[form].put(p.root, &b);
	return put_out(&b, o->output, e);
}

static const char *const report_help[] = {
	"Tells from the audit trail what a sandbox did: its life, its processes, whom it reached",
	"and was refused, what it wrote outside the workspace, and what it had not announced by",
	"`purple intent`. Exits 1 if the trail has damaged lines, which are named and left out.",
	"",
	"  --format FORMAT     text, json, or html: one file that needs nothing else",
	"  --json              the same as --format json",
	"  -o, --output FILE   write it there",
	"  --rules FILE        what counts as not announced, instead of the rules that are shipped",
	"                      in share/purple/intent.yaml",
	"  --file TRAIL        this trail instead of one's own",
	"  -h, --help          this text",
	NULL,
};

int cmd_audit_report(int argc, char **argv)
{
	struct options o = { .format = "text" };
	const struct option_word options[] = {
		{ 0, "format", &o.format, NULL },   { 0, "json", NULL, &o.json },
		{ 'o', "output", &o.output, NULL }, { 0, "rules", &o.rules, NULL },
		{ 0, "file", &o.file, NULL },
	};
	const struct command_line line = {
		report_help, "purple audit report [OPTION…] NAME", options, ARRAY_SIZE(options), 1,
		1,
	};
	struct err e = { 0 };
	uint64_t damaged = 0;
	size_t form = 0;
	int names, r = command_line(&line, argc, argv, &names, &e);

	if (r == 1)
		return 0;
	if (o.json)
		o.format = "json";
	while (form < ARRAY_SIZE(forms) && !streq(forms[form].name, o.format))
		form++;
	if (r == 0 && form == ARRAY_SIZE(forms)) {
		r = err_set(&e, EPROTO, "usage", "there is no format %.40s; text, json or html",
			    o.format);
		err_remedy(&e, "%s", line.usage);
	}
	if (r == 0)
		r = make(&o, argv[0], form, &damaged, &e);
	if (r < 0)
		return command_failed(&e);
	return damaged > 0 ? EXIT_DAMAGED : 0;
}
