/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"

enum option_kind { OPTION_FLAG, OPTION_VALUE, OPTION_LIST };

static const struct run_option {
	const char *name, *key;
	enum option_kind kind;
	const char *form; /* " PATH", "[=false]" or "": what follows the name in the help */
	const char *help;
	const char *not_yet; /* what of it is refused; "": nothing */
} policy_options[] = {
#include "options.inc"
};

enum own_option {
	OWN_PROFILE,
	OWN_DIR,
	OWN_SET,
	OWN_BEST_EFFORT,
	OWN_NO_CACHE,
	OWN_REPORT,
	OWN_NAME,
	OWN_RESUME,
	OWN_DETACH,
	OWN_TTY,
	OWN_JSON,
	OWN_VERBOSE,
	OWN_HELP
};
enum command { RUN = 1, CREATE = 2, PLAN = 4, START = RUN | CREATE, ALL = START | PLAN };

static const char *command_name(enum command of)
{
	return of & RUN ? "run" : of & CREATE ? "create" : "plan";
}

/* The options that are no policy keys. */
static const struct own_option_row {
	const char *name, *letter;
	enum own_option id;
	enum command of;
	const char *form; /* " FILE"; NULL: it takes no value */
	const char *help;
} own_options[] = {
	{ "--profile", "-p", OWN_PROFILE, ALL, " NAME",
	  "a profile's name, or a policy file (with a /)" },
	{ "--dir", "-w", OWN_DIR, START, " DIR[:MODE]",
	  "the workspace; default: the current directory. MODE: direct, read-only, review or scratch" },
	{ "--set", NULL, OWN_SET, ALL, " KEY=VALUE",
	  "override any policy key; KEY+=ITEM adds to a list, KEY=[] empties it" },
	{ "--best-effort", NULL, OWN_BEST_EFFORT, ALL, NULL,
	  "go without layers that are missing here, as named downgrades" },
	{ "--no-cache", NULL, OWN_NO_CACHE, START, NULL,
	  "compile the policy anew, and do not keep it" },
	{ "--report", NULL, OWN_REPORT, START, " FILE",
	  "write how it ended as JSON to a file, fd:N, or - for standard output" },
	{ "--name", NULL, OWN_NAME, START, " NAME",
	  "a sandbox that others can enter: purple exec NAME -- …" },
	{ "--resume", NULL, OWN_RESUME, START, NULL,
	  "with --name: go on in what a sandbox of that name has changed in its workspace" },
	{ "--detach", "-d", OWN_DETACH, RUN, NULL,
	  "go on in the background, with a log; print the name" },
	{ "--tty", "-t", OWN_TTY, RUN, NULL,
	  "with --detach: give it a terminal, for purple attach" },
	{ "--json", NULL, OWN_JSON, PLAN, NULL, "print everything as one JSON object" },
	{ "--verbose", "-v", OWN_VERBOSE, PLAN, NULL, "name every system call" },
	{ "--help", "-h", OWN_HELP, ALL, NULL, "this text" },
};

static int usage_error(struct err *e, enum command of, const char *fmt, ...) _printf_(3, 4);

static int usage_error(struct err *e, enum command of, const char *fmt, ...)
{
	char message[sizeof(e->message)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	err_set(e, EPROTO, "usage", "%s", message);
	err_remedy(e, "`purple %s --help` lists the options%s", command_name(of),
		   of == RUN ? "; the command follows after --" : "");
	return -EPROTO;
}

static int add_override(struct run_options *o, const char *origin, const char *key, const char *op,
			const char *value, struct err *e)
{
	size_t n = strlen(key) + strlen(op) + strlen(value) + 1;
	char *text;

	if (o->overrides_count == RUN_OVERRIDES_MAX)
		return usage_error(e, RUN, "too many options at %s", origin);
	text = malloc(n);
	if (!text)
		return err_set(e, ENOMEM, "usage", "%s", origin);
	stpcpy(stpcpy(stpcpy(text, key), op), value);
	o->overrides[2 * o->overrides_count] = origin;
	o->overrides[2 * o->overrides_count++ + 1] = text;
	return 0;
}

static void take_own(struct run_options *o, enum own_option id, const char *value)
{
	switch (id) {
	case OWN_PROFILE:
		o->profile = value;
		break;
	case OWN_REPORT:
		o->report = streq(value, "-") ? "fd:1" : value;
		break;
	case OWN_NAME:
		o->name = value;
		break;
	case OWN_RESUME:
		o->resume = true;
		break;
	case OWN_DETACH:
		o->detach = true;
		break;
	case OWN_TTY:
		o->tty = true;
		break;
	case OWN_BEST_EFFORT:
		o->best_effort = true;
		break;
	case OWN_NO_CACHE:
		o->no_cache = true;
		break;
	case OWN_JSON:
		o->json = true;
		break;
	case OWN_VERBOSE:
		o->verbose = true;
		break;
	case OWN_HELP:
		o->help = true;
		break;
	case OWN_SET:
	case OWN_DIR:
		break;
	}
}

/* The option of policy_options[] that @name (of length @n) spells, or NULL. */
static const struct run_option *find_policy_option(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(policy_options); i++)
		if (strlen(policy_options[i].name) == n &&
		    memcmp(policy_options[i].name, name, n) == 0)
			return &policy_options[i];
	return NULL;
}

/* Where the value of one word is: behind its name, or in the next word. */
struct word {
	const char *text, *equals; /* @equals: the '=' in it, or its end */
	size_t name_len;
};

/* The row that @w names; *attached: what follows a letter at once, as in -ppython. */
static const struct own_option_row *find_own_option(const struct word *w, const char **attached)
{
	*attached = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(own_options); i++) {
		const struct own_option_row *row = &own_options[i];

		if (strlen(row->name) == w->name_len &&
		    memcmp(row->name, w->text, w->name_len) == 0)
			return row;
		if (!row->letter || strncmp(w->text, row->letter, 2) != 0)
			continue;
		if (w->text[2] == '\0')
			return row;
		if (row->form && w->text[2] != '=') {
			*attached = w->text + 2;
			return row;
		}
	}
	return NULL;
}

/* "DIR:MODE" names the mode as well. A directory of such a name is written with a '/' behind it. */
static int take_dir(struct run_options *o, const char *value, struct err *e)
{
	static const char *const modes[] = { "direct", "read-only", "review", "scratch" };
	const char *colon = strrchr(value, ':');

	o->workspace = value;
	for (size_t i = 0; colon && i < ARRAY_SIZE(modes); i++) {
		if (!streq(colon + 1, modes[i]))
			continue;
		o->workspace = colon == value ? NULL : strndup(value, (size_t)(colon - value));
		if (colon != value && !o->workspace)
			return err_set(e, ENOMEM, "usage", "--dir");
		return add_override(o, "--dir", "filesystem.workspace", "=", modes[i], e);
	}
	return 0;
}

int run_options_resume(struct run_options *o, const char *workspace, struct err *e)
{
	static const char key[] = "filesystem.workspace";

	if (!o->workspace)
		o->workspace = workspace;
	for (size_t i = 0; i < o->overrides_count; i++)
		if (str_after(o->overrides[2 * i + 1], key))
			return 0;
	return add_override(o, "--resume", key, "=", "review", e);
}

static int parse_own(const struct own_option_row *row, const struct word *w, const char *value,
		     char **argv, int *i, enum command of, struct run_options *o, struct err *e)
{
	if (!(row->of & of))
		return usage_error(e, of, "%s is an option of `purple %s`, not of `purple %s`",
				   row->name, command_name(row->of), command_name(of));
	if (!row->form && *w->equals == '=')
		return usage_error(e, of, "%s takes no value", row->name);
	if (!row->form)
		value = "";
	else if (!value)
		value = *w->equals == '=' ? w->equals + 1 : argv[++*i];
	if (row->form && (!value || *value == '\0'))
		return usage_error(e, of, "%s needs a value", w->text);
	if (row->id == OWN_SET)
		return add_override(o, "--set", value, "", "", e);
	if (row->id == OWN_DIR)
		return take_dir(o, value, e);
	take_own(o, row->id, value);
	return 0;
}

/* The names that are nearest to @text, "--X=…" or "-XY"; "" when none is near. */
static void guess(const char *text, size_t n, enum command of, char *ret, size_t size)
{
	unsigned best = n < 8 ? 2 : 3, d; /* more than two letters wrong are another word */
	char name[40], one[40];

	ret[0] = '\0';
	if (text[1] != '-' || n < 4 || n >= sizeof(name))
		return;
	memcpy(name, text, n);
	name[n] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(own_options) + ARRAY_SIZE(policy_options); i++) {
		const char *p = i < ARRAY_SIZE(own_options)
					? own_options[i].name
					: policy_options[i - ARRAY_SIZE(own_options)].name;

		if (i < ARRAY_SIZE(own_options) && !(own_options[i].of & of))
			continue;
		snprintf(one, sizeof(one), "%s%s", i < ARRAY_SIZE(own_options) ? "" : "--", p);
		d = str_distance(name, one);
		if (d < best) {
			best = d;
			snprintf(ret, size, "; did you mean %s?", one);
		}
	}
}

static int unknown(const char *text, size_t n, enum command of, struct err *e)
{
	char near[64];

	guess(text, n, of, near, sizeof(near));
	return usage_error(e, of, "unknown option %s%s", text, near);
}

/* "-dt": several letters in one word, when none of them takes a value. */
static bool parse_letters(const char *word, enum command of, struct run_options *o)
{
	const char *p = word + 1;

	for (int take = 0; take < 2; take++)
		for (p = word + 1; *p; p++) {
			const struct own_option_row *row = NULL;

			for (size_t i = 0; i < ARRAY_SIZE(own_options); i++)
				if (own_options[i].letter && own_options[i].letter[1] == *p)
					row = &own_options[i];
			if (!row || row->form || !(row->of & of))
				return false;
			if (take)
				take_own(o, row->id, "");
		}
	return p > word + 2;
}

/* One word of argv that starts with '-'. @i is moved past its value. */
static int parse_one(char **argv, int *i, enum command of, struct run_options *o, struct err *e)
{
	const char *text = argv[*i], *next = argv[*i + 1], *value;
	struct word w = { .text = text, .equals = strchrnul(text, '=') };
	const struct own_option_row *own;
	const struct run_option *p;
	char *name = NULL;
	int r;

	w.name_len = (size_t)(w.equals - text);
	own = find_own_option(&w, &value);
	if (own)
		return parse_own(own, &w, value, argv, i, of, o, e);
	if (parse_letters(text, of, o))
		return 0;
	p = w.name_len > 2 && text[1] == '-' ? find_policy_option(text + 2, w.name_len - 2) : NULL;
	if (!p)
		return unknown(text, w.name_len, of, e);
	if (p->kind == OPTION_FLAG && *w.equals != '=' && next &&
	    (streq(next, "true") || streq(next, "false")))
		return usage_error(e, of, "%s %s: write %s=%s, or -- before a command of that name",
				   text, next, text, next);
	if (*w.equals == '=')
		value = w.equals + 1;
	else
		value = p->kind == OPTION_FLAG ? "true" : argv[++*i];
	if (!value)
		return usage_error(e, of, "%s needs a value", text);
	/* What diagnostics call it: without the value. */
	if (*w.equals == '=') {
		name = strndup(text, w.name_len);
		if (!name)
			return err_set(e, ENOMEM, "usage", "--%s", p->name);
	}
	r = add_override(o, name ? name : text, p->key, p->kind == OPTION_LIST ? "+=" : "=", value,
			 e);
	if (r < 0)
		free(name);
	return r;
}

static int parse(int argc, char **argv, enum command of, struct run_options *o, struct err *e)
{
	int i = 1, r;

	memset(o, 0, sizeof(*o));
	o->profile = "default";
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (streq(argv[i], "--")) {
			i++;
			break;
		}
		r = parse_one(argv, &i, of, o, e);
		if (r < 0)
			return r;
	}
	o->command = argv + i;
	return 0;
}

int run_options_parse(int argc, char **argv, struct run_options *o, struct err *e)
{
	return parse(argc, argv, RUN, o, e);
}

int create_options_parse(int argc, char **argv, struct run_options *o, struct err *e)
{
	int r = parse(argc, argv, CREATE, o, e);

	o->create = o->detach = true;
	if (r == 0 && !o->name && o->command[0])
		o->name = *o->command++;
	return r;
}

int plan_options_parse(int argc, char **argv, struct run_options *o, struct err *e)
{
	int r = parse(argc, argv, PLAN, o, e);

	if (r < 0 || !o->command[0] || o->help)
		return r;
	return usage_error(e, PLAN, "unexpected word %s: `purple plan` takes no command",
			   o->command[0]);
}

enum { COLUMN = 28, WIDTH = 96 };

/* @text from COLUMN on, in as many lines as it takes; *at: where the last one ends. */
static void put_wrapped(struct buf *b, const char *text, size_t *at)
{
	while (*text != '\0') {
		size_t word = strcspn(text, " ");

		if (*at > COLUMN && *at + 1 + word > WIDTH) {
			buf_printf(b, "\n%*s", COLUMN, "");
			*at = COLUMN;
		} else if (*at > COLUMN) {
			buf_puts(b, " ");
			++*at;
		}
		buf_add(b, text, word);
		*at += word;
		text += word;
		text += strspn(text, " ");
	}
}

static void put_option(int fd, const char *letter, const char *name, const char *form,
		       const char *help, const char *not_yet)
{
	_cleanup_buf_ struct buf b = BUF_INIT(4096);
	size_t at = COLUMN;

	buf_printf(&b, "  %s%s%s%s", letter ? letter : "", letter ? ", " : "", name,
		   form ? form : "");
	do
		buf_puts(&b, " ");
	while (b.len < COLUMN);
	put_wrapped(&b, help, &at);
	if (not_yet[0] != '\0') {
		put_wrapped(&b, not_yet, &at);
		buf_puts(&b, ".");
	}
	buf_puts(&b, "\n");
	if (!b.failed)
		write_full(fd, b.data, b.len);
}

static void put_options(int fd, enum command of)
{
	static const char head[] =
		"\nEach of these sets one policy key (`purple profile explain`). A switch is off "
		"with =false.\n";
	char name[64];

	for (size_t i = 0; i < ARRAY_SIZE(own_options); i++)
		if (own_options[i].of & of)
			put_option(fd, own_options[i].letter, own_options[i].name,
				   own_options[i].form, own_options[i].help, "");
	write_full(fd, head, sizeof(head) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(policy_options); i++) {
		const struct run_option *p = &policy_options[i];

		stpcpy(stpcpy(name, "--"), p->name);
		put_option(fd, NULL, name, p->form, p->help, p->not_yet);
	}
}

void run_options_help(int fd)
{
	put_options(fd, RUN);
}

void create_options_help(int fd)
{
	put_options(fd, CREATE);
}

void plan_options_help(int fd)
{
	put_options(fd, PLAN);
}
