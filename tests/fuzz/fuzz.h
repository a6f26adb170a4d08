/* SPDX-License-Identifier: Apache-2.0 */
/* What every target shares. */
#ifndef PURPLE_FUZZ_H
#define PURPLE_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* The target: @data is read only, and gone when it returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert(3) in every build. */
static inline void require(bool ok)
{
	if (!ok)
		abort();
}

#endif
