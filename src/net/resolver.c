/* SPDX-License-Identifier: Apache-2.0 */
#include "net/resolver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/macros.h"
#include "base/str.h"
#include "net/resolver_internal.h"

static const struct resolver_result failed = { .rcode = DNS_SERVFAIL };
static const struct resolver_result outside = {
	.ttl = RESOLVER_TTL_MAX,
	.expires = UINT64_MAX,
	.count = 2,
	.addrs = { { .v6 = 1, .addr[15] = 1 }, { .addr = { 127, 0, 0, 1 } } },
};

int resolver_new(struct loop *loop, const struct net_server *servers, unsigned count,
		 struct resolver **ret)
{
	struct resolver *r;

	if (!count || count > NET_SERVERS_MAX)
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->loop = loop;
	r->servers_count = count;
	memcpy(r->servers, servers, count * sizeof(*servers));
	r->used.older = r->used.newer = &r->used;
	if (getrandom(&r->key, sizeof(r->key), 0) != sizeof(r->key) ||
	    newnames_init(&r->newnames) < 0) {
		free(r);
		return -EIO;
	}
	*ret = r;
	return 0;
}

void resolver_free(struct resolver *r)
{
	for (unsigned i = 0; r && i < RESOLVER_JOBS; i++)
		for (unsigned k = 0; r->jobs[i].entry && k < ARRAY_SIZE(r->jobs[i].asks); k++)
			ask_stop(&r->jobs[i].asks[k]);
	for (unsigned i = 0; r && i < RESOLVER_RECORDS; i++)
		if (r->records[i].wait)
			ask_stop(&r->records[i].ask);
	free(r);
}

bool resolver_admits(struct resolver *r, const struct net_rules *rules, const struct names *names,
		     const char *name)
{
	return names_known(names, name) || newnames_admit(&r->newnames, rules, name, r->loop->now);
}

bool resolver_admits_service(struct resolver *r, size_t rule, const char *name)
{
	return newnames_admit_under(&r->newnames, rule, name, r->loop->now);
}

static struct resolver_entry **bucket(struct resolver *r, const char *name)
{
	uint32_t h = r->key;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u; /* FNV-1a with a key */
	return &r->buckets[(h ^ h >> 16) % RESOLVER_NAMES];
}

static void unlist(struct resolver_entry *e)
{
	e->older->newer = e->newer;
	e->newer->older = e->older;
}

static void list_newest(struct resolver *r, struct resolver_entry *e)
{
	e->newer = &r->used;
	e->older = r->used.older;
	e->older->newer = e;
	r->used.older = e;
}

static void drop(struct resolver *r, struct resolver_entry *e)
{
	struct resolver_entry **at = bucket(r, e->name);

	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	unlist(e);
	e->name[0] = '\0';
}

/* A free entry, or else that of the longest unused name that nobody waits for. */
static struct resolver_entry *make_room(struct resolver *r)
{
	for (unsigned i = 0; i < RESOLVER_NAMES; i++)
		if (!r->entries[i].name[0])
			return &r->entries[i];
	for (struct resolver_entry *e = r->used.newer; e != &r->used; e = e->newer) {
		if (!e->job && !e->busy) {
			drop(r, e);
			return e;
		}
	}
	return NULL;
}

static struct resolver_entry *add(struct resolver *r, const char *name)
{
	struct resolver_entry *e = make_room(r), **at = bucket(r, name);

	if (!e)
		return NULL;
	*e = (struct resolver_entry){ .chain = *at };
	str_copy(e->name, sizeof(e->name), name);
	*at = e;
	list_newest(r, e);
	return e;
}

static struct resolver_entry *find(struct resolver *r, const char *name)
{
	struct resolver_entry *e = *bucket(r, name);

	while (e && strcmp(e->name, name) != 0)
		e = e->chain;
	return e;
}

/* Both families are through. */
static void complete(struct resolver *r, struct resolver_entry *e)
{
	struct job *job = TAKE_PTR(e->job);
	struct resolver_result result;
	unsigned a = job->asks[0].rcode, b = job->asks[1].rcode;

	job->entry = NULL;
	if (e->result.count)
		e->result.rcode = DNS_NOERROR;
	else if (a == DNS_NXDOMAIN || b == DNS_NXDOMAIN)
		e->result.rcode = DNS_NXDOMAIN;
	else
		e->result.rcode = a == DNS_NOERROR && b == DNS_NOERROR ? DNS_NOERROR : DNS_SERVFAIL;
	e->result.ttl = MIN(MAX(e->result.ttl, (uint32_t)RESOLVER_TTL_MIN),
			    (uint32_t)RESOLVER_TTL_MAX);
	e->result.expires = r->loop->now + e->result.ttl * 1000u;
	result = e->result;
	e->busy = true;
	while (e->waits) {
		struct resolver_wait *w = e->waits;

		resolver_forget(w);
		w->fn(w, &result);
	}
	e->busy = false;
	if (!result.count)
		drop(r, e);
}

static void on_answered(struct ask *a, const struct dns_answer *answer, const uint8_t *msg)
{
	struct resolver_entry *e = a->job->entry;
	struct ask *other = &a->job->asks[a == &a->job->asks[0]];

	for (unsigned i = 0; answer && i < answer->count && e->result.count < RESOLVER_ADDRS; i++) {
		struct resolver_addr *addr = &e->result.addrs[e->result.count++];

		*addr = (struct resolver_addr){ .v6 = a->type == DNS_AAAA };
		memcpy(addr->addr, answer->addrs[i], addr->v6 ? 16 : 4);
		e->result.ttl = MIN(e->result.ttl, answer->ttl);
	}
	if (other->done)
		complete(a->resolver, e);
	else if (answer && answer->count)
		ask_hurry(other);
}

static int begin(struct resolver *r, struct resolver_entry *e)
{
	static const uint16_t types[] = { DNS_AAAA, DNS_A };
	struct job *job = NULL;

	for (unsigned i = 0; i < RESOLVER_JOBS && !job; i++)
		if (!r->jobs[i].entry)
			job = &r->jobs[i];
	if (!job)
		return -EBUSY;
	job->entry = e;
	e->job = job;
	e->result = (struct resolver_result){ .ttl = UINT32_MAX };
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
		job->asks[i] = (struct ask){ .resolver = r,
					     .fn = on_answered,
					     .job = job,
					     .name = e->name,
					     .type = types[i],
					     .watch.fd = -1 };
	ask_start(&job->asks[0]);
	ask_start(&job->asks[1]);
	return 0;
}

const struct resolver_result *resolver_ask(struct resolver *r, const char *name,
					   struct resolver_wait *w)
{
	struct resolver_entry *e;

	if (host_is_outside(name)) /* no server is asked for it, or believed */
		return &outside;
	e = find(r, name);
	if (e) {
		unlist(e);
		list_newest(r, e);
	} else {
		e = add(r, name);
		if (!e)
			return &failed;
	}
	if (e->busy || (!e->job && e->result.count && r->loop->now < e->result.expires))
		return &e->result;
	if (!e->job && begin(r, e) < 0) {
		drop(r, e);
		return &failed;
	}
	w->entry = e;
	w->next = e->waits;
	e->waits = w;
	return NULL;
}

void resolver_forget(struct resolver_wait *w)
{
	struct resolver_wait **at;

	if (!w->entry)
		return;
	at = &w->entry->waits;
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	w->entry = NULL;
}
