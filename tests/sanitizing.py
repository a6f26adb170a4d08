# SPDX-License-Identifier: Apache-2.0
"""
A build with AddressSanitizer and UndefinedBehaviorSanitizer. What they find goes
to files, which conftest.py looks for after every test: many tests throw away what
a program says, or kill it. UBSan of gcc 12 knows of no file once ASan is there, so
it aborts, and ASan reports the SIGABRT, with the stack.

PID 1 and the command before its execve reach no file after pivot_root, and UBSan
inside them none at all. They say it on stderr, where Runner.run looks, and end with a
status that is none of Purple's or stop the start of the sandbox.

Leaks are not looked for here, the unit tests do that: LeakSanitizer does not work
under strace, and spins for ever when the thread that it starts gets a SIGKILL that
a test meant for the sandbox.

Buffers that the kernel fills are not looked at: the programs make most system calls
without libc, whose wrappers are what ASan intercepts.

`@pytest.mark.not_sanitized(why)` is for a test of what a sanitizer's runtime cannot
do, such as to start without /proc.
"""
import functools
import os
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
FINDING = 86
SAID = re.compile(r"runtime error: |AddressSanitizer|ERROR: Can't open file: ")


def installed():
    """The purple to test, or the one that `make` has installed."""
    return pathlib.Path(os.environ.get("PURPLE") or ROOT / "out" / "bin" / "purple")


@functools.cache
def sanitized():
    return installed().exists() and b"__asan_init" in installed().read_bytes()


def report_to(directory):
    """Have what is started from now on report to files in @directory."""
    directory.mkdir()
    directory.chmod(0o1777)
    common = f"exitcode={FINDING}:log_path={directory}/finding"
    os.environ["ASAN_OPTIONS"] = f"{common}:detect_leaks=0:handle_abort=1"
    os.environ["UBSAN_OPTIONS"] = f"{common}:print_stacktrace=1:abort_on_error=1"


def options():
    """The part of the environment that a sanitized program needs."""
    return {name: os.environ[name] for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS")
            if sanitized() and name in os.environ}


def take_findings(directory):
    """What was found since the last call."""
    found = ""
    for file in sorted(directory.iterdir()) if directory.exists() else ():
        found += file.read_text(errors="replace")
        file.unlink()
    return found


def check(done):
    """Of a program that has ended: that no sanitizer has said anything."""
    for said in (done.stdout, done.stderr) if sanitized() else ():
        text = said.decode(errors="replace") if isinstance(said, bytes) else said or ""
        assert not SAID.search(text), text
