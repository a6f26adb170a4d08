/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `purple plan [OPTION…]`: what `purple run` with the same options would do
 * here, layer by layer, as text or as JSON (plan/print.h). Nothing is run and
 * nothing is kept.
 */
#ifndef PURPLE_CLI_CMD_PLAN_H
#define PURPLE_CLI_CMD_PLAN_H

int cmd_plan(int argc, char **argv);

#endif
