/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The framing of a chunked body (RFC 9112 §7.1), for whoever passes it on: how
 * many bytes belong to it, from one decision to the next.
 *
 * http_chunk() gets what is there from where the last one ended. HTTP_DONE:
 * *pass bytes belong together and may go; that can be more than are there yet,
 * for a chunk's data is not looked at. HTTP_MORE: come again with more, from
 * the same place. HTTP_BAD: *status says with what to answer.
 *
 * Strict where two readers could differ: a size of at most 15 digits without
 * blanks before or behind it, CR LF alone as the end of a line and of data, no
 * control characters, no trailer field that says how a message is framed or
 * whom it is for.
 *
 * Limits: a line of HTTP_LINE_MAX bytes, HTTP_FIELDS_MAX trailer fields. No
 * allocation, no input or output.
 */
#ifndef PURPLE_NET_HTTP_CHUNK_H
#define PURPLE_NET_HTTP_CHUNK_H

#include "net/http.h"

enum { HTTP_LINE_MAX = 4096 };

enum http_chunk_phase { HTTP_FIRST_SIZE, HTTP_NEXT_SIZE, HTTP_TRAILER, HTTP_BODY_END };

/* Zero at the start of a body; it is over at HTTP_BODY_END. */
struct http_chunks {
	enum http_chunk_phase phase;
	unsigned fields;
};

enum http_result http_chunk(struct http_chunks *c, const char *data, size_t len, uint64_t *pass,
			    unsigned *status);

#endif
