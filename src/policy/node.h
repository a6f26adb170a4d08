/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML bytes → a small tree, within limits. Private to policy/.
 *
 * The tree is what libyaml's events say and no more: no type guessing, no
 * merge keys. Aliases share their anchor's node; how much a tree would be
 * when written out is counted and bounded, so "billion laughs" ends in an
 * error. A node can never contain itself: an anchor counts from its end on.
 */
#ifndef PURPLE_POLICY_NODE_H
#define PURPLE_POLICY_NODE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "policy/diag.h"

enum node_limits {
	NODE_MAX = 64 * 1024, /* nodes, each alias counted with all it stands for */
	NODE_ANCHORS_MAX = 64,
	NODE_SCALAR_MAX = 16 * 1024, /* bytes of one scalar */
};

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

enum node_style {
	NODE_PLAIN,  /* 64: a number */
	NODE_QUOTED, /* "64": text */
	NODE_ARG     /* from the command line: either */
};

struct node {
	enum node_kind kind;
	enum node_style style;
	bool replace; /* a list tagged !replace */
	struct pos pos;
	unsigned weight;    /* of the whole subtree, 1 for a scalar */
	const char *text;   /* NODE_SCALAR; no NUL inside */
	struct node **item; /* NODE_LIST; NODE_MAP: key, value, key, value … */
	size_t count;	    /* of item: even for a map */
};

/*
 * Parse one document. Faults go to @d. NULL after an error. The nodes and
 * their text live in @a, positions name @file.
 */
struct node *node_parse(struct arena *a, const char *file, const void *data, size_t len,
			struct diags *d);

#endif
