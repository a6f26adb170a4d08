/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owned file descriptors and whole-file input and output.
 * Functions return 0 or -errno and print nothing. Every descriptor is
 * opened O_CLOEXEC.
 */
#ifndef PURPLE_BASE_FD_H
#define PURPLE_BASE_FD_H

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/macros.h"

void close_fdp(int *fd); /* close unless negative, then -1; keeps errno */
#define _cleanup_close_ _cleanup_(close_fdp)

/* Write all of it; restarts on EINTR and short writes. */
int write_full(int fd, const void *data, size_t len);

/*
 * Read to end of file into @b, which bounds the size: -EFBIG when the file
 * has more than b->max bytes.
 */
int read_all(int fd, struct buf *b);

/* Open @path below @dirfd (AT_FDCWD allowed) and read_all() it. A directory is -EISDIR. */
int read_file_at(int dirfd, const char *path, struct buf *b);

/*
 * Replace @name in the directory @dirfd: a temporary file beside it, written,
 * then renamed over it. Readers see the old or the new file, never a part.
 */
int write_file_atomic(int dirfd, const char *name, const void *data, size_t len, mode_t mode);

#endif
