/* SPDX-License-Identifier: Apache-2.0 */
#include "workspace/fold.h"

#include <string.h>

#include "base/str.h"

/* A character that HFS+ leaves out of comparisons: utf8.c of git, next_hfs_char(). */
static bool is_ignored(unsigned c)
{
	return (c >= 0x200c && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x206a && c <= 0x206f) || c == 0xfeff;
}

/* The three-byte character at @s, or 0. */
static unsigned three_bytes(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;

	if (utf8_len(s) != 3)
		return 0;
	return (u[0] & 0x0fU) << 12 | (u[1] & 0x3fU) << 6 | (u[2] & 0x3fU);
}

/* The component [@s, @end) as the file system that tells least apart has it. */
static size_t fold_component(const char *s, const char *end, char *to)
{
	char *at = to;

	while (s < end && *s != ':') {
		unsigned wide = three_bytes(s);

		if (is_ignored(wide)) {
			s += 3;
		} else if (wide == 0x212a) { /* KELVIN SIGN */
			*at++ = 'k';
			s += 3;
		} else if (s[0] == '\xc5' && s[1] == '\xbf') { /* LATIN SMALL LETTER LONG S */
			*at++ = 's';
			s += 2;
		} else {
			*at++ = (char)(*s >= 'A' && *s <= 'Z' ? *s + ('a' - 'A') : *s);
			s++;
		}
	}
	while (at > to && (at[-1] == '.' || at[-1] == ' '))
		at--;
	if (at - to == 5 && memcmp(to, "git~", 4) == 0 && at[-1] >= '1' && at[-1] <= '4') {
		memcpy(to, ".git", 4);
		at = to + 4;
	}
	return (size_t)(at - to);
}

bool path_fold(const char *path, char to[PATH_MAX])
{
	size_t n = 0;

	if (strlen(path) >= PATH_MAX)
		return false;
	for (;;) {
		const char *end = strchrnul(path, '/');

		n += fold_component(path, end, to + n);
		if (!*end)
			break;
		to[n++] = '/';
		path = end + 1;
	}
	to[n] = '\0';
	return true;
}
