/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What single values must look like. Private to policy/; see keys.h for the
 * contract of the key_check functions.
 */
#ifndef PURPLE_POLICY_CHECK_H
#define PURPLE_POLICY_CHECK_H

#include "policy/keys.h"
#include "policy/path.h"

extern const char *const audit_details[];

key_check check_path;	    /* "/…", "~", "~/…", ".", "./…", "${HOME}/…"; never ".." */
key_check check_inner_path; /* a path inside the sandbox: the same, but not "/" */
key_check check_pattern;    /* base/pattern.h */
key_check check_protect;    /* the same, with a '!' before it or not */
key_check check_syscall;    /* [a-z0-9_]+; plan/filter knows which exist */
key_check check_cap_add;    /* a name of capabilities(7), CAP_ optional; warns of dangerous ones */
key_check check_cap_drop;   /* a name, or ALL */
key_check check_net_rule;   /* DESIGN §7 */
key_check check_net_listen; /* policy/publish.h */
key_check check_net_target; /* an address, a block of them, or a name */
key_check check_net_addr;   /* an address, with or without a port */
key_check check_env_pass;   /* NAME or PREFIX_* */
key_check check_device;	    /* /dev/NAME or vendor/class=name */
key_check check_cpus;	    /* 0, or 2-3 */
key_check check_gpu;	    /* all, or an index */
key_check check_detail;	    /* of audit_details */

/* [A-Za-z_][A-Za-z0-9_]* */
bool env_name_ok(const char *name);

int why_set(struct check_why *why, const char *fmt, ...) _printf_(2, 3); /* -EINVAL */

#endif
