/* SPDX-License-Identifier: Apache-2.0 */
/* purple-otlp's way to one collector, by libcurl: one request at a time, never blocking. */
#ifndef PURPLE_EVENT_OTLP_HTTP_H
#define PURPLE_EVENT_OTLP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "policy/endpoint.h"

enum { OTLP_ANSWER_MAX = 64 << 10 }; /* bytes of an answer that are read; more ends the request */

enum otlp_result {
	OTLP_RUNNING,
	OTLP_TAKEN, /* but for @rejected */
	OTLP_RETRY, /* it may be taken later: no connection; 429, 502, 503, 504 */
	OTLP_REFUSED
};

struct otlp_answer {
	enum otlp_result result;
	uint64_t rejected;	/* OTLP_TAKEN: spans */
	uint32_t retry_after_s; /* OTLP_RETRY: as it asked; 0: it did not */
	char why[160];
};

struct otlp_http;

/*
 * All that needs a file, a name server or a process is done here: afterwards only
 * sockets to the endpoint are. @caller: the caller's OTEL_EXPORTER_OTLP_HEADERS and
 * OTEL_EXPORTER_OTLP_CERTIFICATE count. NULL with @e set.
 */
struct otlp_http *otlp_http_open(const struct endpoint *to, bool caller, struct err *e);
void otlp_http_close(struct otlp_http *h);

/* @body stays the caller's, unchanged until there is an answer. */
void otlp_http_post(struct otlp_http *h, const char *body, size_t len, struct otlp_answer *a);
/*
 * Wait up to @ms, for the request under way if there is one, and until @fd (if not -1) is
 * readable: then true. The answer's result says how the request is.
 */
bool otlp_http_wait(struct otlp_http *h, int fd, int ms, struct otlp_answer *a);
/* Give the request up. */
void otlp_http_abandon(struct otlp_http *h);

#endif
