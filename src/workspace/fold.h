/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names as the file system that tells least apart has them: in lower case, without blanks
 * and dots at the end and without what follows a ':' (NTFS), without characters that HFS+
 * ignores, and letters that fold to ASCII ones as these (U+017F, U+212A); "git~1" is ".git".
 */
#ifndef PURPLE_WORKSPACE_FOLD_H
#define PURPLE_WORKSPACE_FOLD_H

#include <limits.h>
#include <stdbool.h>

/* Each component of @path into @to; false: it is too long. */
bool path_fold(const char *path, char to[PATH_MAX]);

#endif
