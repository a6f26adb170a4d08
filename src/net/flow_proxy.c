/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxy of net/proxy.h. What the client says stays in the socket's buffer
 * until it is whole, the head of a request with a URL until it has gone on to
 * the server: a flow costs no memory for it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/macros.h"
#include "base/str.h"
#include "net/flow_internal.h"
#include "net/refusal.h"
#include "net/socks.h"
#include "net/special.h"
#include "net/tally.h"

static const char what[] = "purple: this is a proxy: it takes CONNECT host:port, requests with an "
			   "http:// URL, and SOCKS5\n";

static bool answer(struct flow *f, const void *data, size_t len)
{
	return send(f->inner.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

/* The @len bytes that were looked at. */
static bool take(struct flow *f, size_t len)
{
	return recv(f->inner.fd, f->flows->peek, len, MSG_DONTWAIT) == (ssize_t)len;
}

static void answer_http(struct flow *f, unsigned status, const char *text)
{
	char response[REFUSAL_HTTP_MAX];

	answer(f, response, refusal_http(status, text, f->head_only, response));
	flow_linger(f);
}

static void answer_socks(struct flow *f, enum socks_reply code)
{
	uint8_t reply[SOCKS_REPLY_SIZE];

	socks_write_reply(code, reply);
	answer(f, reply, sizeof(reply));
	flow_linger(f);
}

/* Of what the host's side could not reach: @status of HTTP, or the code of SOCKS5. */
static const char *why_unreachable(const struct flow *f, unsigned *status, enum socks_reply *code)
{
	*status = 502;
	*code = SOCKS_HOST_UNREACHABLE;
	if (f->phase == FLOW_RESOLVE)
		return "no address is known for that name";
	if (f->flows->loop->now >= f->deadline || f->error == -ETIMEDOUT) {
		*status = 504;
		return "it does not answer";
	}
	if (f->error == -ECONNREFUSED) {
		*code = SOCKS_CONNECTION_REFUSED;
		return "connection refused";
	}
	if (f->error == -ENETUNREACH)
		*code = SOCKS_NET_UNREACHABLE;
	return "no way there";
}

void flow_proxy_refuse(struct flow *f, enum net_verdict verdict)
{
	struct refusal r = { .verdict = verdict, .host = &f->host, .port = f->port };
	enum socks_reply code = SOCKS_NOT_ALLOWED;
	char text[REFUSAL_TEXT_MAX];
	unsigned status = 403;

	if (verdict == NET_UNREACHABLE)
		r.why = why_unreachable(f, &status, &code);
	if (f->proxy == FLOW_PROXY_SOCKS) {
		answer_socks(f, code);
		return;
	}
	refusal_text(&r, text);
	answer_http(f, status, text);
}

void flow_proxy_timeout(struct flow *f)
{
	if (f->proxy == FLOW_PROXY_FIRST && f->http.scanned)
		answer_http(f, 408, "purple: the request did not come to its end\n");
	else
		flow_end(f, false);
}

/* Loopback would be the host's, whatever the rules say; ours would be a loop. */
static void decide(struct flow *f, const struct host *host, uint16_t port)
{
	struct host target = special_unmap(host);

	loop_clear(f->flows->loop, &f->gate_timer);
	f->phase = FLOW_RESOLVE;
	f->host = target;
	f->port = port;
	if (host_is_loopback(&target) || streq(target.name, PROXY_NAME))
		flow_refuse(f, NET_NO_NAME);
	else
		flow_decide(f, &target);
}

/* False: wait for more, or the flow is gone. */
static bool read_greeting(struct flow *f, size_t len)
{
	static const uint8_t rejected4[8] = { 0, 91 }; /* SOCKS4's own */
	uint8_t method[2] = { 5, SOCKS_METHOD_NO_AUTH };
	size_t used;

	switch (socks_read_greeting(f->flows->peek, len, &used)) {
	case SOCKS_MORE:
		if (f->client_done)
			flow_end(f, false);
		return false;
	case SOCKS_DONE:
		f->proxy = FLOW_PROXY_GREETED;
		if (take(f, used) && answer(f, method, sizeof(method)))
			return true;
		flow_end(f, true);
		return false;
	case SOCKS_AUTH:
		method[1] = SOCKS_METHOD_NONE;
		answer(f, method, sizeof(method));
		break;
	case SOCKS_V4:
		answer(f, rejected4, sizeof(rejected4));
		break;
	default:
		break;
	}
	flow_linger(f);
	return false;
}

static void read_request(struct flow *f, size_t len)
{
	struct socks_request request;
	size_t used;

	switch (socks_read_request(f->flows->peek, len, &request, &used)) {
	case SOCKS_MORE:
		if (f->client_done)
			flow_end(f, false);
		return;
	case SOCKS_DONE:
		f->proxy = FLOW_PROXY_SOCKS;
		if (take(f, used))
			decide(f, &request.host, request.port);
		else
			flow_end(f, true);
		return;
	default:
		answer_socks(f, request.reply);
	}
}

static void take_http(struct flow *f, const struct http_head *head)
{
	f->head_only = streq(head->method, "HEAD");
	if (head->form == HTTP_AUTHORITY) {
		f->proxy = FLOW_PROXY_CONNECT;
		f->http = (struct http_reader){ .scanned = 0 }; /* for the gate */
		if (!take(f, head->len)) {
			flow_end(f, true);
			return;
		}
	} else if (head->form == HTTP_ABSOLUTE) {
		f->proxy = FLOW_PROXY_FORWARD;
	} else {
		answer_http(f, 400, what);
		return;
	}
	decide(f, &head->host, head->port ? head->port : 80);
}

static void read_http(struct flow *f, size_t len)
{
	struct http_head head;

	f->http.replaces_host = true;
	switch (http_read(&f->http, (const char *)f->flows->peek, len, &head)) {
	case HTTP_MORE:
		if (f->client_done)
			answer_http(f, 400, "purple: half a request\n");
		return;
	case HTTP_DONE:
		take_http(f, &head);
		return;
	case HTTP_BAD: {
		char text[256];

		snprintf(text, sizeof(text), "purple: a request that is not taken: %s\n", head.why);
		answer_http(f, head.status, text);
		return;
	}
	default:
		answer_http(f, 400, what);
	}
}

void flow_proxy_read(struct flow *f)
{
	const uint8_t *data = f->flows->peek;
	ssize_t n;

	do {
		n = recv(f->inner.fd, f->flows->peek, sizeof(f->flows->peek),
			 MSG_PEEK | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			flow_end(f, n < 0);
			return;
		}
		if (f->proxy == FLOW_PROXY_GREETED) {
			read_request(f, (size_t)n);
			return;
		}
		if (data[0] != 4 && data[0] != 5) {
			read_http(f, (size_t)n);
			return;
		}
	} while (read_greeting(f, (size_t)n));
}

/* Send the head on. As long as it is not through, it is still to be read, and the same. */
static bool forward(struct flow *f)
{
	struct http_reader reader = { .replaces_host = true };
	struct flows *fs = f->flows;
	ssize_t n = recv(f->inner.fd, fs->peek, sizeof(fs->peek), MSG_PEEK | MSG_DONTWAIT);
	struct http_head head;
	size_t len = 0;

	f->gated = true;
	if (n > 0 && http_read(&reader, (const char *)fs->peek, (size_t)n, &head) == HTTP_DONE)
		len = proxy_rewrite((const char *)fs->peek, &head, fs->head);
	n = 1;
	while (f->head_sent < len && n > 0) {
		size_t most = bucket_take(f->up.bucket, len - f->head_sent);

		if (!most) {
			bucket_wait(f->up.bucket, &f->up.wait);
			return true;
		}
		n = send(f->outer.fd, fs->head + f->head_sent, most, MSG_DONTWAIT | MSG_NOSIGNAL);
		f->head_sent += (size_t)MAX(n, 0);
		f->up.bytes += (size_t)MAX(n, 0);
		net_tally->up += (size_t)MAX(n, 0);
		bucket_give(f->up.bucket, most - (size_t)MAX(n, 0));
	}
	if (n < 0 && errno == EAGAIN)
		return true;
	if (!len || n <= 0 || !take(f, head.len)) {
		flow_end(f, true);
		return false;
	}
	f->proxy = FLOW_NO_PROXY;
	f->gated = false;
	flow_follow_one(f, &head);
	flow_report_request(f, &head, (const char *)fs->peek);
	return true;
}

bool flow_proxy_connected(struct flow *f)
{
	static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";
	uint8_t reply[SOCKS_REPLY_SIZE];
	bool socks = f->proxy == FLOW_PROXY_SOCKS;

	if (f->proxy == FLOW_PROXY_FORWARD)
		return forward(f);
	f->proxy = FLOW_NO_PROXY;
	socks_write_reply(SOCKS_OK, reply);
	if (!answer(f, socks ? (const void *)reply : established,
		    socks ? sizeof(reply) : sizeof(established) - 1)) {
		flow_end(f, true);
		return false;
	}
	return !f->gated || flow_gate(f);
}
