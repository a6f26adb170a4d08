/* SPDX-License-Identifier: Apache-2.0 */
/* `purple serve`: purple-serve's command. */
#ifndef PURPLE_CLI_CMD_SERVE_H
#define PURPLE_CLI_CMD_SERVE_H

int cmd_serve(int argc, char **argv);

#endif
