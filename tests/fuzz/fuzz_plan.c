/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes → plan_open() → both printers. The first byte says how the rest is
 * meant: even: the block itself; odd: changes to a valid plan, each of a
 * 16-bit offset and an 8-byte value. Size and checksum are set right, or
 * nothing would get past them.
 */
#include "fuzz.h"

#include <string.h>

#include "../unit/plan/plan_sample.h"
#include "plan/plan.h"
#include "plan/print.h"

static void patch(struct buf *b, const uint8_t *data, size_t size)
{
	for (; size >= 10; data += 10, size -= 10) {
		size_t at = (size_t)(data[0] | data[1] << 8) % b->len;

		memcpy(b->data + at, data + 2, MIN(b->len - at, (size_t)8));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf b = BUF_INIT(PLAN_MAX + 64), out = BUF_INIT(8 << 20);
	_cleanup_free_ void *exact = NULL;
	const struct plan *p;

	if (size == 0)
		return 0;
	if (*data & 1) {
		plan_sample(&b);
		patch(&b, data + 1, size - 1);
	} else {
		buf_add(&b, data + 1, size - 1);
	}
	if (b.failed || b.len == 0)
		return 0;
	if (b.len >= sizeof(struct plan))
		plan_seal(&b);
	/* Exactly as long as it says, so that a read behind the end shows. */
	exact = malloc(b.len);
	if (!exact)
		return 0;
	memcpy(exact, b.data, b.len);
	p = plan_open(exact, b.len, NULL);
	if (p) {
		plan_print_json(p, &out);
		plan_print_text(p, true, &out);
	}
	return 0;
}
