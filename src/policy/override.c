/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "policy/parse.h"

static bool is_list(const struct policy_key *k)
{
	return k->type == KEY_LIST || k->type == KEY_BINDS || k->type == KEY_OVERLAYS ||
	       k->type == KEY_SYSRULES || k->type == KEY_ENVS;
}

int policy_set(struct policy *p, const char *assignment, const char *origin, struct diags *d)
{
	const char *eq = strchr(assignment, '=');
	struct pos pos = { arena_strdup(&p->arena, origin), 0, 0 };
	bool append = eq && eq > assignment && eq[-1] == '+';
	struct node n = { .kind = NODE_SCALAR, .style = NODE_ARG, .pos = pos };
	const struct policy_key *k, *near;
	unsigned errors = d->errors;
	char path[128];
	size_t len;

	if (!pos.file)
		return policy_too_large(pos, d);
	if (!eq)
		return diag_error(d, pos, "", "%.80s: write KEY=VALUE, or KEY+=ITEM for a list",
				  assignment);
	len = (size_t)(eq - assignment) - append;
	if (len >= sizeof(path))
		return diag_error(d, pos, "", "%.80s…: unknown key", assignment);
	memcpy(path, assignment, len);
	path[len] = '\0';
	n.text = eq + 1;
	k = policy_key(path);
	if (!k) {
		near = policy_key_nearest(path);
		return near ? diag_error(d, pos, path, "unknown key; did you mean %s?", near->path)
			    : diag_error(d, pos, path,
					 "unknown key; `purple profile explain` lists "
					 "what there is");
	}
	if (p->locked)
		return diag_error(d, pos, path, "the profile is locked: options may not change it");
	if (k->type == KEY_EXTENDS || k->type == KEY_SUBTREE || k->type == KEY_SYSRULES ||
	    streq(k->path, "locked"))
		return diag_error(d, pos, path, "this can only be written in a policy file");
	if (append && !is_list(k))
		return diag_error(d, pos, path, "not a list; write = instead of +=");
	if (is_list(k) && streq(n.text, "[]")) /* as in a file: none */
		n.kind = NODE_LIST;
	policy_apply_key(p, k, path, &n, !append, d);
	return d->errors > errors ? -EINVAL : 0;
}
