/* SPDX-License-Identifier: Apache-2.0 */
#include "net/report.h"

#include <stddef.h>
#include <sys/socket.h>

#include "base/str.h"

/* False: it has to wait, or there is no room. */
static bool tell(struct report *r, struct net_message *m)
{
	m->count = r->untold;
	return send(r->fd, m, sizeof(*m), MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(*m);
}

static void report(struct report *r, struct net_message *m)
{
	if (r->loop->now - r->since >= 1000) {
		r->since = r->loop->now;
		r->told = 0;
	}
	if (r->told == NET_DENIED_PER_SECOND || !tell(r, m)) {
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

void report_flush(struct report *r)
{
	struct net_message m = { .type = NET_DENIED };

	if (r->untold && tell(r, &m))
		r->untold = 0;
}
