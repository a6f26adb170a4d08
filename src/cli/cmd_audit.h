/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of purple-audit that read a trail. */
#ifndef PURPLE_CLI_CMD_AUDIT_H
#define PURPLE_CLI_CMD_AUDIT_H

/* @argv[0] is the command's own name. The exit status: 1 if a line was damaged. */
int cmd_audit_show(int argc, char **argv);
int cmd_events(int argc, char **argv);
int cmd_audit_report(int argc, char **argv);
int cmd_why(int argc, char **argv);

/* Status 1: something is not as it was written. */
int cmd_audit_verify(int argc, char **argv);
int cmd_audit_init(int argc, char **argv);
int cmd_audit_sign(int argc, char **argv);

#endif
