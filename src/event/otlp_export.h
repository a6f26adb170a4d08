/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole of purple-otlp: reads spans from @control, sends them in batches, counts.
 * Limits: event/otlp.h.
 */
#ifndef PURPLE_EVENT_OTLP_EXPORT_H
#define PURPLE_EVENT_OTLP_EXPORT_H

#include <stdint.h>

#include "sys/confine.h"

/* Until the supervisor's end, and what is left is sent or given up. @counts: -1: none. */
int otlp_export(int control, int counts);

/*
 * otlp_confine.c: what is kept. Given up are root's id, every capability, the file system and
 * listening (Landlock), connecting but to @port (Landlock, where it knows ports), processes and
 * all sockets but those of IPv4 and IPv6 (seccomp). What it may not do fails with EPERM.
 */
struct confine otlp_confinement(uint16_t port);

#endif
