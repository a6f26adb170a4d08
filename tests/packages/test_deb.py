# SPDX-License-Identifier: Apache-2.0
"""The Debian package on a bare system: it installs, runs, is explained, and goes whole.

Takes a debootstrap and a build: part of `make check-long`. PURPLE_DEB names a package that
is there already.
"""
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What the package leads its user to, and what a bare system does not have.
TOOLS = "man-db,bash-completion,python3-minimal,passwd"

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a root directory"),
    *(pytest.mark.skipif(not shutil.which(tool), reason=f"not installed: {tool}")
      for tool in ("debootstrap", "dpkg-buildpackage", "lintian"))]

INSIDE = r"""
set -e
mount -t proc proc /proc
mount --rbind /host/dev /dev
mount --rbind /host/sys /sys
exec sh -e -c "$1"
"""


def built(directory):
    named = os.environ.get("PURPLE_DEB")
    if named:
        return pathlib.Path(named)
    subprocess.run(["tools/deb", directory], cwd=ROOT, check=True, timeout=3600)
    deb, = directory.glob("purple_*.deb")
    return deb


def depends(deb):
    """The names alone, the first of alternatives."""
    text = subprocess.run(["dpkg-deb", "-f", deb, "Depends"], capture_output=True, text=True,
                          check=True).stdout
    return ",".join(item.split("|")[0].split("(")[0].strip() for item in text.split(","))


class Bare:
    """A Debian of its own, entered by a mount namespace of its own."""

    def __init__(self, path):
        self.path = path

    def run(self, script, check=True):
        """The output of @script inside, where /host has our /dev and /sys."""
        enter = (f"mount --make-rprivate / && mkdir -p {self.path}/host/dev {self.path}/host/sys && "
                 f"mount --rbind /dev {self.path}/host/dev && "
                 f"mount --rbind /sys {self.path}/host/sys && "
                 f"exec chroot {self.path} env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "
                 "HOME=/root LC_ALL=C.UTF-8 sh -c \"$0\" sh \"$1\"")
        done = subprocess.run(["unshare", "-mpf", "sh", "-c", enter, INSIDE, script],
                              capture_output=True, text=True, timeout=600, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def files(self):
        """All of it, but what package managers write down for themselves."""
        own = ("var/lib/dpkg", "var/cache/man", "var/cache/debconf", "var/log", "host")
        return {str(p.relative_to(self.path)) for p in self.path.rglob("*")
                if not str(p.relative_to(self.path)).startswith(own)}


@pytest.fixture(scope="module", name="deb")
def fixture_deb():
    with tempfile.TemporaryDirectory(prefix="purple-deb-") as directory:
        yield built(pathlib.Path(directory))


@pytest.fixture(scope="module", name="bare")
def fixture_bare(deb):
    with tempfile.TemporaryDirectory(prefix="purple-bare-") as directory:
        os.chmod(directory, 0o755)
        root = pathlib.Path(directory) / "root"
        subprocess.run(["debootstrap", "--variant=minbase",
                        f"--include={depends(deb)},{TOOLS}", "bookworm", root],
                       check=True, timeout=3600, stdout=subprocess.DEVNULL)
        yield Bare(root)


def test_from_installation_to_removal(bare, deb):
    shutil.copy(deb, bare.path / "purple.deb")
    bare.run("useradd -m someone; mkdir /home/someone/work; chown someone: /home/someone/work")
    bare.run("mandb -q || :")
    before = bare.files()
    bare.run("dpkg -i /purple.deb")

    assert "confine" in bare.run("man purple | cat")
    assert "PURPLE(1)" in bare.run("man purple-run | cat")
    assert "PURPLE-POLICY(5)" in bare.run("man 5 purple-policy | cat")
    offers = bare.run("bash -c '. /usr/share/bash-completion/completions/purple; "
                      "COMP_WORDS=(purple docto) COMP_CWORD=1; _purple; "
                      "echo ${COMPREPLY[@]}'")
    assert offers.strip() == "doctor"

    bare.run("dpkg -P purple")
    assert bare.files() == before


@pytest.mark.parametrize("who", ["root", "someone"])
def test_it_runs(bare, deb, who):
    shutil.copy(deb, bare.path / "purple.deb")
    bare.run("dpkg -i /purple.deb; id someone 2>/dev/null || useradd -m someone; "
             "mkdir -p /srv/work; chown someone: /srv/work; chmod 777 /srv/work")
    words = "cd /srv/work && purple run -- sh -c 'echo inside >made; id -u; cat /proc/1/comm'"
    # In a chroot no user namespace can be made (EPERM, clone(2)): the tree becomes the root.
    command = words if who == "root" else f"exec su someone -s /bin/sh -c \"{words}\""
    script = (f"mount --bind {bare.path} {bare.path} && cd {bare.path} && mkdir -p host && "
              "mount --rbind /dev dev && mount --rbind /sys sys && "
              "pivot_root . host && cd / && mount -t proc proc /proc && umount -l /host && "
              f"{command}")
    done = subprocess.run(["unshare", "-mpf", "--propagation", "private", "sh", "-c", script],
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"},
                          capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (bare.path / "srv/work/made").read_text() == "inside\n"
    bare.run("rm -f /srv/work/made; dpkg -P purple; rm -f /purple.deb")
    left = [name for name in ("etc", "run", "var/cache", "var/lib", "usr/libexec", "usr/share")
            if (bare.path / name / "purple").exists()]
    assert not left, left
