# SPDX-License-Identifier: Apache-2.0
"""tests/tools/trailwrite.c: a writer of trails that needs no sandbox."""
import os
import pathlib
import shutil

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def writer(runner):
    """Its path, where the runner's user can execute it."""
    tool = runner.base / "trailwrite"
    shutil.copy(ROOT / os.environ.get("PURPLE_BUILD", "build") / "tests/tools/trailwrite", tool)
    tool.chmod(0o755)
    return tool
