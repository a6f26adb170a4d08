/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration as purple-net holds it: net/config.h, read and checked. */
#ifndef PURPLE_NET_BLOCK_H
#define PURPLE_NET_BLOCK_H

#include "net/config.h"
#include "net/rules.h"

enum { NET_CONNECTIONS_MAX = 16384 };
#define NET_BANDWIDTH_MAX (UINT64_C(1) << 40)
#define NET_BLOCK_ROOM (sizeof(struct net_block) + 2 * NET_RULES_MAX * sizeof(struct net_rule) + 1)

/*
 * Read all of @fd (from its start) into memory that the caller frees; @rules
 * then points into it. 0 or -errno: -EINVAL for sizes, counts or values that
 * are no configuration.
 */
int net_block_read(int fd, struct net_block **ret, struct net_rules *rules);
/* The same into @b, which has NET_BLOCK_ROOM. @rules stay as they are where it fails. */
int net_block_read_into(int fd, struct net_block *b, struct net_rules *rules);

/*
 * The servers of an /etc/resolv.conf (resolv.conf(5)) into @ret: at most
 * NET_SERVERS_MAX, those with a zone (fe80::1%eth0) left out; if it names
 * none, the one on this host. Its search list and options are not for us: what
 * the sandbox asks for is a whole name. Returns how many.
 */
unsigned net_parse_resolv_conf(const char *text, struct net_server ret[NET_SERVERS_MAX]);

#endif
