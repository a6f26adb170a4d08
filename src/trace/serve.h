/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-trace, from its configuration to its end: trace/protocol.h.
 *
 * The programs in the kernel wake it at most once in TRACE_WAKE_NS; between that
 * it looks by itself, until there was nothing for longer than that. So a storm
 * costs few wake-ups, and silence none.
 */
#ifndef PURPLE_TRACE_SERVE_H
#define PURPLE_TRACE_SERVE_H

#include "base/err.h"

/* Until the supervisor closes or shuts down its end of @control. -errno with @e set. */
int trace_serve(int control, struct err *e);

#endif
