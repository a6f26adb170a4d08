/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/macros.h"
#include "base/str.h"
#include "net/flow_internal.h"
#include "net/refusal.h"

enum gate { GATE_WAIT, GATE_OPEN, GATE_TLS, GATE_HTTP };

/* A fatal alert, access_denied(49): RFC 8446 §6 in a record of TLS 1.2, as all write it. */
static const uint8_t alert[] = { 21, 3, 3, 0, 2, 2, 49 };

/* @head: the request, or an error of it. */
static void say(const struct flow *f, enum gate gate, const struct http_head *head)
{
	struct refusal r = { .verdict = NET_OTHER_NAME,
			     .host = &f->host,
			     .port = f->port,
			     .asked = &head->host,
			     .asked_port = head->port };
	char text[REFUSAL_TEXT_MAX], response[REFUSAL_HTTP_MAX];
	size_t len;

	if (gate == GATE_TLS) {
		send(f->inner.fd, alert, sizeof(alert), MSG_DONTWAIT | MSG_NOSIGNAL);
		return;
	}
	if (head->why)
		snprintf(text, sizeof(text), "purple: a request that is not let through: %s\n",
			 head->why);
	else
		refusal_text(&r, text);
	len = refusal_http(head->why ? head->status : 403, text, streq(head->method, "HEAD"),
			   response);
	send(f->inner.fd, response, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static enum gate judge_http(struct flow *f, size_t len, struct http_head *head)
{
	switch (http_read(&f->http, (const char *)f->flows->peek, len, head)) {
	case HTTP_MORE:
		if (!f->client_done)
			return GATE_WAIT;
		/* There is no more. With no end of line it is a request to nobody. */
		*head = (struct http_head){ .status = 400, .why = "half a request" };
		return f->http.phase == HTTP_FIELDS ? GATE_HTTP : GATE_OPEN;
	case HTTP_OTHER:
	case HTTP_H2:
		return GATE_OPEN;
	case HTTP_DONE:
		if (!flow_is_for(f, head))
			return GATE_HTTP;
		flow_follow_start(f, head);
		flow_report_request(f, head, (const char *)f->flows->peek);
		return GATE_OPEN;
	case HTTP_BAD:
	default:
		return GATE_HTTP;
	}
}

static enum gate judge(struct flow *f, size_t len, struct http_head *head)
{
	struct hello hello;

	switch (hello_read(&f->hello, f->flows->peek, len, &hello)) {
	case HELLO_MORE:
		return f->client_done ? GATE_TLS : GATE_WAIT;
	case HELLO_NOT_TLS:
		return judge_http(f, len, head);
	case HELLO_DONE:
		return !hello.name[0] || streq(hello.name, f->host.name) ? GATE_OPEN : GATE_TLS;
	case HELLO_BAD:
	default:
		return GATE_TLS;
	}
}

static void refuse(struct flow *f, enum gate gate, const struct http_head *head)
{
	report_denied(f->flows->report, NET_OTHER_NAME, f->host.name, f->port, false);
	say(f, gate, head);
	flow_linger(f);
}

void flow_refuse_http(struct flow *f, const struct http_head *head)
{
	refuse(f, GATE_HTTP, head);
}

bool flow_gate(struct flow *f)
{
	struct loop *loop = f->flows->loop;
	enum gate gate = GATE_OPEN;
	struct http_head head = { .status = 0 };
	ssize_t n = recv(f->inner.fd, f->flows->peek, sizeof(f->flows->peek),
			 MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n < 0) {
		flow_end(f, true);
		return false;
	}
	if (n > 0) /* else its stream has ended without a byte */
		gate = judge(f, (size_t)n, &head);
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
	refuse(f, gate, &head);
	return false;
}
