/* SPDX-License-Identifier: Apache-2.0 */
#include "net/report.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/macros.h"
#include "base/str.h"

static bool send_now(const struct report *r, struct net_message *m)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	m->time_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	return send(r->fd, m, sizeof(*m), MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(*m);
}

/* False: it has to wait, or there is no room. */
static bool tell(struct report *r, struct net_message *m)
{
	m->count = r->untold;
	return send_now(r, m);
}

static void report(struct report *r, struct net_message *m)
{
	if (r->loop->now - r->since >= 1000) {
		r->since = r->loop->now;
		r->told = 0;
	}
	if (r->told == (r->tell ? NET_DENIED_AUDITED : NET_DENIED_PER_SECOND) || !tell(r, m)) {
		r->untold++;
		return;
	}
	r->told++;
	r->untold = 0;
}

void report_denied(struct report *r, enum net_verdict verdict, const char *text, uint16_t port,
		   bool udp)
{
	struct net_message m = {
		.type = NET_DENIED, .udp = udp, .verdict = (uint8_t)verdict, .port = port
	};

	str_copy(m.text, sizeof(m.text), text);
	report(r, &m);
}

enum net_verdict report_verdict(const struct rules_answer *answer)
{
	return answer->verdict == RULES_BLOCKED	  ? NET_BLOCKED
	       : answer->verdict == RULES_SPECIAL ? NET_SPECIAL
						  : NET_NOT_LISTED;
}

void report_refused(struct report *r, const struct rules_answer *answer, const char *text,
		    const struct host *address, uint16_t port, bool udp)
{
	struct net_message m = { .type = NET_DENIED,
				 .udp = udp,
				 .verdict = (uint8_t)report_verdict(answer),
				 .port = port };
	char at[HOST_NAME_MAX_LEN + 1];

	str_copy(m.text, sizeof(m.text), text);
	if (answer->verdict == RULES_BLOCKED)
		m.rule = (uint16_t)(answer->rule + 1);
	if (address)
		str_copy(m.address, sizeof(m.address), host_text(address, at));
	report(r, &m);
}

static void report_allowed(struct report *r, struct net_message *m)
{
	m->type = NET_ALLOWED;
	m->count = r->allowed_untold;
	if (send_now(r, m))
		r->allowed_untold = 0;
	else
		r->allowed_untold++;
}

void report_flow(struct report *r, const char *host, const struct host *address, uint16_t port,
		 bool udp)
{
	struct net_message m = { .udp = udp, .port = port };
	char at[HOST_NAME_MAX_LEN + 1];

	if (!(r->tell & NET_TELL_FLOWS))
		return;
	str_copy(m.text, sizeof(m.text), host);
	str_copy(m.address, sizeof(m.address), host_text(address, at));
	report_allowed(r, &m);
}

enum { SAME_NAME_MS = 1000 };

void report_name(struct report *r, const char *name)
{
	struct net_message m = { .udp = true };

	if (!(r->tell & NET_TELL_FLOWS) ||
	    (r->loop->now - r->name_at < SAME_NAME_MS && streq(r->name, name)))
		return;
	r->name_at = r->loop->now;
	str_copy(r->name, sizeof(r->name), name);
	str_copy(m.text, sizeof(m.text), name);
	report_allowed(r, &m);
}

void report_request(struct report *r, const char *host, uint16_t port, const char *method,
		    const char *target, size_t len)
{
	struct net_message m = { .port = port };

	if (!(r->tell & NET_TELL_REQUESTS))
		return;
	str_copy(m.text, sizeof(m.text), host);
	str_copy(m.method, sizeof(m.method), method);
	memcpy(m.path, target, MIN(len, sizeof(m.path) - 1));
	report_allowed(r, &m);
}

void report_flush(struct report *r)
{
	struct net_message m = { .type = NET_DENIED };

	if (r->untold && tell(r, &m))
		r->untold = 0;
	m = (struct net_message){ .type = NET_ALLOWED };
	if (r->allowed_untold)
		report_allowed(r, &m);
}
