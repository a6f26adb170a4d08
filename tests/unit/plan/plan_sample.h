/* SPDX-License-Identifier: Apache-2.0 */
/* A valid plan with at least one of everything, made without the builder. */
#ifndef TESTS_PLAN_SAMPLE_H
#define TESTS_PLAN_SAMPLE_H

#include "base/buf.h"
#include "plan/plan.h"

/* Append the block to @b (empty). */
void plan_sample(struct buf *b);

/* Set size and checksum to what they should be. @b has at least a header. */
void plan_seal(struct buf *b);

#endif
