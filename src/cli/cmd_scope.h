/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-scope ID PID: ask the user's systemd to make "purple-ID.scope" with
 * Delegate=true and to put the process PID, which has started us, into it.
 *
 * Returns when systemd says that it is done, or has failed, or after 5 s.
 * Status 0: done. 1: one line on standard output says why not; the launcher
 * makes its error of that. 2: wrong usage.
 *
 * Asked is the manager behind $XDG_RUNTIME_DIR/bus, or where no bus is, behind
 * $XDG_RUNTIME_DIR/systemd/private; never another bus that
 * DBUS_SESSION_BUS_ADDRESS may name, since there is no systemd on that.
 *
 * Sources: org.freedesktop.systemd1(5), StartTransientUnit and JobRemoved;
 * systemd.scope(5); systemd.resource-control(5), Delegate=; systemd.unit(5),
 * CollectMode=; the D-Bus specification, "Server Addresses".
 */
#ifndef PURPLE_CLI_CMD_SCOPE_H
#define PURPLE_CLI_CMD_SCOPE_H

int cmd_scope(int argc, char **argv);

#endif
