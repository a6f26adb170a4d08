/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `purple profile`: the policies that are there, what a policy may say, and
 * the user's own ones. Only the user's directory is ever written to.
 */
#ifndef PURPLE_CLI_CMD_PROFILE_H
#define PURPLE_CLI_CMD_PROFILE_H

#include "base/buf.h"
#include "cli/dirs.h"

/* The command. Exit status: 0, 1 a fault in a policy, EXIT_PURPLE anything else. */
int cmd_profile(int argc, char **argv);

/* Private to the files of this command. Each returns the exit status. */
int profile_create(const struct dirs *dirs, const char *name, const char *parent);
int profile_edit(const struct dirs *dirs, const char *name);
int profile_delete(const struct dirs *dirs, const char *name);

/* "purple: profile: …" to standard error; returns EXIT_PURPLE. @code 0: no errno to show. */
int profile_fail(int code, const char *fmt, ...) _printf_(2, 3);

/* All keys, those of a section, or one; -ENOENT: no such key. */
int profile_explain(const char *key, struct buf *out);
/* purple-policy(5), as troff. */
void profile_man(struct buf *out);

#endif
