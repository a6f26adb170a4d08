/* SPDX-License-Identifier: Apache-2.0 */
/* purple intent: what an agent is about to do, told to its supervisor, who writes it down. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/sandboxes.h"
#include "policy/keys.h"

static const char *const help[] = {
	"Writes into the audit trail of a running sandbox what is to be done in it next. `purple",
	"audit report` holds what happens until the next intent against it, and marks what was not",
	"announced: a new host, a write outside the expected paths, another program.",
	"",
	"      --text TEXT       what it is",
	"      --expect KIND:PATTERN",
	"                        what comes with it; may be repeated: host:api.example.com,",
	"                        host:*.example.com:443, write:/srv/data/**, read:/etc/app/*,",
	"                        exec:git; kinds are those of the report's rules",
	"  -h, --help            this text",
	NULL,
};

/* Text and expectations, each with its NUL. */
static int gather(const char *text, const struct option_values *expect, struct control_message *m,
		  struct err *e)
{
	size_t at = 0;

	for (int i = -1; i < expect->count; i++) {
		const char *s = i < 0 ? text : expect->items[i];
		size_t n = strlen(s) + 1;

		if (n > sizeof(m->bytes) - at) {
			err_set(e, E2BIG, "usage", "text and expectations have more than %zu bytes",
				sizeof(m->bytes));
			return -E2BIG;
		}
		memcpy(m->bytes + at, s, n);
		at += n;
	}
	m->head = CONTROL_HEAD(CONTROL_INTENT, 0, at);
	return 0;
}

/*
 * Rules of one's own may have kinds of their own (`purple audit report --rules`); what is like one
 * of ours is a slip.
 */
static int check_kind(const char *s, size_t n, struct err *e)
{
	static const char *const kinds[] = { "host", "write", "read", "exec", NULL };
	char kind[32] = "";
	const char *near;

	snprintf(kind, sizeof(kind), "%.*s", (int)MIN(n, sizeof(kind) - 1), s);
	for (size_t i = 0; kinds[i]; i++)
		if (streq(kind, kinds[i]))
			return 0;
	near = names_nearest(kinds, kind);
	if (near) {
		err_set(e, EPROTO, "usage", "--expect %.100s: there is no kind %s", s, kind);
		err_remedy(e, "did you mean %s%.100s?", near, s + n);
		return -EPROTO;
	}
	err_set(e, EPROTO, "usage", "--expect %.100s: no rule that is shipped has the kind %s", s,
		kind);
	err_remedy(e, "kinds are host, write, read and exec; others take --rules for the report");
	err_print(e);
	*e = (struct err){ 0 };
	return 0;
}

static int check(const char *text, const struct option_values *expect, struct err *e)
{
	if (!text) {
		err_set(e, EPROTO, "usage", "--text is missing");
		err_remedy(e, "purple intent NAME --text 'run the tests' --expect exec:make");
		return -EPROTO;
	}
	for (int i = 0; i < expect->count; i++) {
		const char *s = expect->items[i];
		size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz");

		if (n == 0 || s[n] != ':' || s[n + 1] == '\0') {
			err_set(e, EPROTO, "usage", "%.100s is no KIND:PATTERN", s);
			err_remedy(e, "host:api.example.com, write:/srv/data/**, exec:git");
			return -EPROTO;
		}
		if (check_kind(s, n, e) < 0)
			return -EPROTO;
	}
	return 0;
}

static int tell(const char *name, struct control_message *m, struct err *e)
{
	_cleanup_sandbox_ struct found_sandbox f = FOUND_SANDBOX_INIT;
	_cleanup_close_ int fd = -1;
	int r = sandbox_find(&f, name, e);

	if (r < 0)
		return r;
	fd = sandbox_talk(&f, false, e);
	if (fd < 0)
		return fd;
	r = control_send(fd, m, NULL, 0, 0);
	if (r < 0 && r != -EPIPE)
		return err_set(e, r, "state", "tell the supervisor of %.80s", name);
	return sandbox_hear(fd, f.sandbox.state.name, false, CONTROL_OK, m, e);
}

int cmd_intent(int argc, char **argv)
{
	static struct control_message m;
	struct option_values expect = { 0 };
	const char *text = NULL;
	const struct option_word options[] = {
		{ 0, "text", &text, NULL, NULL },
		{ 0, "expect", NULL, NULL, &expect },
	};
	const struct command_line line = {
		help,	 "purple intent NAME --text TEXT [--expect KIND:PATTERN]…",
		options, ARRAY_SIZE(options),
		1,	 1,
	};
	struct err e = { 0 };
	int names, r = command_line(&line, argc, argv, &names, &e);

	if (r == 1)
		return 0;
	if (r == 0)
		r = check(text, &expect, &e);
	if (r == 0)
		r = gather(text, &expect, &m, &e);
	if (r == 0)
		r = tell(argv[0], &m, &e);
	return r < 0 ? command_failed(&e) : 0;
}
