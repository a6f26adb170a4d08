/* SPDX-License-Identifier: Apache-2.0 */
/* connect(2) to an address as purple-net has them: its bytes, its family and a port. */
#ifndef PURPLE_NET_CONNECT_H
#define PURPLE_NET_CONNECT_H

#include <stdbool.h>
#include <stdint.h>

/* A socket of SOCK_STREAM or SOCK_DGRAM that does not block; -errno. */
int net_socket(bool v6, int type);

/* @addr: 4 or 16 bytes. 0: connected; -EINPROGRESS; -errno. */
int net_connect(int fd, bool v6, const uint8_t *addr, uint16_t port);

/* The error that waits at the socket @fd, which it has no more: 0 or -errno. */
int net_socket_error(int fd);

#endif
