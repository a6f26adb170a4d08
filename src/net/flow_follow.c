/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request after request of an HTTP/1 connection to a name. What a request may
 * carry is counted (f->up.pass) and spliced; where it ends the next head is
 * peeked at, and none of its bytes goes anywhere before it was found to be for
 * the same name.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/macros.h"
#include "net/flow_internal.h"

/* Of a chunked body no more than lines are read: its data is spliced. */
enum { CHUNK_PEEK = HTTP_LINE_MAX + 2, STATUS_LINE_MIN = 12 /* "HTTP/1.1 101" */ };

bool flow_is_for(const struct flow *f, const struct http_head *head)
{
	return !head->has_host ||
	       (host_equal(&head->host, &f->host) && (!head->port || head->port == f->port));
}

void flow_report_request(const struct flow *f, const struct http_head *head, const char *data)
{
	char text[HOST_NAME_MAX_LEN + 1];

	report_request(f->flows->report, host_text(&f->host, text), f->port, head->method,
		       data + head->target, head->target_len);
}

/* The request with @head may go. How many bytes that is; of a chunked body none yet. */
static uint64_t admit(struct flow *f, const struct http_head *head)
{
	f->http = (struct http_reader){ .scanned = 0 };
	f->follow.chunks = (struct http_chunks){ .phase = HTTP_FIRST_SIZE };
	f->follow.phase = head->body == HTTP_CHUNKED ? FOLLOW_CHUNKS : FOLLOW_HEAD;
	return head->len + (head->body == HTTP_LENGTH ? head->length : 0);
}

void flow_follow_start(struct flow *f, const struct http_head *head)
{
	f->up.pass = admit(f, head);
	f->follow.connect = head->form == HTTP_AUTHORITY;
	if ((head->upgrade || f->follow.connect) && !f->down.begun) {
		f->follow.answer = ANSWER_AWAITED;
		f->down.pass = 0;
	}
}

void flow_follow_one(struct flow *f, const struct http_head *head)
{
	f->up.pass = admit(f, head) - head->len;
	f->follow.one_request = true;
}

/* *pass of the bytes at @data, and of those behind them, may go. */
static enum http_result step(struct flow *f, const char *data, size_t len, uint64_t *pass)
{
	struct flow_follow *w = &f->follow;
	enum http_result r;
	struct http_head head, *refused = &f->flows->refused;

	if (w->phase == FOLLOW_CHUNKS) {
		*refused = (struct http_head){ .why = "a chunked body that is not one" };
		r = http_chunk(&w->chunks, data, len, pass, &refused->status);
		if (w->chunks.phase == HTTP_BODY_END)
			w->phase = FOLLOW_HEAD;
		return r;
	}
	/* An empty line in front of a request is nothing, RFC 9112 §2.2. */
	if (len >= 2 && memcmp(data, "\r\n", 2) == 0) {
		f->http = (struct http_reader){ .scanned = 0 };
		*pass = 2;
		return HTTP_DONE;
	}
	r = http_read(&f->http, data, len, &head);
	if (r == HTTP_MORE)
		return r;
	if (r == HTTP_DONE && flow_is_for(f, &head)) {
		*pass = admit(f, &head);
		flow_report_request(f, &head, data);
		return r;
	}
	*refused = head;
	if (r == HTTP_OTHER || r == HTTP_H2)
		*refused = (struct http_head){ .status = 400, .why = "no HTTP/1" };
	f->http = (struct http_reader){ .scanned = 0 };
	return HTTP_BAD;
}

/* As much as can be said of the @len bytes that wait. */
static int look(struct flow *f, const char *data, size_t len)
{
	struct flow_follow *w = &f->follow;
	enum http_result r = HTTP_DONE;
	uint64_t at = 0, pass = 0;

	while (r == HTTP_DONE && at < len) {
		r = step(f, data + at, len - at, &pass);
		if (r == HTTP_DONE)
			at += pass;
		if (w->phase == FOLLOW_HEAD && (w->one_request || w->answer != ANSWER_NONE))
			break;
	}
	f->up.pass = at;
	if (at > 0)
		return 0; /* what is good goes first, the rest is looked at again */
	w->refused = r == HTTP_BAD;
	if (w->refused)
		return -EPROTO;
	if (!f->client_done)
		return -EAGAIN;
	/* The stream ends within a head or a chunk's line, which is nobody's. */
	while (recv(f->inner.fd, f->flows->peek, sizeof(f->flows->peek), MSG_DONTWAIT) > 0)
		;
	f->up.eof = true;
	return 0;
}

int flow_follow(struct flow *f)
{
	struct flow_follow *w = &f->follow;
	ssize_t n;

	if (w->phase == FOLLOW_HEAD && w->one_request) {
		f->up.eof = f->client_done;
		return f->up.eof ? 0 : -EAGAIN;
	}
	if (w->phase == FOLLOW_HEAD && w->answer == ANSWER_AWAITED)
		return -EAGAIN;
	if (w->phase == FOLLOW_HEAD && w->answer == ANSWER_SWITCHED) {
		f->up.pass = FLOW_PASS_ALL;
		return 0;
	}
	n = recv(f->inner.fd, f->flows->peek,
		 w->phase == FOLLOW_HEAD ? (size_t)HTTP_HEAD_MAX : (size_t)CHUNK_PEEK,
		 MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	if (n == 0) {
		f->up.eof = true;
		return 0;
	}
	return look(f, (const char *)f->flows->peek, (size_t)n);
}

/* What the @len bytes of an answer's start say; *pass of them may go on. */
static enum flow_answer judge(const struct flow *f, const char *data, size_t len, uint64_t *pass)
{
	static const char version[] = "HTTP/1.";
	const char *end;

	*pass = FLOW_PASS_ALL;
	if (memcmp(data, version, MIN(len, sizeof(version) - 1)) != 0)
		return ANSWER_NONE;
	if (len >= STATUS_LINE_MIN) {
		if (f->follow.connect ? data[9] == '2' : !memcmp(data + 8, " 101", 4))
			return ANSWER_SWITCHED;
		if (memcmp(data + 8, " 1", 2) != 0)
			return ANSWER_NONE;
		end = memmem(data, len, "\r\n\r\n", 4); /* of an interim one, another follows */
		if (end) {
			*pass = (uint64_t)(end - data) + 4;
			return ANSWER_AWAITED;
		}
	}
	if (len == HTTP_HEAD_MAX || f->follow.server_done)
		return ANSWER_NONE;
	*pass = 0;
	return ANSWER_AWAITED;
}

int flow_answer(struct flow *f)
{
	ssize_t n = recv(f->outer.fd, f->flows->peek, HTTP_HEAD_MAX, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	f->follow.answer = ANSWER_NONE;
	if (n == 0)
		f->down.eof = true;
	else
		f->follow.answer = judge(f, (const char *)f->flows->peek, (size_t)n, &f->down.pass);
	return n == 0 || f->down.pass ? 0 : -EAGAIN;
}

void flow_follow_refuse(struct flow *f)
{
	char byte;

	/* In the midst of an earlier answer ours would be taken for a part of that. */
	if (f->down.in_pipe || recv(f->outer.fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) > 0)
		flow_refuse(f, NET_OTHER_NAME);
	else
		flow_refuse_http(f, &f->flows->refused);
}
