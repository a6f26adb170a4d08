/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxy inside, for programs that want one: HTTP (CONNECT, and requests
 * with an http URL) and SOCKS5 (CONNECT) at the resolver's own address. What
 * may be connected to is what may be without it.
 *
 *	HTTPS_PROXY=http://proxy.purple.internal:3128
 *
 * Here is what is pure of it: the head of a request as it goes on to the
 * server (RFC 9112 §3.2.2, RFC 9110 §7.6.1). The rest is net/flow_proxy.c. No
 * allocation, no input or output.
 */
#ifndef PURPLE_NET_PROXY_H
#define PURPLE_NET_PROXY_H

#include "net/http.h"

#define PROXY_NAME "proxy.purple.internal"

enum {
	PROXY_PORT = 3128,
	/* What a URL's host and Connection: close can add. */
	PROXY_HEAD_MAX = HTTP_HEAD_MAX + 512,
};

/*
 * The request of @head, HTTP_ABSOLUTE, read from @data: with a path as its
 * target, Host from the URL whatever it said, Connection: close, and without
 * what is for the proxy alone (Proxy-*, what Connection names, Keep-Alive, TE,
 * Upgrade). What says where the body ends is kept whatever Connection says.
 * Its length; 0: it does not fit, which cannot be.
 */
size_t proxy_rewrite(const char *data, const struct http_head *head, char ret[PROXY_HEAD_MAX]);

#endif
