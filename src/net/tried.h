/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams that never arrive here: there is a socket for each port that rules with "/udp" list
 * (net/udp.h), and at any other the kernel answers that nobody is there. Where the supervisor
 * has seen one sent, what the rules say of it is told. The port of DNS is served.
 */
#ifndef PURPLE_NET_TRIED_H
#define PURPLE_NET_TRIED_H

#include "net/names.h"
#include "net/report.h"

/* @address: text, as the sandbox has it. */
void tried(const struct net_rules *rules, const struct names *names, struct report *report,
	   const char *address, uint16_t port);

#endif
