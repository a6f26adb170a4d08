/* SPDX-License-Identifier: Apache-2.0 */
/* Between http.c, which finds the end of a head, and http_head.c, which says what is in it. */
#ifndef PURPLE_NET_HTTP_INTERNAL_H
#define PURPLE_NET_HTTP_INTERNAL_H

#include "net/http.h"

/* tchar, RFC 9110 §5.6.2. */
bool http_is_token(char c);

/* Fills in @ret and returns HTTP_BAD. */
enum http_result http_bad(struct http_head *ret, unsigned status, const char *why);

/* The request line of @len bytes, without its CR LF. HTTP_DONE or HTTP_BAD. */
enum http_result http_parse_request_line(const char *line, size_t len, struct http_head *ret);

/*
 * The whole head, of @len bytes with the empty line; @replaces_host as in
 * struct http_reader. HTTP_DONE or HTTP_BAD.
 */
enum http_result http_parse_fields(const char *data, size_t len, bool replaces_host,
				   struct http_head *ret);

#endif
