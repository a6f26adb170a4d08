/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the network's parsers share. */
#ifndef NET_TEST_H
#define NET_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"

/* Exactly these bytes on the heap, so that ASan sees a read behind the end. The caller frees. */
static inline void *exact_copy(const void *data, size_t len)
{
	uint8_t *p = malloc(len ? len : 1);

	assert_non_null(p);
	if (len > 0)
		memcpy(p, data, len);
	return p;
}

#endif
