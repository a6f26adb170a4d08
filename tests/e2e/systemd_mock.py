# SPDX-License-Identifier: Apache-2.0
"""
systemd_mock.py MODE ADDRESS: what purple-scope asks of a user's systemd, without systemd.

A mock only because systemd does not run in a container or on a build machine; test_scope.py says
what that leaves open. It owns org.freedesktop.systemd1 on the bus ADDRESS, or with the mode
"private" is itself the peer there, as systemd is on $XDG_RUNTIME_DIR/systemd/private. Prints
"ready", then what it was asked for, a JSON object a line. Signatures: org.freedesktop.systemd1(5).
"""
import json
import sys

from gi.repository import Gio, GLib

NAME = "org.freedesktop.systemd1"
PATH = "/org/freedesktop/systemd1"
INTERFACE = NAME + ".Manager"
JOB = PATH + "/job/%d"
FORGOTTEN = []

XML = f"""
<node><interface name="{INTERFACE}">
  <method name="StartTransientUnit">
    <arg type="s" name="name" direction="in"/>
    <arg type="s" name="mode" direction="in"/>
    <arg type="a(sv)" name="properties" direction="in"/>
    <arg type="a(sa(sv))" name="aux" direction="in"/>
    <arg type="o" name="job" direction="out"/>
  </method>
  <signal name="JobRemoved">
    <arg type="u" name="id"/>
    <arg type="o" name="job"/>
    <arg type="s" name="unit"/>
    <arg type="s" name="result"/>
  </signal>
</interface></node>
"""


def say(text):
    print(text, flush=True)


def signatures(properties):
    pairs = [properties.get_child_value(i) for i in range(properties.n_children())]
    return {p.get_child_value(0).get_string(): p.get_child_value(1).get_variant().get_type_string()
            for p in pairs}


def removed(connection, number, unit, result):
    connection.emit_signal(None, PATH, INTERFACE, "JobRemoved",
                           GLib.Variant("(uoss)", (number, JOB % number, unit, result)))


def answer(mode, connection, parameters, invocation):
    unit, job_mode, properties, aux = parameters.unpack()
    say(json.dumps({"unit": unit, "mode": job_mode, "properties": dict(properties), "aux": aux,
                    "signatures": signatures(parameters.get_child_value(2))}))
    if mode == "silent":
        FORGOTTEN.append(invocation)  # else its end would be an answer
        return
    if mode == "refuses":
        invocation.return_dbus_error(NAME + ".UnitExists", f"Unit {unit} already exists.\x1b[2J")
        return
    invocation.return_value(GLib.Variant("(o)", (JOB % 7,)))
    # Somebody else's job ends too.
    removed(connection, 6, "other.service", "failed")
    if mode == "fails":
        removed(connection, 7, unit, "failed")
    elif mode == "leaves":
        connection.flush_sync()
        sys.exit(0)
    elif mode != "job-stays":
        removed(connection, 7, unit, "done")


def serve(mode, connection):
    info = Gio.DBusNodeInfo.new_for_xml(XML).interfaces[0]

    def on_call(conn, sender, path, interface, method, parameters, invocation):
        answer(mode, conn, parameters, invocation)
    connection.register_object(PATH, info, on_call, None, None)


def main(mode, address):
    loop = GLib.MainLoop()
    keep = []
    if mode == "private":
        def on_peer(_, connection):
            keep.append(connection)
            serve(mode, connection)
            return True
        server = Gio.DBusServer.new_sync(address, Gio.DBusServerFlags.NONE,
                                         Gio.dbus_generate_guid(), None, None)
        server.connect("new-connection", on_peer)
        server.start()
        say("ready")
    else:
        connection = Gio.DBusConnection.new_for_address_sync(
            address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT |
            Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
        serve(mode, connection)
        Gio.bus_own_name_on_connection(connection, NAME, Gio.BusNameOwnerFlags.NONE,
                                       lambda *_: say("ready"), lambda *_: loop.quit())
    loop.run()


main(*sys.argv[1:])
