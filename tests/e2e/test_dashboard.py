# SPDX-License-Identifier: Apache-2.0
"""The Grafana dashboard that ships: JSON, and every metric in it is one that Purple has."""
import json
import re
import shutil

import pytest

from test_metrics import detached, parse, unique
from test_serve import Server, prometheus  # noqa: F401  pylint: disable=unused-import
from running import eventually, ok


@pytest.fixture
def board(purple_prefix):
    return json.loads((purple_prefix / "share/purple/grafana-dashboard.json").read_text())


def expressions(board):
    return [t["expr"] for p in board["panels"] for t in p.get("targets", ())]


def test_form(board):
    ids = [p["id"] for p in board["panels"]]
    assert len(set(ids)) == len(ids) and expressions(board)
    places = set()
    for p in board["panels"]:
        at = p["gridPos"]
        assert 0 <= at["x"] and at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                 for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & places, f"{p['title']} lies on another"
        places |= cells
        refs = [t["refId"] for t in p.get("targets", ())]
        assert len(set(refs)) == len(refs)


def test_metrics_exist(as_user, board):
    """Those of limits need a sandbox that has them, and a kernel that counts."""
    name = unique(as_user, "board")
    options = ("--best-effort", "--set", "network.isolated=false", "--memory", "1G", "--cpus", "1")
    with detached(as_user, name, options=options):
        text = ok(as_user.run([as_user.purple, "metrics"]))
    have = set(parse(text)[0])
    wanted = set(re.findall(r"\bpurple_\w+", " ".join(
        expressions(board) + [v.get("definition", "") for v in board["templating"]["list"]])))
    counted_by_groups = {"purple_sandbox_memory_limit_bytes", "purple_sandbox_cpu_limit_cores",
                         "purple_sandbox_cpu_throttled_seconds_total",
                         "purple_sandbox_oom_kills_total", "purple_sandbox_forks_refused_total"}
    missing = wanted - have
    if f'"{name}"' in text and "purple_sandbox_cpu_throttled_seconds_total" not in have:
        missing -= counted_by_groups  # no control group for this user here
    missing -= {"purple_sandbox_forks_refused_total"} - have  # only with a limit of processes
    assert not missing, sorted(missing)


def test_prometheus_understands_every_expression(as_user, board, prometheus):  # noqa: F811
    """With Grafana's variables filled in."""
    if not shutil.which("prometheus"):
        pytest.skip("not installed: prometheus")
    server = Server(as_user)
    try:
        p = prometheus(server.port)
        assert eventually(lambda: p.query("up") == [] or p.query("up"), 60)
        for expression in expressions(board):
            filled = expression.replace("$__rate_interval", "1m").replace("$instance", ".*") \
                .replace("$sandbox", ".*")
            assert "$" not in filled
            assert p.query(filled) is not None, filled  # an error of its syntax is no answer
    finally:
        server.close()
