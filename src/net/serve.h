/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-net from its start to its end: reads its configuration from the
 * supervisor, makes all that it will need, confines itself, and serves what
 * comes from the sockets that it is given. Errors go to the supervisor
 * (NET_FAILED) and come back in @err.
 *
 * Where the hard limit of descriptors (RLIMIT_NOFILE) has no room for
 * max_connections, as many as fit are served, and the others refused.
 *
 * Returns 0 when the supervisor has closed its end, or -errno.
 */
#ifndef PURPLE_NET_SERVE_H
#define PURPLE_NET_SERVE_H

#include "base/err.h"

int net_serve(int control, struct err *err);

#endif
