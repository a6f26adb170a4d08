/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to build*.c: a plan under construction. Strings go straight into
 * the block behind the header; table entries are collected and laid behind
 * the strings at the end, so an offset never has to be moved.
 */
#ifndef PURPLE_PLAN_BUILDER_H
#define PURPLE_PLAN_BUILDER_H

#include "plan/build.h"
#include "plan/plan.h"

struct builder {
	const struct policy *policy;
	const struct host *host;
	struct arena arena; /* for expanded paths */
	bool best_effort;
	const char *net_why; /* why the layer net is downgraded, or NULL; constant */
	struct plan head;
	struct buf strings;
	struct buf mounts, after; /* @after: mounts that come after the workspace */
	struct buf rlimits, env_set, env_pass, layers, downgrades, facts, sources, filter;
	struct buf hide, protect;
	struct buf observer, causes, rules;
	struct buf net_allow, net_block, net_servers, net_sockets, net_listeners, net_batch;
	struct err *e;
};

struct plan_str builder_str(struct builder *b, const char *s);

/*
 * The policy asks for something that is not done here. Under best-effort it is
 * written into the plan as a downgrade and 0 is returned; else an error that
 * names @what, @why and the remedy.
 */
int builder_lack(struct builder *b, const char *what, const char *why, const char *remedy);

/* build_root.c: mounts, facts, working directory. */
int build_root(struct builder *b);
/*
 * build_output.c: make boxes of the binds from @from on in @mounts, which are those of
 * filesystem.output_paths; then, when all entries are there, refuse what would open one.
 */
int build_outputs(struct builder *b, size_t from);
int build_outputs_check(struct builder *b);
/* build_overlay.c: the same for filesystem.overlays, one entry each in that order. */
int build_overlays(struct builder *b, size_t from);
int build_overlays_check(struct builder *b);
/* build_protect.c: after the two. */
int build_protect(struct builder *b);
/* build_layers.c: namespaces, ids, capabilities, Landlock, environment. */
int build_layers(struct builder *b);
/* build_limits.c */
int build_limits(struct builder *b);
int build_environment(struct builder *b);
/* build_network.c */
int build_network(struct builder *b);
/* build_publish.c: what of it comes in. */
int build_publish(struct builder *b);
/*
 * build_ports.c: the same where there is no nf_tables, of which @error is the
 * errno. When the policy's ports are known, build_ports_check() refuses what
 * cannot work together.
 */
int build_ports(struct builder *b, int error);
int build_ports_sockets(struct builder *b);
int build_ports_check(struct builder *b);
/* build_network.c: of @kind, for each family. */
void build_socket(struct builder *b, enum plan_socket_kind kind, uint16_t port);
/* build_audit.c */
int build_audit(struct builder *b);
unsigned build_observe(const struct builder *b); /* enum filter_observe, for what it has built */
/* build_causes.c: @o as for the observer. */
struct filter_options;
int build_causes(struct builder *b, const struct filter_options *o);
/*
 * build_root.c: "~/x", "${HOME}/x" → "/home/u/x"; "." and "${WORKSPACE}" stay relative:
 * "./x". NULL: there is no home, or no user name.
 */
const char *builder_expand(struct builder *b, const char *path);
/* build_support.c: keys that are parsed, and that nothing here enforces. */
int build_refuse_unsupported(struct builder *b);

#endif
