/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of policy/ share. */
#ifndef POLICY_TEST_H
#define POLICY_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "policy/policy.h"

/* Parse text, then validate what parsed; the sum of both in @d. */
static inline int parse_text(struct policy *p, const char *text, struct diags *d)
{
	int r = policy_parse(p, "t", text, strlen(text), NULL, d);

	return r < 0 ? r : policy_validate(p, d);
}

static inline const char *diags_text(const struct diags *d)
{
	return d->text.data ? d->text.data : "";
}

/* Parsing @text must work, without an error. */
static inline void parse_good(struct policy *p, const char *text)
{
	_cleanup_diags_ struct diags d = DIAGS_INIT;

	if (parse_text(p, text, &d) != 0 || d.errors != 0) {
		print_error("%s", diags_text(&d));
		fail();
	}
}

#endif
