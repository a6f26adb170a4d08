# SPDX-License-Identifier: Apache-2.0
"""
Each limit exceeded from inside, and what the kernel answers: as root, and as a user to whom a
group is delegated. The kernel says which controllers there are, of version 1 or 2; nothing here
assumes it. Then the same user without a group.
"""
import errno
import json
import os
import time

import pytest

import groups
from running import eventually, ok, refused, run
from test_exec import purple

MIB = 1 << 20
FORKS = """
import errno, os, sys, time
children = []
try:
    for i in range(60):
        pid = os.fork()
        if pid == 0:
            time.sleep(100)
        children.append(pid)
    print("none")
except OSError as e:
    print(errno.errorcode[e.errno], len(children))
sys.stdout.flush()
if sys.argv[1:]:
    time.sleep(100)
for pid in children:
    os.kill(pid, 9)
"""


@pytest.fixture
def boxes(limited):
    """Starts sandboxes in the background; all go at the end."""
    names = []

    def make(*command, options=()):
        name = f"lim{len(names)}-{os.getpid()}-{limited.name}"
        names.append(name)
        ok(purple(limited, "run", "--detach", "--name", name, *options, "--", *command))
        return name

    yield make
    for name in names:
        purple(limited, "rm", "-f", name)


def stats_of(runner, name):
    return json.loads(ok(purple(runner, "stats", "--json", name)))[0]


def reported(runner, *command, options=(), **kw):
    """(what the sandbox did, its report)."""
    path = runner.workspace / "report.json"
    path.unlink(missing_ok=True)
    done = run(runner, *command, options=["--report", "report.json", *options], **kw)
    return done, json.loads(path.read_text())


def python(script, *arguments):
    return ("python3", "-c", script, *arguments)


# ---- memory ----

def test_memory_ends_a_command_and_the_report_says_so(limited):
    groups.need("memory")
    done, report = reported(limited, *python("bytearray(200 << 20)"), options=["--memory", "64M"])
    assert done.returncode == 137, done.stderr
    assert (report["reason"], report["signal"]) == ("out of memory", 9)
    assert report["usage"]["oom_kills"] == 1
    assert 32 * MIB < report["usage"]["memory_peak_bytes"] <= 64 * MIB


def test_memory_ends_the_largest_and_the_command_goes_on(limited, boxes):
    groups.need("memory")
    name = boxes("sh", "-c", 'python3 -c "bytearray(200 << 20)"; echo "ended: $?"; sleep 100',
                 options=["--memory", "64M"])
    assert eventually(lambda: "ended: 137" in ok(purple(limited, "logs", name)), 20)
    figures = stats_of(limited, name)
    assert figures["oom_kills"] == 1 and figures["memory_limit_bytes"] == 64 * MIB
    assert figures["memory_peak_bytes"] <= 64 * MIB
    line, = [x for x in ok(purple(limited, "stats")).splitlines() if x.startswith(f"{name} ")]
    assert line.split()[6] == "1", line


def test_memory_is_that_of_all_together(limited):
    """Four, of which none has too much alone."""
    groups.need("memory")
    one = 'python3 -c "import time; x = b\\"x\\" * (30 << 20); time.sleep(2)"'
    done, report = reported(limited, "sh", "-c", f"for i in 1 2 3 4; do {one} & done; wait",
                            options=["--memory", "64M"])
    assert done.returncode in (0, 137)
    assert report["usage"]["oom_kills"] >= 1


def test_scratch_counts_as_memory(limited):
    groups.need("memory")
    done, report = reported(limited, "sh", "-c", "head -c 200M /dev/zero >/tmp/x; echo $?",
                            options=["--memory", "64M", "--scratch-size", "1G"])
    assert done.returncode == 137 or done.stdout != "0\n"
    assert report["usage"]["oom_kills"] >= 1
    assert report["usage"]["memory_peak_bytes"] <= 64 * MIB


def test_swap(limited, boxes):
    """None without the key; with it, as much as it says and no more."""
    groups.need("memory")
    if not groups.swap_is_on():
        pytest.skip("this machine has no swap; test_the_kernel_has_the_numbers sees the limit")
    fill = 'import time; x = b"x" * ({} << 20); print("full", flush=True); time.sleep(100)'
    memory = ["--memory", "64M"]
    done, report = reported(limited, *python(fill.format(80)), options=memory)
    assert (done.returncode, report["reason"]) == (137, "out of memory")
    name = boxes(*python(fill.format(80)), options=[*memory, "--swap", "40M"])
    assert eventually(lambda: ok(purple(limited, "logs", name)) == "full\n", 30)
    assert MIB < stats_of(limited, name)["swap_bytes"] <= 40 * MIB
    done, report = reported(limited, *python(fill.format(200)), options=[*memory, "--swap", "40M"])
    assert (done.returncode, report["reason"]) == (137, "out of memory")


# ---- processes ----

def test_pids_refuse_a_fork(limited, boxes):
    """By the group, which counts what it refused."""
    groups.need("pids")
    options = ["--pids-limit", "20", "--memory", "128M"]
    done, report = reported(limited, *python(FORKS), options=options)
    answer, count = ok(done).split()
    assert answer == errno.errorcode[errno.EAGAIN] and int(count) < 20
    assert report["usage"]["pids_peak"] == 20
    assert report["usage"]["forks_refused"] >= 1
    name = boxes(*python(FORKS, "stay"), options=options)
    assert eventually(lambda: "EAGAIN" in ok(purple(limited, "logs", name)))
    figures = stats_of(limited, name)
    assert (figures["pids"], figures["pids_limit"]) == (20, 20)
    assert figures["forks_refused"] >= 1


def test_pids_refuse_a_fork_without_a_group(as_user):
    """RLIMIT_NPROC holds it alone, and in a namespace of its own: not the user's other ones."""
    caller = groups.without(as_user) if os.geteuid() == 0 else as_user
    done = run(caller, *python(FORKS), options=["--pids-limit", "20"])
    answer, count = ok(done).split()
    assert answer == errno.errorcode[errno.EAGAIN] and 10 < int(count) < 20


# ---- processors ----

def test_cpu_quota_throttles(limited, boxes):
    groups.need("cpu")
    # 5 ms in each 100 ms: so little that it has them also on a busy machine.
    busy = python("import time\nwhile time.process_time() < 0.2: pass")
    done, report = reported(limited, *busy, options=["--cpus", "0.05"])
    ok(done)
    usage = report["usage"]
    assert usage["throttled_us"] > 100000
    assert usage["cpu_us"] < 0.15 * usage["wall_ms"] * 1000
    name = boxes("sh", "-c", "while :; do :; done", options=["--cpus", "0.05"])
    assert eventually(lambda: stats_of(limited, name)["throttled_us"] > 100000, 20)
    assert stats_of(limited, name)["throttled_periods"] > 0


def processor():
    return max(os.sched_getaffinity(0))


def test_cpu_weight_divides_a_busy_processor(limited, boxes):
    """Two on one processor; between them nothing but the weights decides."""
    groups.need("cpu", "cpuset")
    names = [boxes("sh", "-c", "while :; do :; done",
                   options=["--cpuset", str(processor()), "--cpu-weight", weight])
             for weight in ("400", "100")]
    before = [stats_of(limited, n)["cpu_us"] for n in names]

    def used():
        return [stats_of(limited, n)["cpu_us"] - b for n, b in zip(names, before)]
    assert eventually(lambda: sum(used()) > 2000000, 60)
    heavy, light = used()
    assert 2.5 < heavy / light < 6.5, (heavy, light)


def test_cpuset_binds(limited):
    groups.need("cpuset")
    others = os.sched_getaffinity(0) - {processor()}
    if not others:
        pytest.skip("one processor")
    script = (f"import os\nprint(os.sched_getaffinity(0))\ntry:\n os.sched_setaffinity(0, {others})"
              "\nexcept OSError as e: print(e.errno)")
    done = run(limited, *python(script), options=["--cpuset", str(processor())])
    assert ok(done).splitlines() == [str({processor()}), str(errno.EINVAL)]


def test_cpu_time_ends_it(limited):
    groups.need("cpu")
    done, report = reported(limited, "sh", "-c", "for i in 1 2; do (while :; do :; done) & done; "
                            "wait", options=["--cpu-time", "1"])
    assert (done.returncode, report["reason"]) == (124, "cpu time")
    assert 1000000 <= report["usage"]["cpu_us"] < 3000000


def test_the_session_ends(limited):
    done, report = reported(limited, "sleep", "100", options=["--timeout", "1", "--memory", "64M"])
    assert (done.returncode, report["reason"]) == (124, "timeout")
    assert 1000 <= report["usage"]["wall_ms"] < 20000


# ---- block devices ----

@pytest.fixture
def on_disk(as_user):
    """A file of the user's on a block device, as what is only in memory is not held back; and
    the options that give it."""
    groups.need("io")
    where = groups.block_device_below(as_user.workspace, "/var/tmp")
    if not where:
        pytest.skip("no directory on a block device")
    path = os.path.join(where, f"purple-test-io-{os.getpid()}")
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_EXCL, 0o600)
    os.fchown(fd, as_user.uid, as_user.uid)
    os.write(fd, bytes(4 * MIB))
    os.fsync(fd)
    os.close(fd)
    yield path, [] if str(where) == str(as_user.workspace) else ["--rw", path]
    os.unlink(path)


@pytest.mark.parametrize("direction", ["read", "written"])
def test_io_is_held(limited, on_disk, direction):
    """3 MiB at 1 MiB/s, past the page cache."""
    path, options = on_disk
    words = {"read": [f"if={path}", "of=/dev/null", "iflag=direct"],
             "written": ["if=/dev/zero", f"of={path}", "conv=notrunc", "oflag=direct"]}
    began = time.monotonic()
    done, report = reported(limited, "dd", *words[direction], "bs=64k", "count=48",
                            options=[*options, "--io-limit", "1M"])
    ok(done)
    assert time.monotonic() - began > 2
    assert report["usage"][f"io_{direction}_bytes"] >= 3 * MIB


def test_io_is_counted_while_it_runs(limited, boxes, on_disk):
    path, options = on_disk
    name = boxes("dd", "if=/dev/zero", f"of={path}", "conv=notrunc", "oflag=direct", "bs=64k",
                 "count=48", options=[*options, "--io-limit", "512K"])
    assert eventually(lambda: 0 < stats_of(limited, name)["io_written_bytes"] < 3 * MIB)


# ---- what the kernel was told ----

NUMBERS = (
    # controller, the options, (version 1: file, value), (version 2: file, value)
    ("memory", ["--memory", "64M"], ("memory.limit_in_bytes", "67108864"),
     ("memory.max", "67108864")),
    ("memory", ["--memory", "64M"], ("memory.memsw.limit_in_bytes", "67108864"),
     ("memory.swap.max", "0")),
    ("memory", ["--memory", "64M", "--swap", "16M"], ("memory.memsw.limit_in_bytes", "83886080"),
     ("memory.swap.max", "16777216")),
    ("pids", ["--pids-limit", "33", "--memory", "64M"], ("pids.max", "33"), ("pids.max", "33")),
    ("cpu", ["--cpus", "0.5"], ("cpu.cfs_quota_us", "50000"), ("cpu.max", "50000 100000")),
    ("cpu", ["--cpu-weight", "200"], ("cpu.shares", "2048"), ("cpu.weight", "200")),
    ("cpuset", ["--cpuset", "0"], ("cpuset.cpus", "0"), ("cpuset.cpus", "0")),
)


@pytest.mark.parametrize("controller,options,one,two", NUMBERS,
                         ids=[n[2][0] + "".join(n[1]) for n in NUMBERS])
def test_the_kernel_has_the_numbers(limited, boxes, controller, options, one, two):
    groups.need(controller)
    if controller == "cpuset" and 0 not in os.sched_getaffinity(0):
        pytest.skip("the first processor is not ours")
    name = boxes("sleep", "100", options=options)
    pid1, = [x["pid1"] for x in json.loads(ok(purple(limited, "ps", "--json")))
             if x["name"] == name]
    version, directory = groups.group_of(pid1, controller)
    file, value = one if version == 1 else two
    if not (directory / file).exists() and "sw" in file:
        pytest.skip("this kernel does not account swap")
    assert (directory / file).read_text().strip() == value


def test_usage_is_seen_live_and_in_the_report(limited, boxes):
    groups.need("memory", "cpu")
    work = python("import time\nx = b'x' * (30 << 20)\nend = time.process_time() + 0.3\n"
                  "while time.process_time() < end: pass\nprint('done', flush=True)\n"
                  "import sys\nif sys.argv[1:]: time.sleep(100)")
    options = ["--memory", "128M", "--pids-limit", "50", "--cpus", "1"]
    name = boxes(*work, "stay", options=options)
    assert eventually(lambda: ok(purple(limited, "logs", name)) == "done\n", 20)
    live = stats_of(limited, name)
    done, report = reported(limited, *work, options=options)
    ok(done)
    for figures in (live, report["usage"]):
        assert figures["cpu_us"] >= 300000
        assert 30 * MIB <= figures["memory_peak_bytes"] <= 128 * MIB
        assert figures["pids_peak"] >= 2
        assert figures["oom_kills"] == 0 and figures["forks_refused"] == 0
    assert live["counted_by"] == "cgroup" and 30 * MIB <= live["memory_bytes"] <= 128 * MIB
    assert (live["memory_limit_bytes"], live["pids_limit"]) == (128 * MIB, 50)


# ---- above what the group above has ----

def test_more_than_the_group_above(limited):
    """The kernel takes it, and the group above holds: nothing is gained."""
    groups.need("memory", "pids")
    if not hasattr(limited, "group"):
        pytest.skip("needs a group of the test's own")
    for controller, files, value in (
            ("memory", ("memory.limit_in_bytes", "memory.max"), str(64 * MIB)),
            ("pids", ("pids.max", "pids.max"), "30"),
            ("cpu", ("cpu.cfs_quota_us", "cpu.max"), "50000")):
        top = limited.group(controller)
        file, = {f for f in files if (top / f).exists()}
        (top / file).write_text(value)
    done, report = reported(limited, *python("bytearray(200 << 20)"),
                            options=["--memory", "512M", "--cpus", "1"])
    assert done.returncode == 137, done.stderr
    done = run(limited, *python(FORKS), options=["--pids-limit", "1000", "--memory", "512M"])
    answer, count = ok(done).split()
    assert answer == "EAGAIN" and int(count) < 30


def test_a_processor_that_the_group_above_has_not(limited):
    groups.need("cpuset")
    if not hasattr(limited, "group") or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs a group of the test's own and two processors")
    (limited.group("cpuset") / "cpuset.cpus").write_text(str(min(os.sched_getaffinity(0))))
    done = run(limited, "true", options=["--cpuset", str(processor())])
    refused(done, 125, f"bind to the processors {processor()}: there are")


# ---- where there is no group ----

@pytest.fixture
def lacking(as_user):
    if os.geteuid() == 0:
        return groups.without(as_user)
    if groups.doctor_says(as_user)["state"] == "ok":
        pytest.skip("a group is delegated to this user")
    return as_user


KEYS = (("memory_limit_bytes", "--memory", "64M"), ("cpu_shares", "--cpus", "0.5"),
        ("cpu_weight", "--cpu-weight", "50"), ("cpuset", "--cpuset", "0"),
        ("block_io_limit", "--io-limit", "1M"))


@pytest.mark.parametrize("key,option,value", KEYS, ids=[k[0] for k in KEYS])
def test_without_a_group_a_limit_is_refused(lacking, key, option, value):
    done = run(lacking, "echo", "started", options=[option, value])
    refused(done, 125, f"resources.{key}: no control group here can hold it", "Delegate=yes",
            "--best-effort")
    best, report = reported(lacking, "echo", "started", options=["--best-effort", option, value])
    assert ok(best) == "started\n"
    assert f"purple: downgraded: resources.{key}: " in best.stderr
    assert [d["what"] for d in report["downgrades"]] == [f"resources.{key}"]


def test_without_a_group_each_process_has_the_limit_at_best(lacking):
    done = run(lacking, *python("bytearray(200 << 20)"), options=["--best-effort", "--memory",
                                                                  "128M"])
    assert done.returncode == 1 and "MemoryError" in done.stderr
    assert ok(run(lacking, *python("bytearray(200 << 20)"))) == ""


def test_without_a_group_time_is_still_limited(lacking):
    done, report = reported(lacking, "sh", "-c", "for i in 1 2; do (while :; do :; done) & done; "
                            "wait", options=["--cpu-time", "1"])
    assert (done.returncode, report["reason"]) == (124, "cpu time")
    done, report = reported(lacking, "sleep", "100", options=["--timeout", "1"])
    assert (done.returncode, report["reason"]) == (124, "timeout")
