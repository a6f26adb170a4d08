/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names in a directory, read in pieces: getdents64(2), struct linux_dirent64.
 * For a task that shares memory with others: no errno, no malloc.
 */
#ifndef PURPLE_SYS_LISTING_H
#define PURPLE_SYS_LISTING_H

struct sys_listing {
	int fd; /* the caller's; its offset is where the listing goes on */
	long n, at;
	char room[4096];
};

/* Begin at the offset of the directory @fd. Much cheaper than to clear it all. */
static inline void sys_list(struct sys_listing *l, int fd)
{
	l->fd = fd;
	l->n = l->at = 0;
}

/*
 * The next one but "." and "..", which holds until the next call; NULL at the end,
 * and where the directory cannot be read: then sys_list_error() is -errno, else 0.
 */
const char *sys_list_next(struct sys_listing *l);

static inline int sys_list_error(const struct sys_listing *l)
{
	return l->n < 0 ? (int)l->n : 0;
}

#endif
