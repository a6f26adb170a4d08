/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-compile [OPTION…] PROFILE: policy → plan, for the launcher on a cache
 * miss and for `purple plan`.
 *
 *	--set ORIGIN ASSIGNMENT   an override, as policy_set() takes it
 *	--best-effort             downgrade what is lacking
 *	--key HEX                 what the plan is filed under
 *	--cache DIR               keep the plan there
 *	--out FD                  write the plan there
 */
#ifndef PURPLE_CLI_CMD_COMPILE_H
#define PURPLE_CLI_CMD_COMPILE_H

#include "base/buf.h"
#include "base/err.h"
#include "policy/policy.h"

struct compile_request {
	const char *profile;
	const char *const *overrides; /* pairs: origin, assignment; NULL-terminated */
	bool best_effort;
	uint8_t key[32];
};

/*
 * Compile: the plan block into @ret. Warnings and diagnostics go to @d;
 * everything else that fails to @e.
 */
int compile(const struct compile_request *q, struct buf *ret, struct diags *d, struct err *e);

int cmd_compile(int argc, char **argv);

#endif
