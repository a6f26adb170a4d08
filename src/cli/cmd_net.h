/* SPDX-License-Identifier: Apache-2.0 */
/* Between cmd_net.c (the command line, changes) and net_show.c. */
#ifndef PURPLE_CLI_CMD_NET_H
#define PURPLE_CLI_CMD_NET_H

#include <stdbool.h>

#include "cli/sandboxes.h"

/* Print what the sandbox @name does on the network. The exit status. */
int net_show(const char *name, bool json);

#endif
