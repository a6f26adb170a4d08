# SPDX-License-Identifier: Apache-2.0
"""The laboratory: purple with a cache of its own, whose plans can be edited."""
import os
import pathlib
import shutil
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))  # netpair

from lab import Lab, build_directory

PROBES = ("abi alias call caps door fds file id init join key net ns proc raise send setid shm tty").split()


@pytest.fixture(scope="session")
def tools(purple_prefix):
    """The probes and planedit, where every user can execute them."""
    build = build_directory() / "tests"
    directory = pathlib.Path(purple_prefix).parent / "tools"
    if not directory.exists():
        directory.mkdir()
        os.chmod(directory, 0o755)
        (directory / "probes").mkdir(mode=0o755)
        for name in PROBES:
            shutil.copy2(build / "escape" / name, directory / "probes" / name)
        shutil.copy2(build / "tools" / "planedit", directory / "planedit")
    return directory


@pytest.fixture
def lab(as_user, tools):
    return Lab(as_user, tools)
