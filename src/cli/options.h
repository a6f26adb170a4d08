/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of `purple run`, `create` and `plan`; most are shared. Each of the policy's
 * options stands for one key and nothing else: it becomes an override, which
 * the policy's own parser checks. For the static launcher too.
 */
#ifndef PURPLE_CLI_OPTIONS_H
#define PURPLE_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { RUN_OVERRIDES_MAX = 128 };

struct run_options {
	const char *profile;   /* -p; "default" if not given */
	const char *workspace; /* -w; NULL: the current directory */
	const char *report;    /* --report: a file, or fd:N ("-" comes as fd:1); NULL: none */
	const char *name;      /* --name; NULL: none */
	bool detach, tty;      /* of run alone; what is created is detached */
	bool create;	       /* it is `purple create` */
	bool resume;	       /* --resume: in the changes that @name has */
	bool best_effort, help;
	bool no_cache;	    /* not of plan, as -w, --report and --name */
	bool json, verbose; /* of plan alone */
	/* Pairs: the option as typed ("--memory"), "key=value"; NULL-terminated. */
	const char *overrides[2 * RUN_OVERRIDES_MAX + 1];
	size_t overrides_count;
	char *const *command; /* what follows; may be empty */
};

/*
 * Parse argv[1…] of `purple run`. Stops at "--" or at the first word that is no
 * option. Overrides are allocated and live as long as the process. 0, or
 * -errno with @e set. What only the other command has is an error.
 */
int run_options_parse(int argc, char **argv, struct run_options *o, struct err *e);

/* The same of `purple create`, whose first word is the name unless --name gives it. */
int create_options_parse(int argc, char **argv, struct run_options *o, struct err *e);

/* The same of `purple plan`, which takes no command. */
int plan_options_parse(int argc, char **argv, struct run_options *o, struct err *e);

/*
 * What @o resumes has changes of the directory @workspace, in review: unless it says
 * otherwise that is what it gets. @workspace stays the caller's, and is kept.
 */
int run_options_resume(struct run_options *o, const char *workspace, struct err *e);

/* The list of options for `--help`, to @fd. */
void run_options_help(int fd);
void create_options_help(int fd);
void plan_options_help(int fd);

#endif
