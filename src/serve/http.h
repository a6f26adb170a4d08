/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `purple serve --metrics`: an HTTP server for scrapers, on libmicrohttpd. One thread,
 * one poll(2); it owns no sandbox, and its death ends none.
 *
 *	GET, HEAD /metrics   what `purple metrics` prints, not older than FRESH_MS
 *	          /healthz   200: it runs
 *	          /readyz    200; 503: the state directory is gone, and it must be started anew
 *	anything else        404; another method 405; a request that is none 400
 *
 * Whoever connects is hostile. At most CONNECTIONS_MAX are open, each for one request
 * and LIFE_MS at the most, whatever it sends or does not read; where there is no place
 * left, the oldest makes room that has not sent a whole request, or not read its
 * answer within READ_MS. A Host that is neither
 * an address nor "localhost" is refused (403) unless any address is listened at: a web
 * page may have its own name lead here (DNS rebinding).
 */
#ifndef PURPLE_SERVE_HTTP_H
#define PURPLE_SERVE_HTTP_H

#include <stdbool.h>

#include "base/err.h"

/* An address to listen at: "127.0.0.1:9464", "[::1]:0", "localhost:9464". */
struct serve_request {
	const char *address;
	bool any;	  /* it need not be of the loopback */
	bool best_effort; /* see serve_confine() */
	int all;	  /* the directory of all sandboxes; stays the caller's */
};

enum { CONNECTIONS_MAX = 64, LIFE_MS = 10000, READ_MS = 1000, IDLE_S = 5, FRESH_MS = 1000 };

/*
 * Serve until SIGTERM, SIGINT or SIGHUP: then 0. What it listens at is printed on
 * standard output when it does. -errno with @e: it could not begin.
 */
int serve_run(const struct serve_request *request, struct err *e);

#endif
