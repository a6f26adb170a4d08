# SPDX-License-Identifier: Apache-2.0
"""Whom tests run programs as. A module of its own: there are several conftest.py."""
import os

# One for each process that runs tests at the same time: the kernel counts descriptors
# in flight, and more, for each user, and some tests use all that there is.
UNPRIVILEGED = 12345 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
