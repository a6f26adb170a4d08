/* SPDX-License-Identifier: Apache-2.0 */
/* The words for the numbers of a plan. Private to the two printers. */
#ifndef PURPLE_PLAN_PRINT_NAMES_H
#define PURPLE_PLAN_PRINT_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plan/plan.h"

struct bit_name {
	uint64_t bit;
	const char *name;
};

/* Ends with an entry without a name. */
extern const struct bit_name namespace_names[], step_names[], mount_flag_names[],
	landlock_fs_names[], landlock_net_names[], landlock_scoped_names[], securebit_names[],
	audit_class_names[], audit_flag_names[];

extern const char *const mount_kind_names[PM_KINDS];
extern const char *const layer_state_names[LS_STATES];
extern const char *const idmap_names[IDMAP_KINDS];
extern const char *const fact_names[PF_KINDS];
extern const char *const enforcement_names[2];
extern const char *const socket_kind_names[PS_KINDS];

/* NULL if there is no name. */
const char *capability_name(unsigned cap);
const char *rlimit_name(unsigned resource);

/* The limits on all processes together. */
struct limit_name {
	const char *name;
	size_t offset, size; /* in struct plan_limits: 4 or 8 bytes */
	const char *unit, *by;
};
enum { LIMIT_NAMES = 9 };
extern const struct limit_name limit_names[LIMIT_NAMES];
uint64_t limit_value(const struct plan_limits *l, const struct limit_name *n);
bool limit_is_set(const struct plan_limits *l, const struct limit_name *n);

/*
 * How the filter of a plan answers call @nr: true, and @ret is the answer;
 * false: that depends on an argument.
 */
bool plan_call(const struct plan *p, int nr, uint32_t *ret);

#endif
