/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of plan_build(): a host that a table describes, and a plan made for it. */
#ifndef PURPLE_TEST_BUILT_H
#define PURPLE_TEST_BUILT_H

#include <errno.h>
#include <linux/sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fd.h"
#include "base/str.h"
#include "plan/build.h"
#include "plan/plan.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#define ALL_NAMESPACES                                                                             \
	(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | \
	 CLONE_NEWCGROUP | CLONE_NEWTIME)

/* What goes wrong, for the tests of that. */
struct fault {
	const char *look, *list;
};

struct host a_user(void);
struct host a_root(void);

extern const uint8_t a_key[32];

/* A built plan. */
struct built {
	struct buf block;
	const struct plan *plan; /* NULL: refused */
	struct err e;
};

/* Whoever calls one of these has to call done(). The policy has to be a good one. */
void build_bytes(struct built *t, const char *name, const void *data, size_t len,
		 const struct host *h);
void build(struct built *t, const char *text, const struct host *h);
void done(struct built *t);

/* Refused, with @words in the message and @remedy (may be NULL) in what to do. */
void expect_refused(const char *text, const struct host *h, const char *words, const char *remedy);

#endif
