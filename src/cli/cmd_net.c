/* SPDX-License-Identifier: Apache-2.0 */
/* net allow and net deny: rules to the supervisor, which has purple-net take them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/cmd_net.h"
#include "policy/check.h"

static const char *const help[] = {
	"Shows what a running sandbox does on the network, and changes what it may reach.",
	"",
	"  show [--json] NAME   connections, the rules now in force, what was refused",
	"  allow NAME RULE…     let it reach what a rule says: api.example.com:443, \"*.example.com\",",
	"                       10.0.0.0/8:5432; as network.allow_outgoing has them",
	"  deny NAME RULE…      take a rule out of the list; one that is not listed is blocked",
	"",
	"Connections that are not allowed any more are cut at once. All of it ends with the sandbox:",
	"the policy stays as it is. What its author has locked cannot be changed.",
	"",
	"  -h, --help           this text",
	NULL,
};

#define USAGE \
	"purple net show [--json] NAME, purple net allow NAME RULE…, purple net deny NAME RULE…"

/* All of them by the policy's own parser, in its one spelling, each with its NUL. */
static int gather(char **rules, int count, struct control_message *m, struct err *e)
{
	struct arena a = ARENA_INIT(1 << 20);
	size_t at = 0;
	int r = 0;

	for (int i = 0; i < count && r == 0; i++) {
		struct check_why why = { "" };
		const char *text = rules[i];

		if (check_net_rule(&a, rules[i], &text, &why) < 0) {
			r = err_set(e, EPROTO, "network", "%.300s", why.text);
			break;
		}
		if (why.text[0])
			fprintf(stderr, "purple: network: warning: %s\n", why.text);
		if (strlen(text) + 1 > sizeof(m->bytes) - at)
			r = err_set(e, E2BIG, "usage", "too many rules at once");
		else
			at += (size_t)(stpcpy(m->bytes + at, text) - (m->bytes + at)) + 1;
	}
	m->head.size = (uint32_t)(sizeof(m->head) + at);
	arena_free(&a);
	return r;
}

static int change(const char *name, char **rules, int count, bool allow, struct err *e)
{
	_cleanup_sandbox_ struct found_sandbox f = FOUND_SANDBOX_INIT;
	static struct control_message m;
	_cleanup_close_ int fd = -1;
	int r;

	m.head = CONTROL_HEAD(allow ? CONTROL_NET_ALLOW : CONTROL_NET_DENY, 0, 0);
	r = gather(rules, count, &m, e);
	if (r == 0)
		r = sandbox_find(&f, name, e);
	if (r < 0)
		return r;
	fd = sandbox_talk(&f, false, e);
	if (fd < 0)
		return fd;
	r = control_send(fd, &m, NULL, 0, 0);
	if (r < 0 && r != -EPIPE)
		return err_set(e, r, "state", "ask the supervisor of %.80s", name);
	r = sandbox_hear(fd, f.sandbox.state.name, false, CONTROL_OK, &m, e);
	if (r == 0 && m.head.value)
		printf("%u %s cut\n", m.head.value,
		       m.head.value == 1 ? "connection was" : "connections were");
	return r;
}

static int cmd_change(int argc, char **argv, bool allow)
{
	const struct command_line line = { help, USAGE, NULL, 0, 2, -1 };
	struct err e = { 0 };
	int names, r = 0;

	if (argc == 2 && argv[1][0] != '-') {
		r = err_set(&e, EPROTO, "usage", "no rule is given");
		err_remedy(&e, "purple net %s %.80s api.example.com:443", allow ? "allow" : "deny",
			   argv[1]);
	} else {
		r = command_line(&line, argc, argv, &names, &e);
	}
	if (r == 1)
		return 0;
	if (r == 0)
		r = change(argv[0], argv + 1, names - 1, allow, &e);
	return r < 0 ? command_failed(&e) : 0;
}

static int cmd_show(int argc, char **argv)
{
	bool json = false;
	const struct option_word options[] = { { 0, "json", NULL, &json } };
	const struct command_line line = { help, USAGE, options, ARRAY_SIZE(options), 1, 1 };
	struct err e = { 0 };
	int names, r = command_line(&line, argc, argv, &names, &e);

	if (r == 1)
		return 0;
	return r < 0 ? command_failed(&e) : net_show(argv[0], json);
}

int cmd_net(int argc, char **argv)
{
	static const struct command_line line = { help, USAGE, NULL, 0, 1, -1 };
	const char *word = argc > 1 ? argv[1] : "";
	struct err e = { 0 };
	int names;

	if (streq(word, "show"))
		return cmd_show(argc - 1, argv + 1);
	if (streq(word, "allow") || streq(word, "deny"))
		return cmd_change(argc - 1, argv + 1, streq(word, "allow"));
	if (word[0] == '-' && command_line(&line, argc, argv, &names, &e) == 1)
		return 0;
	if (!err_is_set(&e)) {
		err_set(&e, EPROTO, "usage", "%s%.40s", word[0] ? "there is no net " : "net what?",
			word);
		err_remedy(&e, USAGE);
	}
	return command_failed(&e);
}
