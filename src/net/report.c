/* SPDX-License-Identifier: Apache-2.0 */
#include "net/report.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/str.h"

void report_denied(struct report *r, enum net_verdict verdict, const char *text, uint16_t port,
		   bool udp)
{
	struct net_message m = { .type = NET_DENIED,
				 .count = r->untold,
				 .udp = udp,
				 .verdict = (uint8_t)verdict,
				 .port = port };

	if (r->loop->now - r->since >= 1000) {
		r->since = r->loop->now;
		r->told = 0;
	}
	str_copy(m.text, sizeof(m.text), text);
	if (r->told == NET_DENIED_PER_SECOND ||
	    send(r->fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof(m)) {
		r->untold++;
		return;
	}
	r->told++;
	r->untold = 0;
}

const char *report_host(const struct host *host, char ret[HOST_NAME_MAX_LEN + 1])
{
	if (host->kind == HOST_NAME)
		str_copy(ret, HOST_NAME_MAX_LEN + 1, host->name);
	else if (!inet_ntop(host->kind == HOST_V6 ? AF_INET6 : AF_INET, host->addr, ret,
			    HOST_NAME_MAX_LEN + 1))
		ret[0] = '\0';
	return ret;
}
