/* SPDX-License-Identifier: Apache-2.0 */
/* Where the caller's trail is, and the key that it is signed with. */
#ifndef PURPLE_CLI_AUDIT_PATHS_H
#define PURPLE_CLI_AUDIT_PATHS_H

#include <limits.h>

#include "base/err.h"

struct audit_paths {
	char trail[PATH_MAX];
	/* The key pair, PEM: policy_audit_key(), and audit.pub beside it; "": no home. */
	char key[PATH_MAX];
	char pub[PATH_MAX];
};

/* @file: a trail that was named; NULL: the caller's own, which audit.log_path defaults to. */
int audit_paths(struct audit_paths *ret, const char *file, struct err *e);

#endif
