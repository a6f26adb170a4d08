# SPDX-License-Identifier: Apache-2.0
"""The tree keeps its own rules: who may include whom, sizes, licences, white space."""
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# A folder of src/ may include itself and what stands before it (DESIGN: dependencies
# point one way).
ORDER = ["base", "sys", "policy", "plan", "jail", "cgroup", "net", "workspace", "event",
         "trace", "supervisor", "serve", "cli", "programs"]
# policy/ is pure: it knows nothing of the host.
ALSO_FORBIDDEN = {("policy", "sys")}

FILE_LINES = 800
FUNCTION_LINES = 80
PROGRAM_LINES = 80
COLUMNS = 100
# Files that are one table.
TABLES = {
    "src/plan/syscalls.c", "src/plan/syscall_table.c", "src/plan/syscall_groups.c",
    "src/policy/keys.c",
}

SOURCE_SUFFIXES = {".c", ".h", ".S", ".py", ".sh", ".build"}
SCRIPTS = {"Makefile", "meson_options.txt", "tools/bootstrap", "tools/lint", "tools/fuzz",
           ".ci/run", ".clang-format", ".clang-tidy", ".editorconfig",
           ".cppcheck-suppressions", "pytest.ini"}


def tracked():
    """The tree's files: what git lists, or everything where there is no git (a tarball)."""
    try:
        out = subprocess.run(["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"],
                             cwd=ROOT, capture_output=True, check=True).stdout
        names = out.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        names = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*")]
    skip = re.compile(r"(build|out)[^/]*/|.*\.git/|.*__pycache__/")
    return sorted(n for n in names if n and not skip.match(n) and (ROOT / n).is_file()
                  and not (ROOT / n).is_symlink())


FILES = tracked()
C_FILES = [n for n in FILES if n.endswith((".c", ".h"))]


def lines(name):
    return (ROOT / name).read_text(encoding="utf-8").splitlines()


def report(faults):
    assert not faults, "\n" + "\n".join(faults)


def may_include(folder, other):
    if (folder, other) in ALSO_FORBIDDEN:
        return False
    return ORDER.index(other) <= ORDER.index(folder)


def test_folders_are_known():
    folders = {n.split("/")[1] for n in C_FILES if n.startswith("src/") and n.count("/") > 1}
    assert folders <= set(ORDER), f"unknown folders: {folders - set(ORDER)}"


def test_includes_point_one_way():
    faults = []
    for name in C_FILES:
        if not name.startswith("src/"):
            continue
        folder = name.split("/")[1]
        for number, line in enumerate(lines(name), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            # Made by the build.
            if not match or match[1] == "config.h" or match[1].endswith(".inc"):
                continue
            other = match[1].split("/")[0]
            if "/" not in match[1] or other not in ORDER:
                faults.append(f'{name}:{number}: "{match[1]}" is not a path from src/')
            elif not may_include(folder, other):
                faults.append(f"{name}:{number}: {folder}/ may not include {other}/")
            elif not (ROOT / "src" / match[1]).exists():
                faults.append(f'{name}:{number}: there is no src/{match[1]}')
    report(faults)


def test_internal_headers_stay_inside():
    """X/internal.h is for X/ alone, and for tests of it."""
    faults = []
    for name in C_FILES:
        for number, line in enumerate(lines(name), 1):
            match = re.match(r'\s*#\s*include\s+"([a-z]+)/(\w*internal)\.h"', line)
            if match and name.split("/")[:2] != ["src", match[1]] and not name.startswith("tests/"):
                faults.append(f"{name}:{number}: {match[1]}/{match[2]}.h is private")
    report(faults)


def functions(name):
    """(first line, last line, name) of each function: kernel style, braces in column 0."""
    text = lines(name)
    start = None
    for number, line in enumerate(text, 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            head = start - 1
            while head > 1 and text[head - 2] and not text[head - 2].startswith(("}", "#", " */")):
                head -= 1
            signature = " ".join(text[head - 1:start - 1])
            match = re.search(r"(\w+)\s*\(", signature)
            yield head, number, match[1] if match else signature
            start = None


def test_sizes():
    faults = []
    for name in C_FILES:
        count = len(lines(name))
        if count > FILE_LINES and name not in TABLES:
            faults.append(f"{name}: {count} lines, at most {FILE_LINES}")
        for first, last, function in functions(name):
            if last - first + 1 > FUNCTION_LINES:
                faults.append(f"{name}:{first}: {function}() has {last - first + 1} lines, "
                              f"at most {FUNCTION_LINES}")
    report(faults)


def test_programs_are_short_and_say_what_they_are():
    faults = []
    for name in C_FILES:
        if not re.fullmatch(r"src/programs/[^/]+\.c", name):
            continue
        text = lines(name)
        if len(text) > PROGRAM_LINES:
            faults.append(f"{name}: {len(text)} lines, at most {PROGRAM_LINES}")
        head = "\n".join(text[:30])
        for word in ("Runs as", "Reads", "Trusts", "May call"):
            if word not in head:
                faults.append(f'{name}: its opening comment has no "{word}"')
    report(faults)


def test_licence_line():
    faults = []
    for name in FILES:
        path = pathlib.Path(name)
        if path.suffix not in SOURCE_SUFFIXES and name not in SCRIPTS:
            continue
        if name.startswith("examples/demo/project/"):
            continue  # what the agent of the demonstration works on
        head = lines(name)[:2]
        if not any("SPDX-License-Identifier: Apache-2.0" in line for line in head):
            faults.append(f"{name}: no SPDX-License-Identifier in the first lines")
    report(faults)


def test_white_space():
    faults = []
    for name in C_FILES:
        for number, line in enumerate(lines(name), 1):
            where = f"{name}:{number}"
            if line != line.rstrip():
                faults.append(f"{where}: white space at the end")
            if re.match(r"\t* +\t", line):
                faults.append(f"{where}: a space before a tab")
            if re.match(r"\t* {8,}", line):
                faults.append(f"{where}: spaces where a tab belongs")
            # A string is not broken: it could not be searched for.
            if len(line.expandtabs(8)) > COLUMNS and '"' not in line:
                faults.append(f"{where}: wider than {COLUMNS} columns")
        if not (ROOT / name).read_bytes().endswith(b"\n"):
            faults.append(f"{name}: no newline at the end")
    report(faults)


def test_header_guards():
    faults = []
    for name in C_FILES:
        if not (name.startswith("src/") and name.endswith(".h")):
            continue
        guard = "PURPLE_" + re.sub(r"[/.-]", "_", name[len("src/"):]).upper()
        if f"#ifndef {guard}" not in lines(name):
            faults.append(f"{name}: its guard is not {guard}")
    report(faults)


BANNED = {
    "strcpy": "str_copy()", "strcat": "a struct buf", "sprintf": "snprintf()",
    "vsprintf": "vsnprintf()", "gets": "read_all()", "strtok": "a loop of your own",
    "atoi": "parse_u64()", "atol": "parse_u64()", "system": "posix_spawn(), no shell",
    "popen": "posix_spawn(), no shell", "tmpnam": "mkostemp()", "mktemp": "mkostemp()",
    "alloca": "an array of a fixed size",
}


def test_banned_functions():
    call = re.compile(r"(?<![\w.>\"])(" + "|".join(BANNED) + r")\s*\(")
    faults = []
    for name in C_FILES:
        if not name.startswith("src/"):
            continue
        comment = False
        for number, line in enumerate(lines(name), 1):
            if comment or line.lstrip().startswith(("/*", "*")):
                comment = "*/" not in line
                continue
            match = call.search(re.sub(r'"(\\.|[^"\\])*"', '""', line))
            if match:
                faults.append(f"{name}:{number}: {match[1]}(): use {BANNED[match[1]]}")
    report(faults)


LIBRARIES_PRINT = re.compile(r"\b(printf|puts|perror|fprintf|exit|_exit|abort)\s*\(")


@pytest.mark.parametrize("folder", ["base", "sys", "policy", "plan"])
def test_lower_folders_neither_print_nor_exit(folder):
    """Only programs and commands print or exit; err_print() is theirs to call."""
    faults = []
    for name in C_FILES:
        if not name.startswith(f"src/{folder}/") or not name.endswith(".c"):
            continue
        # A probe's child has to end itself.
        pattern = re.compile(r"\b(printf|puts|perror|fprintf|abort)\s*\(") \
            if folder == "sys" else LIBRARIES_PRINT
        for number, line in enumerate(lines(name), 1):
            if line.lstrip().startswith(("*", "/*")):
                continue
            match = pattern.search(re.sub(r'"(\\.|[^"\\])*"', '""', line))
            if match:
                faults.append(f"{name}:{number}: {match[1]}() below the commands")
    report(faults)
