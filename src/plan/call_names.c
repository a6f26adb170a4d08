/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/call_names.h"

#include "base/macros.h"

static const char *const names[] = {
#include "plan/call_names.inc"
};

const char *call_name(int nr)
{
	return nr >= 0 && (unsigned)nr < ARRAY_SIZE(names) ? names[nr] : NULL;
}
