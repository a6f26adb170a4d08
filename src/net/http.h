/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of an HTTP/1 request (RFC 9112): for whom it is, and how its body
 * ends. Also knows a connection that begins with HTTP/2 (RFC 9113 §3.4).
 *
 * http_read() gets all bytes from the start of the request, and again with
 * more while it says HTTP_MORE; the buffer may move, what was in it may not
 * change. Bytes are scanned once, so one byte a call costs linear time.
 *
 * It is stricter than RFC 9112 asks of servers, for whatever two programs
 * could read in two ways is a way around: HTTP_BAD are bare CR or LF, NUL and
 * other control characters, white space around the request line or in front
 * of a colon, obs-fold, more or fewer than one Host (HTTP/1.0 may leave it
 * out), a Host that is no host of net/host.h or disagrees with the target,
 * user information, Content-Length twice or with Transfer-Encoding, a coding
 * but "chunked", a body with CONNECT, HTTP/0.9. What a lenient server might read as HTTP is never
 * HTTP_OTHER, for that is let through unread.
 *
 * Limits: a head of HTTP_HEAD_MAX bytes, HTTP_FIELDS_MAX fields, a method of
 * HTTP_METHOD_MAX; HTTP_MORE is never said of HTTP_HEAD_MAX bytes. No
 * allocation, no input or output.
 */
#ifndef PURPLE_NET_HTTP_H
#define PURPLE_NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/host.h"

enum { HTTP_HEAD_MAX = 16384, HTTP_FIELDS_MAX = 128, HTTP_METHOD_MAX = 32 };

enum http_result {
	HTTP_MORE,
	HTTP_OTHER, /* another protocol */
	HTTP_BAD,   /* answer with head.status, close */
	HTTP_DONE,  /* an HTTP/1 request */
	HTTP_H2,    /* the preface of HTTP/2 with prior knowledge; names come in its frames */
};

/* RFC 9112 §3.2. */
enum http_form { HTTP_ORIGIN, HTTP_ABSOLUTE, HTTP_AUTHORITY, HTTP_ASTERISK };

/* RFC 9112 §6.3. */
enum http_body { HTTP_NO_BODY, HTTP_LENGTH, HTTP_CHUNKED };

enum http_phase { HTTP_START, HTTP_METHOD, HTTP_GAP, HTTP_REST, HTTP_FIELDS };

/* Zero at the start of a request, but for the last. */
struct http_reader {
	size_t scanned; /* bytes that have been looked at */
	size_t line;	/* where the line begins that they end in; of the first, its first word */
	enum http_phase phase;
	unsigned matched; /* bytes of "HTTP/" that the first line ends with so far */
	bool has_version; /* it was there whole */
	char second;	  /* the first byte of the second word */
	/*
	 * Set by a proxy: that a Host disagrees with an http URL is no error, for
	 * the proxy replaces it (RFC 9112 §3.2.2).
	 */
	bool replaces_host;
};

struct http_head {
	char method[HTTP_METHOD_MAX + 1];
	enum http_form form;
	unsigned minor;	   /* HTTP/1.minor: 0 or 1 */
	size_t target;	   /* the target is the bytes from here on … */
	size_t target_len; /* … as many */
	/* From the target if it has one, else from Host. */
	bool has_host;
	struct host host;
	uint16_t port; /* 0: none was named; with HTTP_AUTHORITY never */
	enum http_body body;
	uint64_t length; /* HTTP_LENGTH */
	bool close;	 /* Connection: close, or HTTP/1.0 */
	bool upgrade;	 /* Connection: upgrade: after the answer it may be another protocol */
	size_t len;	 /* of the head, with its empty line */
	/* HTTP_BAD. */
	unsigned status; /* 400, 431, 501 or 505 */
	const char *why; /* constant; else NULL */
};

enum http_result http_read(struct http_reader *r, const char *data, size_t len,
			   struct http_head *ret);

#endif
