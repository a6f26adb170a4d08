# SPDX-License-Identifier: Apache-2.0
"""What Purple writes into a trail of the test's own; the fixture `trail` is one."""
import json

import pytest


class Trail:
    def __init__(self, runner):
        self.runner = runner
        self.path = runner.home / "trail.jsonl"

    def options(self, *more):
        return ["--audit", "--audit-log", str(self.path), *more]

    def lines(self):
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def of(self, *types, **want):
        return [e for e in self.lines() if e["type"] in types
                and all(e.get(k) == v for k, v in want.items())]

    def types(self):
        return [e["type"] for e in self.lines()]

    def programs(self):
        """What was executed, but for what was looked for where it is not."""
        return [e for e in self.of("process.exec") if "error" not in e]


@pytest.fixture
def trail(as_user):
    return Trail(as_user)
