/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/listing.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sys/raw.h"

enum { LENGTH_AT = 16, NAME_AT = 19 };

const char *sys_list_next(struct sys_listing *l)
{
	for (;;) {
		const char *name;
		uint16_t length;

		if (l->at >= l->n) {
			l->n = sys_call(SYS_getdents64, l->fd, l->room, sizeof(l->room));
			l->at = 0;
			if (l->n <= 0)
				return NULL;
		}
		memcpy(&length, l->room + l->at + LENGTH_AT, sizeof(length));
		name = l->room + l->at + NAME_AT;
		l->at += length;
		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
			return name;
	}
}
