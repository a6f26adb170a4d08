# SPDX-License-Identifier: Apache-2.0
"""
A caller that may make control groups; and the figures that tests have measured, by
record_property("measured", "…"), at the end of pytest's output.
"""
import os

import pytest

import groups


@pytest.fixture
def limited(as_user):
    """A caller that may make groups."""
    if as_user.uid != 0 and os.geteuid() == 0:
        worker = os.environ.get("PYTEST_XDIST_WORKER", "")
        with groups.delegated(as_user, f"purple-test-{os.getpid()}{worker}") as caller:
            assert groups.doctor_says(caller)["state"] == "ok", groups.doctor_says(caller)
            yield caller
        return
    says = groups.doctor_says(as_user)
    if as_user.uid != 0 and says["state"] != "ok":
        pytest.skip(says["why"])
    yield as_user


def pytest_terminal_summary(terminalreporter):
    seen = [(report.nodeid, value) for reports in terminalreporter.stats.values()
            for report in reports if getattr(report, "when", None) == "call"
            for name, value in report.user_properties if name == "measured"]
    if seen:
        terminalreporter.section("measured")
    for nodeid, value in seen:
        terminalreporter.write_line(f"{nodeid.split('::')[-1]}: {value}")
