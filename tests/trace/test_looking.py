# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes a look selects, when it ends, what it costs, and that it leaves nothing behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from loads import (
    PYTHON,
    SOURCES,
    Load,
    call_myself,
    checked,
    child,
    look,
    row,
    unique_name,
    wait,
    wait_for,
    watch_until,
    write_times,
)

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import trace
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf, compiler
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.trace import cgroups

NOBODY = 100_000 + os.getpid()  # a uid of no other process, and of no other test that runs at the same time
HERE = Path(__file__).resolve().parent
MOST_MEMORY = 128 << 20  # limit for the maps of a look


def run_python(code: str, *before: str, **options) -> subprocess.Popen:
    """Start a separate Python process that can import the library and these helpers."""
    path = os.pathsep.join([str(HERE), *(each for each in sys.path if each)])
    return subprocess.Popen(
        [*before, *PYTHON, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.fixture
def cgroup():
    """A cgroup with another cgroup below it."""
    mounted = re.search(r"^\S+ \S+ \S+ \S+ (\S+) .* - cgroup2 ", Path("/proc/self/mountinfo").read_text(), re.MULTILINE)
    if not mounted:
        pytest.skip("no cgroups of version 2 are mounted")
    made = Path(mounted[1]) / unique_name()
    (made / "below").mkdir(parents=True)
    yield made
    for each in (made / "below", made):
        each.rmdir()


def move_into(directory: Path):
    return lambda: (directory / "cgroup.procs").write_text(str(os.getpid()))


def test_the_process_that_looks_is_left_out():
    with contextlib.closing(Load(lambda: write_times(10))) as load:

        def over(_result):
            load.open()
            write_times(1000)
            return load.has_ended()

        result = watch_until(over, by=("pid", "syscall"), top=0)
    assert row(result, pid=load.pid, syscall="write")["calls"] == 10
    assert [each for each in result["rows"] if each["pid"] == os.getpid()] == []


@pytest.mark.parametrize("chosen", ["pid", "comm", "user"])
def test_only_who_was_asked_for_is_counted(chosen):
    name, other = unique_name(), unique_name()

    def prepare():
        call_myself(name)()
        os.setuid(NOBODY)

    with contextlib.closing(Load(lambda: write_times(50), call_myself(other))) as bystander:
        with contextlib.closing(Load(lambda: write_times(10), prepare)) as load:

            def over(_result):
                bystander.open()
                load.open()
                return load.has_ended() and bystander.has_ended()

            who = {"pid": load.pid, "comm": name, "user": str(NOBODY)}[chosen]
            result = watch_until(over, by=("comm", "user", "syscall"), top=0, **{chosen: who})
    assert {(each["comm"], each["user"]) for each in result["rows"]} == {(name, str(NOBODY))}
    assert row(result, syscall="write")["calls"] == 10


def test_a_cgroup_has_those_below_it_and_no_others(cgroup):
    with contextlib.closing(Load(lambda: write_times(50))) as bystander:
        with contextlib.closing(Load(lambda: write_times(10), move_into(cgroup / "below"))) as load:

            def over(_result):
                bystander.open()
                load.open()
                return load.has_ended() and bystander.has_ended()

            result = watch_until(over, by=("syscall",), top=0, cgroup=f"/{cgroup.name}")
    assert row(result, syscall="write")["calls"] == 10


def test_a_unit_is_looked_at_by_its_cgroup(cgroup, tmp_path, monkeypatch):
    """A fake systemctl answers, so that no systemd has to run."""
    answer = tmp_path / "systemctl"
    answer.write_text(
        f'#!/bin/sh\n[ "$*" = "show --property=ControlGroup --value -- some.service" ] && echo /{cgroup.name}\n'
    )
    answer.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    result, _load = look(
        lambda: write_times(10), prepare=move_into(cgroup), by=("syscall",), top=0, unit="some.service"
    )
    assert row(result, syscall="write")["calls"] == 10
    with pytest.raises(PingKillerError, match="unit='other.service' has no cgroup: name a unit that runs"):
        trace.plan(checked(unit="other.service"))
    answer.write_text("#!/bin/sh\necho /system.slice/a.service; echo; echo /system.slice/b.service\n")
    with pytest.raises(PingKillerError, match="unit='.*' is a pattern for several units: name one"):
        trace.plan(checked(unit="*"))


def test_a_cgroup_that_is_not_there_is_named_in_one_sentence(cgroup):
    for path in ("/not/there", "../../etc"):
        with pytest.raises(PingKillerError, match=f"there is no cgroup '{path}' below {cgroup.parent}"):
            trace.plan(checked(cgroup=path))
    with pytest.raises(PingKillerError, match="cgroup='' is empty: give a path"):
        trace.plan(checked(cgroup=""))


def test_a_cgroup_is_given_by_its_path_with_or_without_where_cgroups_are(cgroup):
    for path in (cgroup, cgroup.parent, cgroup.relative_to(cgroup.parent)):
        assert cgroups.find(None, str(path)) == str(cgroup.parent / path)


IN_A_CONTAINER = """
import contextlib, json, sys
from loads import *

name = sys.stdin.readline().strip()
load = Load(lambda: write_times(30), call_myself(name))
told = []

def over(result):
    if not told:
        told.append(print("looking", flush=True))
        sys.stdin.readline()
    load.open()
    return load.has_ended()

with contextlib.closing(load):
    print(json.dumps([watch_until(over, comm=name, **json.loads(sys.stdin.readline())), load.pid]))
"""


@pytest.mark.parametrize("options", [{"probe": "syscall", "name": "write"}, {"probe": "processes"}])
@pytest.mark.skipif(not shutil.which("unshare"), reason="there is no unshare to make namespaces with")
def test_in_a_container_its_own_processes_are_counted_and_others_only_as_outside(options):
    name = unique_name()

    def outside():
        write_times(20)

    container = run_python(IN_A_CONTAINER, "unshare", "--fork", "--pid", "--mount-proc", "--kill-child")
    with container, contextlib.closing(Load(outside, call_myself(name))) as load:
        container.stdin.write(f"{name}\n{json.dumps(options)}\n")
        container.stdin.flush()
        assert container.stdout.readline() == "looking\n"
        load.open()
        wait_for(load.has_ended)
        container.stdin.write("\n")
        container.stdin.close()
        result, pid = json.loads(container.stdout.read())
    assert pid < 10
    if options["probe"] == "syscall":
        assert [(each["pid"], each["calls"]) for each in result["rows"]] == [(pid, 30)]
        assert result["outside"] == 20
    else:
        assert [(each["event"], each["pid"]) for each in result["events"]] == [("exit", pid)]
        assert result["outside"] == 1


def test_a_look_lasts_as_long_as_it_was_asked_to():
    result = trace.run(checked(duration=0.3), SOURCES)
    assert result["stopped"] == "duration"
    assert result["seconds"] >= 0.3


def test_running_results_are_the_whole_since_the_start():
    seen = []
    with contextlib.closing(Load(lambda: write_times(1000))) as load:

        def over(result):
            load.open()
            seen.append(result)
            return load.has_ended()

        result = watch_until(over, pid=load.pid, by=("syscall",), top=0)
    assert seen[0]["stopped"] is None
    assert result["stopped"] == "interrupted"
    counts = [each["calls"] for each in [*seen, result]]
    assert counts == sorted(counts)
    assert row(result, syscall="write")["calls"] == 1000


class Interrupt:
    """A stop event that interrupts the process when it is asked whether to stop."""

    def is_set(self):
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_ends_the_look_with_what_was_seen():
    (result,) = trace.watch(checked(), SOURCES, stop=Interrupt())
    assert result["stopped"] == "interrupted"


def test_a_look_that_costs_more_than_it_may_ends_early():
    result, _load = look(lambda: write_times(10**7), until=lambda *_arguments: False, max_overhead=0.01)
    assert result["stopped"] == "max_overhead"
    assert result["cost"]["percent"] > 0.01
    assert result["cost"]["runs"] > 0


def test_what_it_costs_is_what_the_kernel_measured_of_every_run():
    result, _load = look(lambda: write_times(1000), by=("syscall",))
    assert result["cost"]["runs"] >= 2000
    assert result["cost"]["ns"] > result["cost"]["runs"]


def descriptors() -> list[str]:
    found = []
    for each in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{each}"))
    return sorted(found)


@pytest.mark.parametrize("probe", trace.PROBES)
def test_a_look_leaves_no_descriptor_no_program_and_no_file(probe):
    trace.run(checked(probe=probe, duration=0.01), SOURCES)  # opens what Python then keeps open
    before = descriptors()
    trace.run(checked(probe=probe, duration=0.01), SOURCES)
    assert descriptors() == before
    assert [each for each in os.listdir("/run") if each.startswith(f"pingkiller-headers-{os.getpid()}-")] == []


@pytest.mark.parametrize("probe", trace.PROBES)
def test_what_is_killed_leaves_no_program(probe):
    code = (
        "from loads import *\n"
        f"for result in trace.watch(checked(probe={probe!r}), SOURCES, every=0.1): print('looking', flush=True)"
    )
    with run_python(code) as looking:
        assert looking.stdout.readline() == "looking\n"
        mine = held(looking.pid, "prog_id")
        assert len(mine) >= 3
        assert mine <= set(bpf.program_ids())
        assert sum(held(looking.pid, "memlock", sum_up=list)) < MOST_MEMORY
        looking.kill()
    wait_for(lambda: not mine & set(bpf.program_ids()))


def held(pid: int, line: str, sum_up=set):
    """Return what the kernel reports of a process's BPF descriptors."""
    found = []
    for each in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/fdinfo/{each}").read_text()
            found += [int(value) for value in re.findall(rf"^{line}:\t(\d+)$", text, re.MULTILINE)]
    return sum_up(found)


def test_headers_of_a_compiler_that_was_killed_go_with_the_next_look():
    abandoned = Path(f"/run/pingkiller-headers-{wait_for_end_of_a_child()}-test")
    abandoned.mkdir()
    trace.run(checked(duration=0.01), SOURCES)
    assert not abandoned.exists()


def test_headers_that_a_run_in_another_container_compiles_with_stay():
    """The process of that run is not visible here, but it holds a lock on its directory."""
    theirs = Path(f"/run/pingkiller-headers-{wait_for_end_of_a_child()}-test")
    theirs.mkdir()
    held = os.open(theirs, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        compiler.remove_abandoned_headers()
        assert theirs.exists()
    finally:
        os.close(held)
        theirs.rmdir()


def wait_for_end_of_a_child() -> int:
    pid = child(lambda: 0)
    wait(pid)
    return pid


@pytest.mark.skipif(not shutil.which("setpriv"), reason="there is no setpriv to give up capabilities with")
def test_without_the_capabilities_one_sentence_says_which():
    code = "from loads import *\ntry: trace.plan(checked())\nexcept Exception as error: print(repr(error))"
    with run_python(code, "setpriv", "--bounding-set=-all", "--inh-caps=-all") as refused:
        said = refused.stdout.read()
    assert said.startswith("PingKillerError(")
    assert "this process has neither CAP_BPF and CAP_PERFMON nor CAP_SYS_ADMIN" in said


def test_a_user_namespace_is_named_as_what_forbids_tracing():
    code = "from loads import *\ntry: trace.plan(checked())\nexcept Exception as error: print(repr(error))"
    with run_python(code, "unshare", "--user", "--map-root-user") as refused:
        said = refused.stdout.read()
    assert "this is a user namespace, whose root may not trace" in said


def test_check_mode_says_what_would_be_done_and_compiles_nothing(monkeypatch):
    monkeypatch.setattr(compiler, "compile_tracer", None)
    told = trace.plan(checked(probe="syscall", name="read", duration=3))
    assert told["probe"] == "syscall"  # the playbook needs it
    assert told["msg"] == (
        "would look at syscall for 3 s, with programs at the tracepoints sched_process_fork, sched_process_exit, sys_exit "
        "and sys_enter"
    )
