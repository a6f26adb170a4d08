# SPDX-License-Identifier: Apache-2.0
"""A network by name, beside plain loopback, pasta and slirp4netns.

Each reaches one server on the host's loopback (bench/flows.c), in the way it has
for it: host.purple.internal, the gateway's address, 10.0.2.2. In turns; medians.
"""
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import time

from common import Alive, Target, available_kb, identity, pss_kb, settled_kb, tree

MANY = 32
STREAM_BYTES = 1 << 30
CONNECTIONS = 300
TITLES = {
    "loopback": "plain loopback",
    "purple": "purple run, by name",
    "pasta": "pasta",
    "slirp4netns": "slirp4netns",
}
# What is asked of flows.c, and how its answer is shown.
KINDS = {
    "down": "one stream down, GB/s",
    "up": "one stream up, GB/s",
    "down-many": f"{MANY} streams down, GB/s",
    "up-many": f"{MANY} streams up, GB/s",
    "connect": "a connection and a byte each way, us",
}
IDLE_TARGET_KB = 1536
IDLE_FLOWS_TARGET_MIB = 100


class Failed(Exception):
    """Why a row cannot be measured."""


def need_tun(uid):
    device = pathlib.Path("/dev/net/tun")
    if uid != 0 and (not device.exists() or device.stat().st_mode & 0o006 != 0o006):
        raise Failed(f"{device} is not for users here")


def gateway():
    routes = json.loads(subprocess.run(["ip", "-j", "-4", "route", "show", "default"], check=True,
                                       capture_output=True, text=True).stdout)
    if not routes:
        raise Failed("this host has no default route")
    return routes[0]["gateway"]


class Way:
    """How one row's client runs, and what it calls the host."""

    def __init__(self, place, uid, port):
        self.place, self.uid, self.port = place, uid, port

    def options(self):
        return {"cwd": self.place.work, "env": self.place.env(self.uid), "text": True,
                **identity(self.uid)}

    def plain(self, prefix, host, words):
        argv = [*prefix, str(self.place.work / "flows"), words[0], host, str(self.port),
                *words[1:]]
        return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **self.options())

    def loopback(self, words):
        return self.plain([], "127.0.0.1", words)

    def purple_argv(self):
        if not self.place.purple:
            raise Failed("not there")
        return [str(self.place.purple), "run", "-p", "default", "--isolated=false",
                "--max-connections", "16384", "--allow-net", f"host.purple.internal:{self.port}",
                "--"]

    def purple(self, words):
        return self.plain(self.purple_argv(), "host.purple.internal", words)

    def pasta(self, words):
        if not shutil.which("pasta"):
            raise Failed("not there")
        need_tun(self.uid)
        # Where /dev/net/tun is root's, pasta's own change to nobody would lose it.
        who = ["--runas", "0"] if os.geteuid() == 0 and self.uid == 0 else []
        return self.plain(["pasta", *who, "--config-net", "-q", "--"], gateway(), words)

    def slirp4netns(self, words):
        if not shutil.which("slirp4netns"):
            raise Failed("not there")
        need_tun(self.uid)
        inside = self.plain(["unshare", "--user", "--map-root-user", "--net", "--", "sh", "-c",
                             'read -r _ && exec "$@"', "sh"], "10.0.2.2", words)
        ready, told = os.pipe()
        try:
            # By then it has its namespaces, and the maps are written.
            while pathlib.Path("/proc", str(inside.pid), "comm").read_text() != "sh\n":
                if inside.poll() is not None:
                    raise Failed(inside.stderr.read().strip())
                time.sleep(0.001)
            inside.slirp = subprocess.Popen(
                ["slirp4netns", "--configure", "--mtu=65520", f"--ready-fd={told}",
                 str(inside.pid), "tap0"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, pass_fds=[told], **self.options())
            os.close(told)
            told = -1
            if os.read(ready, 1) != b"1":
                raise Failed("slirp4netns did not become ready")
        except BaseException:
            inside.kill()
            inside.wait()
            raise
        finally:
            os.close(ready)
            if told >= 0:
                os.close(told)
        inside.stdin.write("\n")
        inside.stdin.flush()
        return inside

    def ask(self, row, *words):
        """The number that flows.c prints."""
        client = getattr(self, row)([str(word) for word in words])
        try:
            out, err = client.communicate(timeout=120)
        except subprocess.TimeoutExpired as e:
            client.kill()
            client.wait()
            raise Failed("no end after 120 s") from e
        finally:
            if hasattr(client, "slirp"):
                client.slirp.kill()
                client.slirp.wait()
        if client.returncode != 0:
            raise Failed((err.strip().splitlines() or [f"exit status {client.returncode}"])[-1])
        return float(out.strip())

    def value(self, row, kind):
        if kind == "connect":
            return self.ask(row, "connect", CONNECTIONS)
        streams = MANY if kind.endswith("-many") else 1
        # Slow ones are asked for less: a rate is what is shown.
        size = STREAM_BYTES // (1 if row in ("loopback", "purple") else 16)
        return size / 1e9 / self.ask(row, kind.removesuffix("-many"), size, streams)


@contextlib.contextmanager
def server(place):
    with subprocess.Popen([place.work / "flows", "serve"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as p:
        try:
            yield int(p.stdout.readline())
        finally:
            p.stdin.close()


def rates(way, rounds):
    """Row → kind → median. What failed once is not asked again: row → "errors" → kind → why."""
    samples = {row: {kind: [] for kind in KINDS} for row in TITLES}
    result = {row: {"errors": {}} for row in TITLES}
    for _ in range(rounds):
        for kind in KINDS:
            for row, values in samples.items():
                if kind in result[row]["errors"]:
                    continue
                try:
                    values[kind].append(way.value(row, kind))
                except (Failed, OSError, ValueError) as e:
                    result[row]["errors"][kind] = str(e)
    for row, kinds in samples.items():
        result[row].update((kind, statistics.median(values)) for kind, values in kinds.items()
                           if kind not in result[row]["errors"])
    return result


def relay_of(pid):
    for child in tree(pid):
        with open(f"/proc/{child}/comm", encoding="ascii") as f:
            if f.read().strip() == "purple-net":
                return child
    raise Failed("no purple-net")


def held(way, row, count):
    """kB of the whole machine for @count idle connections, and of purple-net's own."""
    before = settled_kb()
    client = getattr(way, row)(["hold", str(count)])
    try:
        if client.stdout.readline() != "ready\n":
            raise Failed(client.stderr.read().strip())
        own = pss_kb(relay_of(client.pid)) if row == "purple" else 0
        return before - available_kb(), own
    finally:
        client.stdin.close()
        client.wait()


def memory(place, way, count):
    result = {}
    with Alive(place, way.uid, way.purple_argv(), 1) as alive:
        result["idle_pss_kb"] = pss_kb(relay_of(alive.procs[0].pid))
    plain, _ = held(way, "loopback", count)
    relayed, own = held(way, "purple", count)
    result.update(flows=count, flows_pss_kb=own, flows_mib=(relayed - plain) / 1024)
    return result


def measure(place, uid, rounds, flows):
    with server(place) as port:
        way = Way(place, uid, port)
        result = {"rates": rates(way, rounds)}
        try:
            result["memory"] = memory(place, way, flows)
        except (Failed, OSError, RuntimeError) as e:
            result["memory"] = {"error": str(e)}
        return result


def show(who, result):
    print(f"\nNetwork as {who}{'':25}" + "".join(f"{row:>13}" for row in TITLES))
    for kind, title in KINDS.items():
        cells = "".join(f"{row[kind]:13.2f}" if kind in row else f"{'-':>13}"
                        for row in result["rates"].values())
        print(f"  {title:38}{cells}")
    for row, values in result["rates"].items():
        for why in sorted({*values["errors"].values()}):
            print(f"  {row}: {why}")
    m = result["memory"]
    print(f"  {m['error']}" if "error" in m else
          f"  purple-net: {m['idle_pss_kb']} kB PSS idle, {m['flows_pss_kb']} kB with {m['flows']} "
          f"idle flows, which take {m['flows_mib']:.1f} MiB more of the machine than without it")


def targets(who, result):
    rows = result["rates"]
    purple = rows["purple"]
    for kind in KINDS:
        if kind not in purple:
            continue
        for other, limit in ((("loopback", 3.2), ("pasta", 1.0)) if kind == "connect" else
                             (("loopback", 0.65), ("slirp4netns", 2.0), ("pasta", 1.2))):
            if kind in rows[other]:
                yield Target(f"{KINDS[kind].rpartition(',')[0]}, purple / {other}, as {who}",
                             purple[kind] / rows[other][kind], limit, kind != "connect")
    m = result["memory"]
    if "error" not in m:
        yield Target(f"purple-net idle, PSS kB, as {who}", m["idle_pss_kb"], IDLE_TARGET_KB)
        yield Target(f"{m['flows']} idle flows, MiB, as {who}", m["flows_mib"],
                     IDLE_FLOWS_TARGET_MIB * m["flows"] / 10000)
