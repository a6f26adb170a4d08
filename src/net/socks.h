/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a SOCKS5 client says (RFC 1928): the greeting, then one request. Only
 * CONNECT, only "no authentication"; SOCKS4 (0x04) is told from rubbish so
 * that the refusal can say what to use.
 *
 * Both readers take all bytes received so far of their message, are called
 * again with more while they say SOCKS_MORE, and look at nothing behind the
 * message's end. A client that pipelines is fine: what follows stands at
 * data + *used.
 *
 * Limits: a greeting has at most 257 bytes, a request 262; SOCKS_MORE is never
 * said of more. Names are as in net/host.h; a NUL or another character in one
 * is an error, so is port 0. No allocation, no input or output.
 */
#ifndef PURPLE_NET_SOCKS_H
#define PURPLE_NET_SOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "net/host.h"

enum { SOCKS_GREETING_MAX = 257, SOCKS_REQUEST_MAX = 262, SOCKS_REPLY_SIZE = 10 };

enum socks_result {
	SOCKS_MORE,   /* a part of a message */
	SOCKS_DONE,   /* read; *used bytes of it */
	SOCKS_V4,     /* SOCKS4 or 4a: no answer is defined that a client of 5 would send */
	SOCKS_AUTH,   /* the client insists on authentication: SOCKS_METHOD_NONE, then close */
	SOCKS_REFUSE, /* well-formed, not served: answer with the reply code, then close */
	SOCKS_BAD,    /* not SOCKS5: answer with the reply code if it is a request; close */
};

/* The second byte of the answer to a greeting, RFC 1928 §3; the first is 5. */
enum { SOCKS_METHOD_NO_AUTH = 0, SOCKS_METHOD_NONE = 0xff };

/* RFC 1928 §6. */
enum socks_reply {
	SOCKS_OK = 0,
	SOCKS_FAILURE = 1,
	SOCKS_NOT_ALLOWED = 2,
	SOCKS_NET_UNREACHABLE = 3,
	SOCKS_HOST_UNREACHABLE = 4,
	SOCKS_CONNECTION_REFUSED = 5,
	SOCKS_TTL_EXPIRED = 6,
	SOCKS_NO_COMMAND = 7,
	SOCKS_NO_ADDRESS_TYPE = 8,
};

struct socks_request {
	struct host host;
	uint16_t port;
	enum socks_reply reply; /* SOCKS_REFUSE, SOCKS_BAD: what to answer */
};

enum socks_result socks_read_greeting(const uint8_t *data, size_t len, size_t *used);
enum socks_result socks_read_request(const uint8_t *data, size_t len, struct socks_request *ret,
				     size_t *used);

/* The answer to a request; the bound address is given as 0.0.0.0:0, which clients ignore. */
void socks_write_reply(enum socks_reply reply, uint8_t ret[SOCKS_REPLY_SIZE]);

#endif
