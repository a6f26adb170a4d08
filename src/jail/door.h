/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door: through which commands write in a protected workspace. Between the supervisor
 * and PID 1, one SEQPACKET socket pair, one request at a time.
 *
 * Theory of operation. Commands live in a Landlock domain that lets them read the workspace
 * and not write it (guard.c). Their calls that open files for writing, or make, move or
 * remove names, stop (seccomp_unotify(2)) until the supervisor has looked at them. What does
 * not aim at the workspace goes on as it is: should another thread change the path behind
 * our look, Landlock still refuses what it then leads to. What does aim there never goes on.
 * It is judged (supervisor/protect.c) by a copy of its arguments, and then done by PID 1 on
 * that copy, with the commands' ids, namespaces, root and filter; of an open, the caller gets
 * the descriptor (SECCOMP_IOCTL_NOTIF_ADDFD). So between judgement and deed there is nothing
 * that a program inside could change: nobody but PID 1 can write names there, and it does
 * one thing after the other. What we forget fails with EACCES and is no hole.
 *
 * A request says in which directory it believes to be; by its true path, getcwd(2), PID 1
 * sees whether it is there, and if not does nothing and says where it came out: links on the
 * way are so resolved by the kernel, once. The last name is never followed: a link there is
 * told of.
 *
 * Cheaper, and not tight: read-only binds need stubs where nothing is yet, and move with
 * their parents; SECCOMP_USER_NOTIF_FLAG_CONTINUE alone is a race with another thread.
 *
 * If the supervisor dies, PID 1 does; if PID 1 does, all.
 */
#ifndef PURPLE_JAIL_DOOR_H
#define PURPLE_JAIL_DOOR_H

#include <linux/limits.h>
#include <stdint.h>

enum door_op {
	DOOR_OPEN,     /* of name: flags, mode */
	DOOR_TRUNCATE, /* number: to how many bytes */
	DOOR_MKDIR,
	DOOR_MKNOD,   /* mode; number: of a device */
	DOOR_SYMLINK, /* text: what it says */
	DOOR_UNLINK,  /* flags: AT_REMOVEDIR */
	DOOR_RENAME,  /* flags: RENAME_*; to dir2/name2 */
	DOOR_LINK,    /* flags: AT_SYMLINK_FOLLOW; to dir2/name2 */
	DOOR_LINK_FD, /* the same, of the descriptor that comes with it */
	/*
	 * name becomes name2 of the same directory, as a new file with the content of the
	 * descriptor that comes with it: whoever has the old one open has no part in it.
	 */
	DOOR_INSTALL,
	DOOR_OPS
};

enum door_flags {
	DOOR_MANY_LINKS = 1 << 0, /* open a file with several names: it has been looked at */
};

/* Followed by NUL-terminated strings: dir, name, dir2, name2, text; empty where not used. */
enum { DOOR_STRINGS = 5, DOOR_MAX = 3 * PATH_MAX + 2 * (NAME_MAX + 2) };
struct door_request {
	uint32_t op;	 /* enum door_op */
	uint32_t checks; /* enum door_flags */
	uint32_t flags, mode, umask, pad;
	uint64_t number;
};

enum door_answer {
	DOOR_DONE,	/* value: 0 or -errno; a descriptor may come with it */
	DOOR_ELSEWHERE, /* dir (value 0) or dir2 (1) is really text, or nowhere if that is "" */
	DOOR_IS_LINK,	/* name is a symbolic link that says text */
	DOOR_HAS_LINKS, /* name is a file with several names: device, inode */
	DOOR_BUSY,	/* to open it would take others: a FIFO without a reader, a lease */
};

/* Followed by text, NUL-terminated. */
struct door_reply {
	uint32_t answer; /* enum door_answer */
	int32_t value;
	uint64_t device, inode;
};

#endif
