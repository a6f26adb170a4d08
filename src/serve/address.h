/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of the HTTP server, and who may be meant by a Host. Pure. */
#ifndef PURPLE_SERVE_ADDRESS_H
#define PURPLE_SERVE_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/err.h"

struct serve_address {
	struct sockaddr_storage sa;
	socklen_t len;
	bool loopback;
};

/* "127.0.0.1:9464", "[::1]:9464", "localhost:9464" (127.0.0.1). No names are looked up. */
int serve_address_parse(const char *text, struct serve_address *ret, struct err *e);

/* "127.0.0.1:9464", "[::1]:9464". */
void serve_address_format(const struct sockaddr_storage *sa, char ret[64]);

/* Is the value of a Host header an address or "localhost", with or without a port? */
bool serve_host_is_local(const char *host);

#endif
