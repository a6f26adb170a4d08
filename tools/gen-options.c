/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the options of `purple run` from the table of policy keys, as
 * initialisers of struct run_option: the launcher has the names without the
 * parser behind them. Runs at build time.
 */
#include <stdio.h>

#include "base/macros.h"
#include "policy/check.h"
#include "policy/keys.h"

static void print_string(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putchar('\\');
		putchar(*s);
	}
	putchar('"');
}

static const char *kind(const struct policy_key *k)
{
	switch (k->type) {
	case KEY_BOOL:
		return "OPTION_FLAG";
	case KEY_LIST:
	case KEY_BINDS:
	case KEY_OVERLAYS:
	case KEY_ENVS:
		return "OPTION_LIST";
	default:
		return "OPTION_VALUE";
	}
}

/* What stands for the value in the help; an item of a list by what checks it. */
static const char *form(const struct policy_key *k)
{
	static const char *const types[KEY_TYPES] = {
		[KEY_TEXT] = "TEXT",	   [KEY_PATH] = "PATH",		 [KEY_ENUM] = "WORD",
		[KEY_COUNT] = "N",	   [KEY_SIZE] = "SIZE",		 [KEY_RATE] = "RATE",
		[KEY_CORES] = "CORES",	   [KEY_OVERLAYS] = "PATH:MODE", [KEY_BINDS] = "PATH",
		[KEY_ENVS] = "NAME=VALUE",
	};
	static const struct {
		key_check *check;
		const char *form;
	} items[] = {
		{ check_inner_path, "PATH" },
		{ check_syscall, "CALL" },
		{ check_cap_add, "CAP" },
		{ check_cap_drop, "CAP" },
		{ check_net_rule, "HOST:PORT" },
		{ check_net_listen, "[ADDRESS:][PORT:]PORT" },
		{ check_net_target, "ADDRESS" },
		{ check_net_addr, "ADDRESS" },
		{ check_env_pass, "NAME" },
		{ check_device, "DEVICE" },
		{ check_gpu, "GPU" },
	};

	if (k->type == KEY_BOOL)
		return "";
	for (size_t i = 0; k->type == KEY_LIST && i < ARRAY_SIZE(items); i++)
		if (items[i].check == k->check)
			return items[i].form;
	return types[k->type] ? types[k->type] : "VALUE";
}

static bool on(const struct policy_key *k)
{
	return k->type == KEY_BOOL && k->fallback && k->fallback[0] == 't';
}

int main(void)
{
	puts("/* Generated from src/policy/keys.c by tools/gen-options.c. */");
	for (size_t i = 0; i < policy_keys_count; i++) {
		const struct policy_key *k = &policy_keys[i];
		char not_yet[128];

		if (!k->option)
			continue;
		printf("{ \"%s\", \"%s\", %s, \"%s%s\", ", k->option, k->path, kind(k),
		       k->type == KEY_BOOL ? on(k) ? "[=false]" : "" : " ", form(k));
		print_string(k->help);
		policy_key_not_yet(k, not_yet, sizeof(not_yet));
		printf(", \"%s\" },\n", not_yet);
	}
	return 0;
}
