/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/macros.h"
#include "base/str.h"
#include "net/flow_internal.h"

enum gate { GATE_WAIT, GATE_OPEN, GATE_TLS, GATE_HTTP };

/* A fatal alert, access_denied(49): RFC 8446 §6 in a record of TLS 1.2, as all write it. */
static const uint8_t alert[] = { 21, 3, 3, 0, 2, 2, 49 };

static void say(const struct flow *f, enum gate gate, unsigned status)
{
	const char *body = "purple: this connection is for another host than the request.\n";
	char text[256];
	int len;

	/* What is unread at close(2) makes it a reset, which can overtake the answer. */
	while (recv(f->inner.fd, f->flows->peek, sizeof(f->flows->peek), MSG_DONTWAIT) > 0)
		;
	if (gate == GATE_TLS) {
		send(f->inner.fd, alert, sizeof(alert), MSG_DONTWAIT | MSG_NOSIGNAL);
		return;
	}
	len = snprintf(text, sizeof(text),
		       "HTTP/1.1 %u Refused\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
		       "Connection: close\r\n\r\n%s",
		       status, status == 403 ? strlen(body) : 0, status == 403 ? body : "");
	send(f->inner.fd, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static enum gate judge_http(struct flow *f, size_t len, unsigned *status)
{
	struct http_head head;

	switch (http_read(&f->http, (const char *)f->flows->peek, len, &head)) {
	case HTTP_MORE:
		if (!f->client_done)
			return GATE_WAIT;
		/* There is no more. With no end of line it is a request to nobody. */
		*status = 400;
		return f->http.phase == HTTP_FIELDS ? GATE_HTTP : GATE_OPEN;
	case HTTP_OTHER:
	case HTTP_H2:
		return GATE_OPEN;
	case HTTP_DONE:
		if (!head.has_host ||
		    (host_equal(&head.host, &f->host) && (!head.port || head.port == f->port)))
			return GATE_OPEN;
		*status = 403;
		return GATE_HTTP;
	case HTTP_BAD:
	default:
		*status = head.status;
		return GATE_HTTP;
	}
}

static enum gate judge(struct flow *f, size_t len, unsigned *status)
{
	struct hello hello;

	switch (hello_read(&f->hello, f->flows->peek, len, &hello)) {
	case HELLO_MORE:
		return f->client_done ? GATE_TLS : GATE_WAIT;
	case HELLO_NOT_TLS:
		return judge_http(f, len, status);
	case HELLO_DONE:
		return !hello.name[0] || streq(hello.name, f->host.name) ? GATE_OPEN : GATE_TLS;
	case HELLO_BAD:
	default:
		return GATE_TLS;
	}
}

bool flow_gate(struct flow *f)
{
	struct loop *loop = f->flows->loop;
	enum gate gate = GATE_OPEN;
	unsigned status = 0;
	ssize_t n = recv(f->inner.fd, f->flows->peek, sizeof(f->flows->peek),
			 MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n < 0) {
		flow_end(f, true);
		return false;
	}
	if (n > 0) /* else its stream has ended without a byte */
		gate = judge(f, (size_t)n, &status);
	if (gate == GATE_WAIT) {
		if (!f->gate_timer.slot)
			loop_set(loop, &f->gate_timer, FLOW_GATE_MS);
		return true;
	}
	loop_clear(loop, &f->gate_timer);
	if (gate == GATE_OPEN) {
		f->gated = false;
		return true;
	}
	report_denied(f->flows->report, NET_OTHER_NAME, f->host.name, f->port, false);
	say(f, gate, status);
	flow_end(f, false);
	return false;
}
