/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `purple run`: where they end, what each becomes, what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "cli/options.h"
#include "policy/keys.h"

enum { WORDS_MAX = 300 };

/* The command and @words, NULL-terminated, as main() would get them. */
static int parse_as(int (*command)(int, char **, struct run_options *, struct err *),
		    const char *const *words, struct run_options *o, struct err *e)
{
	static char *argv[WORDS_MAX + 2];
	static char name[] = "run";
	/* Overrides live as long as the process: the leak checker finds them here. */
	static const char *kept[4096];
	static size_t kept_count;
	int argc = 0, r;

	argv[argc++] = name;
	while (*words && argc <= WORDS_MAX)
		argv[argc++] = (char *)(uintptr_t)*words++; /* execve(2) takes no const */
	argv[argc] = NULL;
	memset(e, 0, sizeof(*e));
	memset(o, 0x55, sizeof(*o));
	r = command(argc, argv, o, e);
	for (size_t i = 0; i < 2 * o->overrides_count && kept_count < ARRAY_SIZE(kept); i++)
		kept[kept_count++] = o->overrides[i];
	return r;
}

static int parse(const char *const *words, struct run_options *o, struct err *e)
{
	return parse_as(run_options_parse, words, o, e);
}

#define PARSE(o, e, ...) parse((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL }, o, e)

static void test_nothing(void **state)
{
	struct run_options o;
	struct err e;

	assert_int_equal(PARSE(&o, &e), 0);
	assert_string_equal(o.profile, "default");
	assert_null(o.workspace);
	assert_null(o.report);
	assert_false(o.best_effort || o.no_cache || o.json || o.verbose || o.help);
	assert_int_equal(o.overrides_count, 0);
	assert_null(o.overrides[0]);
	assert_null(o.command[0]);
}

static void test_own_options(void **state)
{
	struct run_options o;
	struct err e;

	assert_int_equal(PARSE(&o, &e, "-p", "python", "-w", "/srv", "--report", "fd:3",
			       "--best-effort", "--no-cache", "-h", "cmd", "arg"),
			 0);
	assert_string_equal(o.profile, "python");
	assert_string_equal(o.workspace, "/srv");
	assert_string_equal(o.report, "fd:3");
	assert_true(o.best_effort && o.no_cache && o.help);
	assert_string_equal(o.command[0], "cmd");
	assert_string_equal(o.command[1], "arg");
	assert_null(o.command[2]);

	assert_int_equal(PARSE(&o, &e, "--profile=a=b", "--dir=/x", "--report=r", "--help"), 0);
	assert_string_equal(o.profile, "a=b");
	assert_string_equal(o.workspace, "/x");
	assert_string_equal(o.report, "r");
	assert_true(o.help);

	assert_int_equal(PARSE(&o, &e, "-ppython", "-w.", "--report", "-"), 0);
	assert_string_equal(o.profile, "python");
	assert_string_equal(o.workspace, ".");
	assert_string_equal(o.report, "fd:1");

	/* The last one counts. A value may look like an option. */
	assert_int_equal(PARSE(&o, &e, "-p", "a", "--profile", "b", "-w", "--"), 0);
	assert_string_equal(o.profile, "b");
	assert_string_equal(o.workspace, "--");
}

static void test_where_options_end(void **state)
{
	static const struct {
		const char *words[6], *command;
		size_t rest;
	} cases[] = {
		{ { "cmd", "-p", "x" }, "cmd", 3 },
		{ { "--", "-p", "x" }, "-p", 2 },
		{ { "--", "--", "x" }, "--", 2 },
		{ { "-p", "x", "cmd", "--", "y" }, "cmd", 3 },
		{ { "", "-p" }, "", 2 },
		{ { "--no-cache", "--" }, NULL, 0 },
		{ { "--no-cache" }, NULL, 0 },
		{ { "--isolated", "--", "true" }, "true", 1 },
		{ { "--isolated", "truer" }, "truer", 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run_options o;
		struct err e;
		size_t n = 0;

		assert_int_equal(parse(cases[i].words, &o, &e), 0);
		while (o.command[n])
			n++;
		assert_int_equal(n, cases[i].rest);
		if (cases[i].command)
			assert_string_equal(o.command[0], cases[i].command);
	}
}

/* What stands for which key, and how a diagnostic calls it. */
static void test_policy_options(void **state)
{
	static const struct {
		const char *words[3], *origin, *assignment;
	} cases[] = {
		{ { "--memory", "2G" }, "--memory", "resources.memory_limit_bytes=2G" },
		{ { "--memory=2G" }, "--memory", "resources.memory_limit_bytes=2G" },
		{ { "--memory=" }, "--memory", "resources.memory_limit_bytes=" },
		{ { "--memory", "" }, "--memory", "resources.memory_limit_bytes=" },
		{ { "--ro", "/a=b" }, "--ro", "filesystem.immutable_paths+=/a=b" },
		{ { "--ro=/a=b" }, "--ro", "filesystem.immutable_paths+=/a=b" },
		{ { "--env", "A=1=2" }, "--env", "environment.set+=A=1=2" },
		{ { "--isolated" }, "--isolated", "network.isolated=true" },
		{ { "--isolated=false" }, "--isolated", "network.isolated=false" },
		{ { "--nesting" }, "--nesting", "nesting=true" },
		{ { "--set", "name=x" }, "--set", "name=x" },
		{ { "--set=a.b+=c=d" }, "--set", "a.b+=c=d" },
		{ { "--pids-limit", "-1" }, "--pids-limit", "resources.pids_limit=-1" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run_options o;
		struct err e;

		assert_int_equal(parse(cases[i].words, &o, &e), 0);
		assert_int_equal(o.overrides_count, 1);
		assert_string_equal(o.overrides[0], cases[i].origin);
		assert_string_equal(o.overrides[1], cases[i].assignment);
		assert_null(o.overrides[2]);
		assert_null(o.command[0]);
	}
}

/* Every key that names an option has it, and it sets that key. */
static void test_every_policy_option(void **state)
{
	size_t seen = 0;

	for (size_t i = 0; i < policy_keys_count; i++) {
		const struct policy_key *k = &policy_keys[i];
		struct run_options o;
		struct err e;
		char word[64];

		if (!k->option)
			continue;
		seen++;
		snprintf(word, sizeof(word), "--%s=x", k->option);
		assert_int_equal(PARSE(&o, &e, word), 0);
		assert_int_equal(o.overrides_count, 1);
		assert_int_equal(strncmp(o.overrides[1], k->path, strlen(k->path)), 0);
		assert_string_equal(strchr(o.overrides[1] + strlen(k->path), 'x'), "x");
	}
	assert_true(seen > 30);
}

static void test_order_is_kept(void **state)
{
	struct run_options o;
	struct err e;

	assert_int_equal(PARSE(&o, &e, "--ro", "/1", "--memory", "1G", "--ro", "/2", "cmd"), 0);
	assert_int_equal(o.overrides_count, 3);
	assert_string_equal(o.overrides[1], "filesystem.immutable_paths+=/1");
	assert_string_equal(o.overrides[3], "resources.memory_limit_bytes=1G");
	assert_string_equal(o.overrides[5], "filesystem.immutable_paths+=/2");
}

static void test_letters_in_one_word(void **state)
{
	struct run_options o;
	struct err e;

	assert_int_equal(PARSE(&o, &e, "-dt", "-w", "/x", "cmd", "-d"), 0);
	assert_true(o.detach && o.tty && !o.help);
	assert_string_equal(o.workspace, "/x");
	assert_string_equal(o.command[0], "cmd");
	assert_int_equal(PARSE(&o, &e, "-th", "cmd"), 0);
	assert_true(o.help && o.tty && !o.detach);
	(void)state;
}

static void test_refusals(void **state)
{
	static const struct {
		const char *words[4], *message;
	} cases[] = {
		{ { "-" }, "unknown option -" },
		{ { "---" }, "unknown option ---" },
		{ { "-x" }, "unknown option -x" },
		{ { "-hx", "cmd" }, "unknown option -hx" },
		{ { "-p=name" }, "unknown option -p=name" },
		{ { "--nosuch=1" }, "unknown option --nosuch=1" },
		{ { "--memor", "1G" }, "unknown option --memor; did you mean --memory?" },
		{ { "--memoryx", "1G" }, "unknown option --memoryx; did you mean --memory?" },
		{ { "--detatch", "x" }, "unknown option --detatch; did you mean --detach?" },
		{ { "--jsno" }, "unknown option --jsno" }, /* it is plan's */
		{ { "-dtx" }, "unknown option -dtx" },
		{ { "-dp" }, "unknown option -dp" },
		{ { "-dv" }, "unknown option -dv" },
		{ { "-memory", "1G" }, "unknown option -memory" },
		{ { "--=x" }, "unknown option --=x" },
		{ { "-p" }, "-p needs a value" },
		{ { "-p", "" }, "-p needs a value" },
		{ { "--profile=" }, "--profile= needs a value" },
		{ { "--no-cache", "-w" }, "-w needs a value" },
		{ { "--set" }, "--set needs a value" },
		{ { "--memory" }, "--memory needs a value" },
		{ { "--no-cache", "--env" }, "--env needs a value" },
		{ { "--no-cache=yes" }, "--no-cache takes no value" },
		{ { "--best-effort=" }, "--best-effort takes no value" },
		{ { "--json" }, "--json is an option of `purple plan`, not of `purple run`" },
		{ { "-v" }, "--verbose is an option of `purple plan`, not of `purple run`" },
		{ { "--isolated", "false" },
		  "--isolated false: write --isolated=false, or -- "
		  "before a command of that name" },
		{ { "--sys", "true", "x" },
		  "--sys true: write --sys=true, or -- "
		  "before a command of that name" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run_options o;
		struct err e;

		assert_true(parse(cases[i].words, &o, &e) < 0);
		assert_string_equal(e.message, cases[i].message);
		assert_string_equal(e.stage, "usage");
		assert_int_equal(e.exit_code, EXIT_PURPLE);
		assert_true(e.remedy[0] != '\0');
	}
}

static void test_plan(void **state)
{
	static const struct {
		const char *words[4], *message;
	} bad[] = {
		{ { "-w", "/x" }, "--dir is an option of `purple run`, not of `purple plan`" },
		{ { "--report=x" }, "--report is an option of `purple run`, not of `purple plan`" },
		{ { "--no-cache" },
		  "--no-cache is an option of `purple run`, not of `purple plan`" },
		{ { "-p", "x", "word" }, "unexpected word word: `purple plan` takes no command" },
		{ { "--", "ls" }, "unexpected word ls: `purple plan` takes no command" },
	};
	static const char *const good[] = { "-v",    "--json",	      "-ppython",
					    "--sys", "--best-effort", NULL };
	struct run_options o;
	struct err e;

	assert_int_equal(parse_as(plan_options_parse, good, &o, &e), 0);
	assert_true(o.verbose && o.json && o.best_effort);
	assert_string_equal(o.profile, "python");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(parse_as(plan_options_parse, bad[i].words, &o, &e) < 0);
		assert_string_equal(e.message, bad[i].message);
		assert_non_null(strstr(e.remedy, "purple plan --help"));
	}
}

static void test_too_many(void **state)
{
	static const char word[] = "--isolated";
	const char *words[RUN_OVERRIDES_MAX + 2] = { 0 };
	struct run_options o;
	struct err e;

	for (size_t i = 0; i < RUN_OVERRIDES_MAX; i++)
		words[i] = word;
	assert_int_equal(parse(words, &o, &e), 0);
	assert_int_equal(o.overrides_count, RUN_OVERRIDES_MAX);
	assert_null(o.overrides[2 * RUN_OVERRIDES_MAX]);
	words[RUN_OVERRIDES_MAX] = word;
	assert_true(parse(words, &o, &e) < 0);
	assert_string_equal(e.message, "too many options at --isolated");
}

/* One line an option: its name, and what it does. */
static void test_help(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(65536);
	int p[2];

	assert_int_equal(pipe(p), 0);
	run_options_help(p[1]);
	close(p[1]);
	assert_int_equal(read_all(p[0], &b), 0);
	close(p[0]);
	for (size_t i = 0; i < policy_keys_count; i++) {
		const char *option = policy_keys[i].option, *at, *end, *not_yet;
		char line[64];

		if (!option)
			continue;
		snprintf(line, sizeof(line), "\n  --%s", option);
		for (at = strstr(b.data, line); at && !strchr(" [", at[strlen(line)]);)
			at = strstr(at + 1, line);
		assert_non_null(at);
		/* The entry ends where the next one begins; a line may break in the words. */
		end = strstr(at + 1, "\n  --");
		not_yet = strstr(at, "Not");
		while (not_yet && strncmp(not_yet + 3 + strspn(not_yet + 3, " \n"), "supported", 9))
			not_yet = strstr(not_yet + 1, "Not");
		assert_int_equal(policy_keys[i].not_yet != NULL,
				 not_yet && (!end || not_yet < end));
	}
	assert_non_null(strstr(b.data, "\n  --ro PATH "));
	assert_non_null(strstr(b.data, "\n  --memory SIZE "));
	assert_non_null(strstr(b.data, "\n  --isolated[=false] "));
	assert_non_null(strstr(b.data, "\n  --nesting "));
	assert_null(strstr(b.data, "--json"));
	assert_non_null(strstr(b.data, "  -p, --profile"));
	assert_string_equal(b.data + b.len - 1, "\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_own_options),
		cmocka_unit_test(test_where_options_end),
		cmocka_unit_test(test_policy_options),
		cmocka_unit_test(test_every_policy_option),
		cmocka_unit_test(test_order_is_kept),
		cmocka_unit_test(test_letters_in_one_word),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
