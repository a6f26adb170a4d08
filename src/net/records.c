/* SPDX-License-Identifier: Apache-2.0 */
/* Questions that are not for addresses: one at a time for each asker, and nothing is kept. */
#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "base/str.h"
#include "net/resolver_internal.h"

static void on_answered(struct ask *a, const struct dns_answer *answer, const uint8_t *msg)
{
	struct record_job *job = LOOP_OWNER(a, struct record_job, ask);
	struct records_wait *w = TAKE_PTR(job->wait);

	w->job = NULL;
	/* A server that answers rubbish is no reason to think that there is something. */
	w->fn(w, answer ? answer->rcode : a->rubbish ? DNS_NOERROR : DNS_SERVFAIL, answer, msg);
}

int records_ask(struct resolver *r, const char *name, uint16_t type, struct records_wait *w)
{
	struct record_job *job = r->records;

	while (job < r->records + RESOLVER_RECORDS && job->wait)
		job++;
	if (job == r->records + RESOLVER_RECORDS)
		return -EBUSY;
	*job = (struct record_job){ .wait = w };
	str_copy(job->name, sizeof(job->name), name);
	job->ask = (struct ask){
		.resolver = r, .fn = on_answered, .name = job->name, .type = type, .watch.fd = -1
	};
	w->job = job;
	ask_start(&job->ask);
	return 0;
}

void records_forget(struct records_wait *w)
{
	struct record_job *job = TAKE_PTR(w->job);

	if (!job)
		return;
	ask_stop(&job->ask);
	job->wait = NULL;
}
