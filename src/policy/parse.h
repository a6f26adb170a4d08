/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Node tree → struct policy, through the key table. Private to policy/.
 *
 * Every fault of the tree is reported; nothing stops at the first one.
 * Strings are copied into the policy's arena, so the tree may go afterwards.
 */
#ifndef PURPLE_POLICY_PARSE_H
#define PURPLE_POLICY_PARSE_H

#include "policy/keys.h"
#include "policy/node.h"

/* All keys of a policy file. Lists append to what is there, single values win. */
void policy_apply(struct policy *p, const struct node *root, struct diags *d);

/*
 * One key. @path is how diagnostics call it. Lists append, or replace with
 * @replace (or the node's tag).
 */
void policy_apply_key(struct policy *p, const struct policy_key *k, const char *path,
		      const struct node *n, bool replace, struct diags *d);

/* The value of `extends`, or NULL. Faults of it are left to policy_apply(). */
const struct node *policy_extends(const struct node *root);

/* value.c: the single values. Each returns 0, or reports and returns -EINVAL. */
int value_scalar(struct policy *p, const struct policy_key *k, const char *path,
		 const struct node *n, struct diags *d);
int value_u64(const struct node *n, const char *path, uint64_t max, uint64_t *ret, struct diags *d);
int value_bool(const struct node *n, const char *path, bool *ret, struct diags *d);
/* Text; plain null, booleans and numbers are not text. Copied into @a. */
int value_text(struct arena *a, const struct node *n, const char *path, const char **ret,
	       struct diags *d);
bool node_is_null(const struct node *n);

/* rules.c: the lists of maps. Each appends one item. */
void bind_add(struct policy *p, struct policy_binds *to, const char *path, const struct node *n,
	      struct diags *d);
void overlay_add(struct policy *p, const char *path, const struct node *n, struct diags *d);
void sysrule_add(struct policy *p, const char *path, const struct node *n, struct diags *d);
void env_add(struct policy *p, const char *path, const struct node *name, const struct node *value,
	     struct diags *d);

/*
 * Is @n a map, with keys of @names only, each once? Fills value[i] for
 * names[i]; absent ones are NULL. All faults are reported; false if any.
 */
bool map_take(const struct node *n, const char *path, const char *const *names,
	      const struct node **value, struct diags *d);

/* Report that the arena is full; always -EINVAL. */
int policy_too_large(struct pos pos, struct diags *d);
const char *node_kind_text(const struct node *n);

#endif
