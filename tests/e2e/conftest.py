# SPDX-License-Identifier: Apache-2.0
"""Figures that tests have measured, at the end of pytest's output: record_property("measured", …)."""


def pytest_terminal_summary(terminalreporter):
    seen = [(report.nodeid, value) for reports in terminalreporter.stats.values()
            for report in reports if getattr(report, "when", None) == "call"
            for name, value in report.user_properties if name == "measured"]
    if seen:
        terminalreporter.section("measured")
    for nodeid, value in seen:
        terminalreporter.write_line(f"{nodeid.split('::')[-1]}: {value}")
