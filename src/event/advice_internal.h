/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of advice. */
#ifndef PURPLE_EVENT_ADVICE_INTERNAL_H
#define PURPLE_EVENT_ADVICE_INTERNAL_H

#include "event/advice.h"

/* What has no room is no line, and then @why says that. */
void advice_line(struct advice *ret, const char *fmt, ...) _printf_(2, 3);
void advice_why(struct advice *ret, const char *fmt, ...) _printf_(2, 3);

int advice_call_number(const char *name); /* -1: there is none */

#endif
