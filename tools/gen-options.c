/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the options of `purple run` from the table of policy keys, as
 * initialisers of struct run_option: the launcher has the names without the
 * parser behind them. Runs at build time.
 */
#include <stdio.h>

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
	case KEY_ENVS:
		return "OPTION_LIST";
	default:
		return "OPTION_VALUE";
	}
}

int main(void)
{
	puts("/* Generated from src/policy/keys.c by tools/gen-options.c. */");
	for (size_t i = 0; i < policy_keys_count; i++) {
		const struct policy_key *k = &policy_keys[i];

		if (!k->option)
			continue;
		printf("{ \"%s\", \"%s\", %s, ", k->option, k->path, kind(k));
		print_string(k->help);
		puts(" },");
	}
	return 0;
}
