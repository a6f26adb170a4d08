/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of a collector, in libcurl's form "HOST:PORT:ADDRESS,…", before purple-otlp gives up
 * files and processes. A child asks, which ends with its time (OTLP_RESOLVE_MS): a server
 * of names that never answers holds nobody up. "" for what needs no asking. -errno with @e.
 */
#ifndef PURPLE_EVENT_OTLP_RESOLVE_H
#define PURPLE_EVENT_OTLP_RESOLVE_H

#include <stddef.h>

#include "base/err.h"
#include "policy/endpoint.h"

int otlp_resolve(const struct endpoint *to, char *ret, size_t size, struct err *e);

#endif
