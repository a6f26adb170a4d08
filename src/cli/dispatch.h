/* SPDX-License-Identifier: Apache-2.0 */
/* `purple COMMAND …`: `run` is in this program, the others are programs beside it. */
#ifndef PURPLE_CLI_DISPATCH_H
#define PURPLE_CLI_DISPATCH_H

int dispatch(int argc, char **argv);

#endif
