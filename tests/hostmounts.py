# SPDX-License-Identifier: Apache-2.0
"""The host's mount table, for tests that must not change it."""
import pathlib

TEMPORARY = "/tmp/purple-"


def host_mounts(base):
    """Without what a test beside this one has mounted in its own temporary tree. @base is ours."""
    def is_others(line):
        place = line.split()[4]
        return place.startswith(TEMPORARY) and not place.startswith(str(base))

    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if not is_others(line)]
