/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a helper program (purple-net, purple-otlp, purple-trace, purple-serve) gives up what
 * it does not need before it reads a hostile byte. What it keeps is a table of its own; all
 * else goes, in layers that stand alone: ids; core files, capabilities, new privileges and
 * being dumped; files, TCP and signals (Landlock); system calls (seccomp). Irreversible, and
 * for the calling thread only. The command's own confinement is the plan's: jail/lockdown.c.
 *
 * Sources: capabilities(7), landlock(7), seccomp(2), prctl(2), PR_SET_DUMPABLE.
 */
#ifndef PURPLE_SYS_CONFINE_H
#define PURPLE_SYS_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CONFINE_CALLS_MAX = 96,
	CONFINE_FAMILIES_MAX = 4,
	CONFINE_NOBODY = 65534,
};

enum confine_id {
	CONFINE_KEEP_ID,
	/*
	 * Root becomes nobody. In a user namespace that has no such id (EINVAL), or may not
	 * change its groups (EPERM), root is only a name for the caller, and stays.
	 */
	CONFINE_LEAVE_ROOT,
	CONFINE_MUST_LEAVE_ROOT, /* the same without exceptions, whoever we are */
};

enum confine_landlock {
	CONFINE_LANDLOCK, /* left out where the kernel has none */
	CONFINE_LANDLOCK_REQUIRED,
	CONFINE_LANDLOCK_BEST_EFFORT, /* left out also where a filter refuses to tell */
};

struct confine {
	enum confine_id id;
	bool dumpable; /* /proc/PID stays readable to those of the same uid */

	/* Landlock: all that it knows is refused, but these. */
	enum confine_landlock landlock;
	bool connects;		     /* TCP to any port */
	unsigned short connect_port; /* else to this one; 0: none. From ABI 4 on */
	bool reads;		     /* files below @directory may be read */
	int directory;		     /* the caller's; read only with @reads */

	/*
	 * seccomp. What is neither among @calls, at most CONFINE_CALLS_MAX numbers, nor
	 * socket(2) with one of @families, at most CONFINE_FAMILIES_MAX of AF_*, kills the
	 * process; with @lenient it is EPERM. A build with a sanitizer is lenient, and may
	 * do what its runtime does to report.
	 */
	const int *calls;
	size_t call_count;
	const int *families;
	size_t family_count;
	bool lenient;
};

/* Each layer alone, in this order. 0 or -errno; what is done stays done. */
int confine_id(const struct confine *c);
/* No core file, no capability, no new privileges. */
int confine_rights(const struct confine *c);
/* -ENOSYS or -EOPNOTSUPP: no Landlock, and it is required. Wants no_new_privs, or CAP_SYS_ADMIN. */
int confine_files(const struct confine *c);
/* -E2BIG: too many calls. Wants no_new_privs, or CAP_SYS_ADMIN. */
int confine_calls(const struct confine *c);

/* All of them. What failed is *@ret_step, a phrase for "cannot ...". */
int confine_all(const struct confine *c, const char **ret_step);

#endif
