/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink, as far as a network namespace that holds only lo needs it. No errno
 * and no allocation: PID 1 calls this in the launcher's memory. All return 0 or
 * -errno. Sources: netlink(7), rtnetlink(7), the kernel's
 * net/netfilter/nfnetlink.c.
 */
#ifndef PURPLE_SYS_NETLINK_H
#define PURPLE_SYS_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Send the messages at @data, all in one datagram, on a new socket of
 * @protocol (NETLINK_ROUTE, NETLINK_NETFILTER). Every message with NLM_F_ACK
 * has to be acknowledged. The kernel answers before it returns from the call,
 * so nothing waits. The first refusal is what is returned; -EPROTO: an answer
 * is missing.
 */
int sys_netlink(int protocol, const void *data, size_t size);

/*
 * In a network namespace whose lo (interface 1) is up: lo gets @addr, 4 or 16
 * bytes, and every address of that family becomes local, so that whatever is
 * connected to arrives on lo ("AnyIP"). The route is in the local table, where
 * the kernel looks for what may be the source of an answer.
 */
int sys_netlink_any_is_local(bool v6, const uint8_t *addr);

#endif
