/* SPDX-License-Identifier: Apache-2.0 */
/* "%20" and the like: RFC 3986, section 2.1. */
#ifndef PURPLE_BASE_PERCENT_H
#define PURPLE_BASE_PERCENT_H

#include <stdbool.h>

static inline int percent_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place. False: a '%' without two digits behind it, or one that means NUL; @s is then of no use.
 */
static inline bool percent_decode(char *s)
{
	char *to = s;

	for (; *s; s++) {
		int high, low;

		if (*s != '%') {
			*to++ = *s;
			continue;
		}
		high = percent_digit(s[1]);
		low = high < 0 ? -1 : percent_digit(s[2]);
		if (low < 0 || (high | low) == 0)
			return false;
		*to++ = (char)(high << 4 | low);
		s += 2;
	}
	*to = '\0';
	return true;
}

#endif
