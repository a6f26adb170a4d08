/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program is told whose connection is refused, in words: who refused
 * it, what, and the line of the policy that would allow it. The gate and the
 * proxy say the same.
 *
 * What the client sent is told as struct host has it, letters, digits and
 * punctuation, or not at all: nothing of it can be read as part of an answer.
 * No allocation, no input or output.
 */
#ifndef PURPLE_NET_REFUSAL_H
#define PURPLE_NET_REFUSAL_H

#include <stdbool.h>
#include <stddef.h>

#include "net/host.h"
#include "net/protocol.h"

enum {
	REFUSAL_TEXT_MAX = 1536,
	REFUSAL_HTTP_MAX = 2 * REFUSAL_TEXT_MAX + 256,
	REFUSAL_HOST_MAX = HOST_NAME_MAX_LEN + sizeof("[]:65535"),
};

struct refusal {
	enum net_verdict verdict;
	const struct host *host; /* where to */
	uint16_t port;
	const struct host *asked; /* OTHER_NAME: whom the request is for, or NULL */
	uint16_t asked_port;	  /* 0: none was named */
	const char *why;	  /* UNREACHABLE: constant */
};

/* "host:port", "[v6]:port"; without a port where that is 0. */
void refusal_host(const struct host *host, uint16_t port, char ret[REFUSAL_HOST_MAX]);

/* Whole lines of ASCII. */
void refusal_text(const struct refusal *r, char ret[REFUSAL_TEXT_MAX]);

/*
 * A whole answer of HTTP/1.1, after which the connection ends; its length. The
 * first line of @text is its reason phrase too, which is all that many clients
 * show of an answer to CONNECT. @head: the body is left out, as to HEAD.
 */
size_t refusal_http(unsigned status, const char *text, bool head, char ret[REFUSAL_HTTP_MAX]);

#endif
