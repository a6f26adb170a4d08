# SPDX-License-Identifier: Apache-2.0
"""What names tell, and how much can be asked by them, against a dnsmasq of the test's own."""
import contextlib
import os
import pathlib
import shutil
import socket
import struct
import tempfile

import pytest

import netpair as net
from netpair import A, AAAA, NOERROR, NXDOMAIN, REFUSED, rule

TOOLS = ("ip", "nft", "dnsmasq")
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces"),
    pytest.mark.skipif(any(not shutil.which(t, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
                           for t in TOOLS), reason=f"needs {', '.join(TOOLS)}"),
]

BURST = 100  # NEWNAMES_BURST of net/newnames.h


@pytest.fixture(scope="module")
def outer():
    with tempfile.TemporaryDirectory(prefix="purple-net-") as directory:
        os.chmod(directory, 0o755)
        base = pathlib.Path(directory)
        side = net.Outer(base, [f"web.example,{net.WEB4}", f"a.wild.example,{net.WEB4}"])
        side.base = base
        yield side
        side.close()


@pytest.fixture
def start(purple_prefix, outer):
    engines = []

    def make(allow, **kw):
        engines.append(net.Engine(purple_prefix / "libexec/purple/purple-net", outer,
                                  net.block(allow, **kw), outer.base))
        return engines[-1]
    yield make
    for engine in engines:
        assert engine.close() == 0


# How much a name carries.

def test_random_labels(start, outer):
    """Under a wildcard new names come to an end, known ones and others do not."""
    engine = start([rule("wild.example", wildcard=True), rule("web.example"),
                    rule("x500.wild.example")])
    assert engine.ask("a.wild.example")[0] == NOERROR
    codes = [engine.ask(f"x{i}.wild.example")[0] for i in range(3 * BURST)]
    admitted = codes.count(NXDOMAIN)
    assert codes[:BURST - 1] == [NXDOMAIN] * (BURST - 1)
    assert admitted < 2 * BURST and codes.count(REFUSED) == len(codes) - admitted
    refused = codes.index(REFUSED)
    engine.denied(net.TOO_MANY_NAMES, f"x{refused}.wild.example", 0)
    assert not outer.asked(f"x{refused}.wild.example")
    for name, code in (("a.wild.example", NOERROR), ("web.example", NOERROR),
                       ("x0.wild.example", NXDOMAIN), ("x500.wild.example", NXDOMAIN)):
        assert engine.ask(name)[0] == code
        assert engine.ask(name, AAAA)[0] == code


def test_random_labels_by_the_proxy(start, outer):
    engine = start([rule("wild.example", wildcard=True)])
    answers = []
    for i in range(2 * BURST):
        with engine.connect("198.18.0.1", 3128) as s:
            s.sendall(f"CONNECT p{i}.wild.example:443 HTTP/1.1\r\n"
                      f"Host: p{i}.wild.example:443\r\n\r\n".encode())
            with contextlib.suppress(ConnectionResetError):
                answers.append(s.recv(4096))
    refused = [i for i, answer in enumerate(answers) if b"new name" in answer]
    assert refused and refused[0] >= BURST
    assert not outer.asked(f"p{refused[0]}.wild.example")
    assert outer.asked("p0.wild.example")


@pytest.mark.parametrize("front", ["a.b.c.d.e", "a" * 50 + "." + "b" * 50],
                         ids=["labels", "bytes"])
def test_long_names_under_a_wildcard(start, outer, front):
    engine = start([rule("wild.example", wildcard=True)])
    name = f"{front}.wild.example"
    assert engine.ask(name) == (REFUSED, [])
    engine.denied(net.NOT_LISTED, name, 0)
    assert not outer.asked(name)
