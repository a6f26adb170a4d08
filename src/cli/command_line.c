/* SPDX-License-Identifier: Apache-2.0 */
/* The command line and the output of purple-sandbox's commands. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/sandboxes.h"

static int usage_error(const struct command_line *c, const char *message, const char *what,
		       struct err *e)
{
	err_set(e, EPROTO, "usage", "%s%.80s", message, what);
	err_remedy(e, "%s", c->usage);
	return -EPROTO;
}

static void put_help(const struct command_line *c)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 16);

	buf_printf(&b, "usage: %s\n\n", c->usage);
	for (const char *const *line = c->help; *line; line++)
		buf_printf(&b, "%s\n", *line);
	command_output(&b);
}

static const struct option_word *find_option(const struct command_line *c, const char *word,
					     const char **value)
{
	for (size_t i = 0; i < c->options_count; i++) {
		const struct option_word *o = &c->options[i];
		const char *rest;

		if (word[1] != '-') {
			if (!o->letter || word[1] != o->letter)
				continue;
			/* -t5 as well as -t 5 */
			*value = word[2] ? word + 2 : NULL;
			return o->flag && *value ? NULL : o;
		}
		rest = str_after(word + 2, o->name);
		if (rest && (*rest == '\0' || *rest == '=')) {
			*value = *rest ? rest + 1 : NULL;
			return o->flag && *value ? NULL : o;
		}
	}
	return NULL;
}

/* "-aq": several letters in one word, when none of them takes a value. */
static bool take_flags(const struct command_line *c, const char *word)
{
	for (int take = 0; take < 2; take++)
		for (const char *p = word + 1; *p; p++) {
			const struct option_word *o = NULL;

			for (size_t i = 0; i < c->options_count; i++)
				if (c->options[i].letter == *p)
					o = &c->options[i];
			if (!o || !o->flag)
				return false;
			if (take)
				*o->flag = true;
		}
	return true;
}

int command_line(const struct command_line *c, int argc, char **argv, int *names, struct err *e)
{
	bool options = true;

	*names = 0;
	for (int i = 1; i < argc; i++) {
		const struct option_word *o;
		const char *value = NULL, *word = argv[i];

		if (!options || argv[i][0] != '-' || argv[i][1] == '\0') {
			argv[(*names)++] = argv[i];
			continue;
		}
		if (streq(argv[i], "--")) {
			options = false;
			continue;
		}
		if (streq(argv[i], "-h") || streq(argv[i], "--help")) {
			put_help(c);
			return 1;
		}
		o = find_option(c, argv[i], &value);
		if (!o && take_flags(c, argv[i]))
			continue;
		if (!o)
			return usage_error(c, "there is no option ", argv[i], e);
		if (o->flag) {
			*o->flag = true;
			continue;
		}
		if (!value && i + 1 < argc)
			value = argv[++i];
		if (!value || *value == '\0')
			return usage_error(c, "a value is missing after ", word, e);
		if (o->values && o->values->count == OPTION_VALUES_MAX)
			return usage_error(c, "too often: ", word, e);
		if (o->values)
			o->values->items[o->values->count++] = value;
		else
			*o->value = value;
	}
	if (*names < c->least)
		return usage_error(c, *names ? "one word too few" : "no sandbox is named", "", e);
	if (c->most >= 0 && *names > c->most)
		return usage_error(c, "one too many: ", argv[c->most], e);
	return 0;
}

int command_failed(const struct err *e)
{
	err_print(e);
	return e->exit_code ? e->exit_code : EXIT_PURPLE;
}

int command_output(const struct buf *out)
{
	struct err e = { 0 };
	int r = out->failed ? -ENOMEM
			    : write_full(STDOUT_FILENO, out->data ? out->data : "", out->len);

	if (r == 0)
		return 0;
	err_set(&e, r, "output", "write");
	return command_failed(&e);
}

/* How much of @s, from its begin, shows as it is, a byte a column: most of all cells. */
static size_t plain_length(const char *s)
{
	size_t n = 0;

	while (s[n] >= 0x20 && s[n] < 0x7f && s[n] != '\\')
		n++;
	return n;
}

/* Characters, each one column: names and numbers are; of others the last cell only suffers. */
size_t cell_width(const char *s)
{
	size_t width = plain_length(s);
	char out[5];

	s += width;
	while (*s) {
		s += str_printable(s, out);
		width += out[0] == '\\' && out[1] ? strlen(out) : 1;
	}
	return width;
}

static void put_blanks(struct buf *b, size_t n)
{
	static const char blanks[] = "                                ";

	for (; n > 0; n -= MIN(n, sizeof(blanks) - 1))
		buf_add(b, blanks, MIN(n, sizeof(blanks) - 1));
}

void put_cell(struct buf *b, const char *s, size_t columns, bool pad)
{
	size_t width = 0, all = columns && !pad ? cell_width(s) : 0, plain = plain_length(s);
	char out[5];

	if (all <= columns) {
		buf_add(b, s, plain);
		width = plain;
		s += plain;
	}
	while (*s) {
		size_t n = str_printable(s, out), w = out[0] == '\\' && out[1] ? strlen(out) : 1;

		if (all > columns && width + w + 1 > columns) {
			buf_puts(b, "…");
			return;
		}
		buf_puts(b, out);
		width += w;
		s += n;
	}
	if (pad && width < columns)
		put_blanks(b, columns - width);
}
