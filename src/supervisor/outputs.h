/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between outputs.c, which walks the boxes, and outputs_copy.c, which lands a file. What is
 * in a box is hostile: names, types, sizes, numbers of links. Nobody changes it any more.
 */
#ifndef PURPLE_SUPERVISOR_OUTPUTS_H
#define PURPLE_SUPERVISOR_OUTPUTS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define OUTPUT_BENEATH \
	(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)

/* Where things land. */
struct output_place {
	int dir;
	const char *id; /* of the sandbox: behind a name that is taken */
	bool chown;	/* to these */
	uid_t uid;
	gid_t gid;
	unsigned *serial; /* of temporary names */
};

/*
 * Copy the file @name of @from, which @st is of, to @to: its content with its holes, its permission
 * bits but set-id ones, its time. It gets its name when it is whole, and never another file's:
 * @landed (of NAME_MAX + 1 bytes) is it. 0 or -errno, and then nothing is left.
 */
int output_copy(int from, const char *name, const struct stat *st, const struct output_place *to,
		char *landed);

/* The directory @name in @to, made unless it is there: a descriptor, or -errno. */
int output_dir(const char *name, const struct output_place *to, char *landed);

#endif
