/* SPDX-License-Identifier: Apache-2.0 */
/* The key table for people: `purple profile explain` and purple-policy(5). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/cmd_profile.h"
#include "policy/keys.h"

enum { WRAP = 76 };

/* @text in lines of at most WRAP columns, each behind four blanks. */
static void put_wrapped(struct buf *out, const char *text)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t word = strcspn(text, " ");

		if (column > 0 && column + 1 + word > WRAP - 4) {
			buf_puts(out, "\n");
			column = 0;
		}
		buf_puts(out, column == 0 ? "    " : " ");
		buf_add(out, text, word);
		column += word + 1;
		text += word;
		text += strspn(text, " ");
	}
	buf_puts(out, "\n");
}

/* "a size such as 512M or 2G, 1M to 1024T"; "strict or best-effort" */
static void type_text(const struct policy_key *k, char *buf, size_t size)
{
	char range[80];
	size_t n = 0;

	policy_key_range(k, range, sizeof(range));
	buf[0] = '\0';
	if (k->type != KEY_ENUM) {
		snprintf(buf, size, "%s%s%s", policy_key_type_text(k), range[0] ? ", " : "", range);
		return;
	}
	for (int i = 0; k->names[i] && n < size; i++) {
		const char *lead = i == 0 ? "" : k->names[i + 1] ? ", " : " or ";

		n += (size_t)snprintf(buf + n, size - n, "%s%s", lead, k->names[i]);
	}
}

static void put_key(struct buf *out, const struct policy_key *k)
{
	char type[256], not_yet[128];

	type_text(k, type, sizeof(type));
	policy_key_not_yet(k, not_yet, sizeof(not_yet));
	buf_printf(out, "%s: %s\n", k->path, type);
	put_wrapped(out, k->help);
	if (not_yet[0] != '\0')
		buf_printf(out, "    %s.\n", not_yet);
	buf_puts(out, "    ");
	if (k->status == KEY_NO_EFFECT)
		buf_puts(out, "Accepted, with a warning: it has no effect.");
	else if (k->fallback)
		buf_printf(out, "Default: %s.", k->fallback);
	else
		buf_puts(out, "Default: none.");
	if (k->form)
		buf_printf(out, " Example: %s", k->form);
	if (k->option)
		buf_printf(out, " Option: --%s", k->option);
	buf_puts(out, "\n");
	for (size_t i = 0; i < ARRAY_SIZE(k->aliases); i++)
		if (k->aliases[i])
			buf_printf(out, "    Also written %s.\n", k->aliases[i]);
	buf_puts(out, "\n");
}

int profile_explain(const char *key, struct buf *out)
{
	const struct policy_key *one = policy_key(key);

	if (one) {
		put_key(out, one);
		return 0;
	}
	if (key[0] != '\0' && !policy_section(key))
		return -ENOENT;
	for (size_t i = 0; i < policy_keys_count; i++) {
		const char *rest = str_after(policy_keys[i].path, key);

		if (rest && (key[0] == '\0' || *rest == '.'))
			put_key(out, &policy_keys[i]);
	}
	return 0;
}

/* Text for troff: '\' and '-' are escaped, and no line starts with a control character. */
static void put_troff(struct buf *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		buf_puts(out, "\\&");
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			buf_puts(out, "\\e");
		else if (*text == '-')
			buf_puts(out, "\\-");
		else
			buf_add(out, text, 1);
	}
}

static void put_man_key(struct buf *out, const struct policy_key *k)
{
	char type[256], not_yet[128];

	type_text(k, type, sizeof(type));
	policy_key_not_yet(k, not_yet, sizeof(not_yet));
	buf_puts(out, ".TP\n.B ");
	put_troff(out, k->path);
	buf_puts(out, "\n");
	put_troff(out, k->help);
	if (not_yet[0] != '\0')
		buf_printf(out, "\n.B %s.", not_yet);
	buf_puts(out, "\n.br\nValue: ");
	put_troff(out, type);
	if (k->status == KEY_NO_EFFECT) {
		buf_puts(out, ". Accepted, with a warning: it has no effect");
	} else {
		buf_puts(out, ". Default: ");
		put_troff(out, k->fallback ? k->fallback : "none");
	}
	if (k->form) {
		buf_puts(out, ". Example: ");
		put_troff(out, k->form);
	}
	if (k->option) {
		buf_puts(out, ". Option: \\-\\-");
		put_troff(out, k->option);
	}
	buf_puts(out, "\n");
}

static const char man_head[] =
	".\\\" SPDX-License-Identifier: Apache-2.0\n"
	".\\\" Written by `purple profile man` from the key table.\n"
	".TH PURPLE\\-POLICY 5 \"\" \"Purple\" \"Purple Manual\"\n"
	".SH NAME\npurple\\-policy \\- what one sandbox may do\n"
	".SH DESCRIPTION\n"
	"A policy is a YAML file with the sections below. It is looked up by name in\n"
	".IR /etc/purple/profiles ,\n"
	".I $XDG_CONFIG_HOME/purple/profiles\n"
	"and the profiles that come with Purple, in this order; a name with a \\(aq/\\(aq is a file.\n"
	"An unknown key, a wrong type and a value out of range are errors, and\n"
	".B purple profile check\nreports them all.\n"
	"What is marked as not supported yet is checked too, but a run with it is refused.\n"
	".PP\n"
	"Paths are absolute, or start with\n.B ~/\n(the home directory),\n.B .\n"
	"(the workspace) or one of\n"
	".B ${HOME} ${WORKSPACE} ${XDG_CONFIG_HOME} ${XDG_CACHE_HOME} ${XDG_DATA_HOME};\n"
	".B ${USER}\nmay stand further on. There is no \\(aq..\\(aq in them.\n"
	"Units of sizes are powers of 1024.\n"
	".PP\n"
	"A key may stand outside of its section with its whole name, as a refusal names it:\n"
	".BR \"network.allow_outgoing: [api.example.com]\" .\n"
	"It then adds to what the section says before it, or changes that, any number of times.\n";

static const char man_tail[] =
	".SH EXAMPLE\n.nf\n"
	"name: tests\n"
	"extends: default\n"
	"filesystem:\n"
	"  immutable_paths:\n"
	"    \\- /opt/toolchain\n"
	"    \\- {host_path: /srv/data, sandbox_path: /data, optional: true}\n"
	"resources:\n"
	"  pids_limit: 256\n"
	"environment:\n"
	"  pass: [CI, \"CARGO_*\"]\n"
	"  set: {RUST_BACKTRACE: 1}\n"
	".fi\n"
	".SH SEE ALSO\n.BR purple (1)\n";

void profile_man(struct buf *out)
{
	const char *section = "";
	size_t len = 0;

	buf_puts(out, man_head);
	buf_puts(out, ".SH KEYS\n");
	for (size_t i = 0; i < policy_keys_count; i++) {
		const struct policy_key *k = &policy_keys[i];
		const char *dot = strchr(k->path, '.');
		size_t n = dot ? (size_t)(dot - k->path) : 0;

		if (n != len || strncmp(section, k->path, n) != 0) {
			section = k->path;
			len = n;
			if (n > 0)
				buf_printf(out, ".SS %.*s\n", (int)n, section);
			else
				buf_puts(out, ".SS Older sections\n");
		}
		put_man_key(out, k);
	}
	buf_puts(out, man_tail);
}
