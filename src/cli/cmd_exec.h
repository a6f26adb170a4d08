/* SPDX-License-Identifier: Apache-2.0 */
/* `purple exec` and `purple attach`. Part of the static launcher. */
#ifndef PURPLE_CLI_CMD_EXEC_H
#define PURPLE_CLI_CMD_EXEC_H

int cmd_exec(int argc, char **argv);   /* purple exec [OPTION…] NAME [--] COMMAND [ARGUMENT…] */
int cmd_attach(int argc, char **argv); /* purple attach NAME */

#endif
