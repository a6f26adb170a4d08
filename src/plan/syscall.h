/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known about system calls: names, numbers, and for each call the
 * least baseline that allows it. Private to the filter and the printer.
 *
 * Every call of x86_64 and aarch64 is in exactly one group (a test checks
 * this), so "unknown" means newer than these tables.
 */
#ifndef PURPLE_PLAN_SYSCALL_H
#define PURPLE_PLAN_SYSCALL_H

#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

/* Numbers at and above this are unknown on both architectures (x32 starts at 512). */
#define SYSCALL_LIMIT 512

enum syscall_level {
	SL_NEEDED, /* exec, the C library's start and purple-init: always allowed */
	SL_STRICT, /* from here on: allowed by that baseline and by the later ones */
	SL_DEFAULT,
	SL_PERMISSIVE,
	SL_NESTING, /* by no baseline, but with `nesting: true` */
	SL_NEVER    /* only when the policy names it */
};

struct syscall_group {
	const char *title;
	enum syscall_level level;
	int refusal; /* errno where it is not allowed */
	const char *const *names;
	size_t count;
};

extern const struct syscall_group syscall_groups[];
extern const size_t syscall_groups_count;

/*
 * Conditions on the arguments of calls that are allowed. The guards of one
 * call are tried in order and the first that holds decides; if none holds the
 * call is allowed.
 */
enum guard_when {
	GW_ALWAYS,
	GW_NOT_NESTING,
	GW_LOOPBACK,
	GW_SMALL /* baselines strict and none, and what root starts */
};

struct syscall_guard {
	const char *syscall;
	enum guard_when when;
	int error; /* 0: allow */
	unsigned count;
	struct policy_cond conds[2]; /* all must hold */
};

extern const struct syscall_guard syscall_guards[];
extern const size_t syscall_guards_count;

/* Calls newer than libseccomp 2.5.4; one number on every 64-bit architecture. */
struct syscall_new {
	const char *name;
	int nr;
};

extern const struct syscall_new syscalls_new[];
extern const size_t syscalls_new_count;

/* The name of call @nr in @buf, or NULL if nobody knows it. @arch 0: this machine's. */
const char *syscall_name(int nr, uint32_t arch, char buf[64]);

/* The known name nearest to @name in @buf, or NULL if none is near. */
const char *syscall_nearest(const char *name, char buf[64]);

/* AUDIT_ARCH_* of the machine this was built for; 0: one that is not supported. */
uint32_t syscall_native_arch(void);

#endif
