/* SPDX-License-Identifier: Apache-2.0 */
/* `purple run` and `purple create`. Part of the static launcher. */
#ifndef PURPLE_CLI_CMD_RUN_H
#define PURPLE_CLI_CMD_RUN_H

int cmd_run(int argc, char **argv);    /* purple run [OPTION…] [--] COMMAND [ARGUMENT…] */
int cmd_create(int argc, char **argv); /* purple create [OPTION…] NAME */

#endif
