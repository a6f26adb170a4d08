/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The address of a collector of OpenTelemetry: http://HOST[:PORT][/PATH], or https://. No user,
 * no query, no fragment: nothing of it may be a secret, for it is shown. Without a
 * port it is that of OTLP/HTTP, 4318. A base to which /v1/traces is appended, unless
 * it ends so: opentelemetry.io/docs/specs/otel/protocol/exporter, "Endpoint URLs".
 */
#ifndef PURPLE_POLICY_ENDPOINT_H
#define PURPLE_POLICY_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

enum { ENDPOINT_MAX = 512 }; /* bytes of a URL, with its NUL */

struct endpoint {
	bool tls;
	bool v6; /* @host is an IPv6 address, without its brackets */
	char host[256];
	uint16_t port;
	char url[ENDPOINT_MAX + 16]; /* to send to: with the path */
};

/* 0, or -EINVAL with what is wrong in *why, a constant. @exact: append nothing. */
int endpoint_parse(const char *text, bool exact, struct endpoint *ret, const char **why);

#endif
