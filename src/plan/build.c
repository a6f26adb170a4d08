/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/build.h"

#include <errno.h>
#include <string.h>

#include "plan/builder.h"
#include "plan/filter.h"

struct plan_str builder_str(struct builder *b, const char *s)
{
	struct plan_str r = { 0, 0 };

	if (!s)
		return r;
	r.off = (uint32_t)(sizeof(struct plan) + b->strings.len);
	r.len = (uint32_t)strlen(s);
	buf_add(&b->strings, s, (size_t)r.len + 1);
	return r;
}

int builder_lack(struct builder *b, const char *what, const char *why, const char *remedy)
{
	struct plan_downgrade d;

	if (!b->best_effort) {
		err_set(b->e, EPROTO, "plan", "%s: %s", what, why);
		err_remedy(b->e,
			   "%s; or run with --best-effort to go without it, as a named "
			   "downgrade",
			   remedy);
		return -EPROTO;
	}
	d.what = builder_str(b, what);
	d.why = builder_str(b, why);
	buf_add(&b->downgrades, &d, sizeof(d));
	return 0;
}

static int build_sources(struct builder *b)
{
	const struct policy *p = b->policy;

	for (size_t i = 0; i < p->sources_count; i++) {
		struct plan_source s = { .path = builder_str(b, p->sources[i].path) };

		memcpy(s.sha256, p->sources[i].sha256, sizeof(s.sha256));
		buf_add(&b->sources, &s, sizeof(s));
	}
	for (size_t i = 0; i < p->absent_count; i++) {
		struct plan_fact f = { .kind = PF_ABSENT, .path = builder_str(b, p->absent[i]) };

		buf_add(&b->facts, &f, sizeof(f));
	}
	return 0;
}

/* An endpoint was meant to be sent to, unless the switch beside it is off. */
static void build_tracing(struct builder *b)
{
	const struct policy *p = b->policy;
	struct plan_tracing *t = &b->head.tracing;

	if (!p->tracing.enabled &&
	    (!p->tracing.endpoint.s || policy_where(p, "tracing.enabled").file))
		return;
	t->flags = PT_ON | (p->tracing.enabled ? PT_CALLER : 0);
	t->wait_s = (uint32_t)p->tracing.wait_seconds.v;
	t->endpoint = builder_str(b, p->tracing.endpoint.s);
}

static void lay(struct buf *out, struct plan_table *t, const struct buf *items, size_t size)
{
	buf_align(out, 8);
	t->off = (uint32_t)out->len;
	t->count = (uint32_t)(items->len / size);
	buf_add(out, items->data, items->len);
}

static int assemble(struct builder *b, struct buf *out)
{
	struct plan *h = &b->head;
	struct plan_network *n = &h->network;
	const struct buf *const parts[] = {
		&b->strings,	   &b->mounts,	  &b->after,	  &b->rlimits,	   &b->env_set,
		&b->env_pass,	   &b->layers,	  &b->downgrades, &b->facts,	   &b->sources,
		&b->filter,	   &b->net_allow, &b->net_block,  &b->net_servers, &b->net_sockets,
		&b->net_listeners, &b->net_batch, &b->observer,	  &b->causes,	   &b->rules,
		&b->hide,	   &b->protect
	};

	buf_add(&b->mounts, b->after.data, b->after.len);
	buf_add(out, h, sizeof(*h));
	buf_add(out, b->strings.data, b->strings.len);
	lay(out, &h->mounts, &b->mounts, sizeof(struct plan_mount));
	lay(out, &h->hide, &b->hide, sizeof(struct plan_str));
	lay(out, &h->rlimits, &b->rlimits, sizeof(struct plan_rlimit));
	lay(out, &h->env_set, &b->env_set, sizeof(struct plan_env));
	lay(out, &h->env_pass, &b->env_pass, sizeof(struct plan_env));
	lay(out, &h->filter, &b->filter, sizeof(struct sock_filter));
	lay(out, &h->layers, &b->layers, sizeof(struct plan_layer));
	lay(out, &h->downgrades, &b->downgrades, sizeof(struct plan_downgrade));
	lay(out, &h->facts, &b->facts, sizeof(struct plan_fact));
	lay(out, &h->sources, &b->sources, sizeof(struct plan_source));
	lay(out, &h->observer, &b->observer, sizeof(struct sock_filter));
	lay(out, &h->protect, &b->protect, sizeof(struct plan_str));
	if (b->causes.len > 0) {
		lay(out, &h->audit.causes, &b->causes, sizeof(struct sock_filter));
		lay(out, &h->audit.rules, &b->rules, sizeof(struct plan_str));
	}
	if (n->flags & PN_ON) {
		lay(out, &n->allow, &b->net_allow, sizeof(struct net_rule));
		lay(out, &n->block, &b->net_block, sizeof(struct net_rule));
		lay(out, &n->servers, &b->net_servers, sizeof(struct plan_server));
		lay(out, &n->sockets, &b->net_sockets, sizeof(struct plan_socket));
		lay(out, &n->listeners, &b->net_listeners, sizeof(struct plan_listener));
		lay(out, &n->batch, &b->net_batch, 1);
	}
	buf_align(out, 8);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		out->failed |= parts[i]->failed;
	if (out->failed)
		return err_set(b->e, E2BIG, "plan", "the plan is larger than %d bytes", PLAN_MAX);
	h->size = (uint32_t)out->len;
	h->checksum = 0;
	memcpy(out->data, h, sizeof(*h));
	h->checksum = plan_checksum(out->data, out->len);
	memcpy(out->data, h, sizeof(*h));
	return 0;
}

int plan_build(const struct policy *p, const struct host *h, const uint8_t key[32], struct buf *ret,
	       struct err *e)
{
	struct builder b = {
		.policy = p,
		.host = h,
		.arena = ARENA_INIT(POLICY_ARENA_MAX),
		.best_effort = h->best_effort || p->enforcement == ENFORCE_BEST_EFFORT,
		.head = { .magic = PLAN_MAGIC, .version = PLAN_VERSION },
		.e = e,
	};
	struct buf *const bufs[] = { &b.strings,   &b.mounts,	   &b.after,	   &b.rlimits,
				     &b.env_set,   &b.env_pass,	   &b.layers,	   &b.downgrades,
				     &b.facts,	   &b.sources,	   &b.filter,	   &b.net_allow,
				     &b.net_block, &b.net_servers, &b.net_sockets, &b.net_listeners,
				     &b.net_batch, &b.observer,	   &b.causes,	   &b.rules,
				     &b.hide,	   &b.protect };
	struct filter_options options = { .root = h->root };
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(bufs); i++)
		*bufs[i] = BUF_INIT(PLAN_MAX);
	memcpy(b.head.key, key, sizeof(b.head.key));
	b.head.profile = builder_str(&b, p->name.s);
	b.head.enforcement = b.best_effort ? ENFORCE_BEST_EFFORT : ENFORCE_STRICT;
	b.head.hostname = builder_str(&b, "purple");
	b.head.umask = 022;
	r = build_refuse_unsupported(&b);
	if (r == 0)
		r = build_network(&b);
	if (r == 0)
		r = build_layers(&b);
	if (r == 0)
		r = build_root(&b);
	if (r == 0)
		r = build_protect(&b);
	if (r == 0)
		r = build_limits(&b);
	if (r == 0)
		r = build_environment(&b);
	if (r == 0)
		r = build_audit(&b);
	if (r == 0)
		r = build_sources(&b);
	build_tracing(&b);
	options.network = b.head.network.flags & PN_ON;
	if (r == 0)
		r = filter_build(p, &options, &b.filter, e);
	options.observe = build_observe(&b);
	if (r == 0 && options.observe)
		r = filter_build(p, &options, &b.observer, e);
	if (r == 0 && options.observe & FO_REFUSED)
		r = build_causes(&b, &options);
	if (r == 0)
		r = assemble(&b, ret);
	for (size_t i = 0; i < ARRAY_SIZE(bufs); i++)
		buf_free(bufs[i]);
	arena_free(&b.arena);
	return r;
}
