/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/diag.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* One line, whatever hostile text is in it. */
static void put_escaped(struct buf *out, const char *s)
{
	char c[5];

	while (*s != '\0') {
		s += str_printable(s, c);
		buf_puts(out, c);
	}
}

static void put_line(struct diags *d, struct pos pos, const char *path, const char *kind,
		     const char *fmt, va_list ap) __attribute__((__format__(__printf__, 5, 0)));

static void put_line(struct diags *d, struct pos pos, const char *path, const char *kind,
		     const char *fmt, va_list ap)
{
	char message[1024];

	vsnprintf(message, sizeof(message), fmt, ap);
	put_escaped(&d->text, pos.file ? pos.file : "policy");
	if (pos.file && pos.line > 0)
		buf_printf(&d->text, ":%u:%u", pos.line, pos.column);
	buf_puts(&d->text, ": ");
	if (path[0] != '\0') {
		put_escaped(&d->text, path);
		buf_puts(&d->text, ": ");
	}
	buf_puts(&d->text, kind);
	put_escaped(&d->text, message);
	buf_puts(&d->text, "\n");
}

/* True if one more is to be printed. */
static bool take(const struct diags *d)
{
	return d->errors + d->warnings < DIAGS_MAX;
}

/* Whoever goes through a list stops at the last one, too. */
static void count(struct diags *d, unsigned *kind)
{
	++*kind;
	if (d->errors + d->warnings == DIAGS_MAX)
		buf_printf(&d->text, "policy: these are the first %d faults; there may be more\n",
			   DIAGS_MAX);
}

int diag_error(struct diags *d, struct pos pos, const char *path, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (take(d))
		put_line(d, pos, path, "", fmt, ap);
	va_end(ap);
	count(d, &d->errors);
	return -EINVAL;
}

void diag_warn(struct diags *d, struct pos pos, const char *path, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (take(d))
		put_line(d, pos, path, "warning: ", fmt, ap);
	va_end(ap);
	count(d, &d->warnings);
}

void diags_free(struct diags *d)
{
	buf_free(&d->text);
}
