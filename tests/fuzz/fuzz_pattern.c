/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line with a pattern, the rest is a path. What must hold of any of them: what
 * matches by case matches without it; what matches is covered; what is covered by
 * something above is covered below; a pattern of directories matches no file.
 */
#include "fuzz.h"

#include <string.h>

#include "base/macros.h"
#include "base/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = size < 4096 ? malloc(size + 1) : NULL;
	struct path_pattern p;
	char *path, *slash;
	const char *why;
	bool dir, file;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	path = strchr(text, '\n');
	if (!path)
		return 0;
	*path++ = '\0';
	if (path_pattern_compile(&p, text, &why) < 0) {
		require(why != NULL);
		return 0;
	}
	require(!why && p.len > 0);
	dir = path_pattern_match(&p, path, true);
	file = path_pattern_match(&p, path, false);
	require(!file || dir);
	require(!(p.dirs && file));
	require(!dir || path_pattern_covers(&p, path, true));
	slash = strrchr(path, '/');
	if (slash) {
		bool above;

		*slash = '\0';
		above = path_pattern_covers(&p, path, true);
		*slash = '/';
		require(!above || path_pattern_covers(&p, path, false));
	}
	p.fold = true;
	/* Without a set that takes characters away. */
	if (!strchr(text, '['))
		require(!dir || path_pattern_match(&p, path, true));
	return 0;
}
