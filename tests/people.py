# SPDX-License-Identifier: Apache-2.0
"""Whom tests run programs as. A module of its own: there are several conftest.py."""

UNPRIVILEGED = 12345
