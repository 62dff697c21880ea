# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the collection's modules: quickly in a child of this process, or as users do with the command ``ansible``."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import bcc  # noqa: F401  # so that no forked module has to import it
import built
from ansible.module_utils import basic
from machine import look

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import runtime
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters import definitions
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import compiler

CHECKOUT = Path(__file__).resolve().parents[2]
SOURCES = runtime.without_tracers(
    {path.relative_to(CHECKOUT / "bpf").as_posix(): path.read_text() for path in (CHECKOUT / "bpf").rglob("*.[ch]")}
)
MODULES = {
    name: importlib.import_module(f"ansible_collections.pingkiller.fleet.plugins.modules.{name}")
    for name in ("xdp_filter", "xdp_blocklist", "xdp_allowlist", "xdp_facts", "xdp_events", "xdp_status_info")
}
_CRASHED = 70


def run(name: str, *prepare, check: bool = False, **arguments) -> dict:
    """Return a module's result, with its warnings as text. Functions in ``prepare`` run only in the module's process.

    A module that ends without a result fails the test.
    """
    status, said, complaint = _run(name, prepare, check, arguments)
    if status not in (0, 1):
        raise AssertionError(f"{name} {arguments} did not end well ({status}):\n{complaint}")
    result = json.loads(said)
    # Since 2.19 a warning is an object, which the controller turns into text.
    warnings = [each if isinstance(each, str) else each["event"]["msg"] for each in result.get("warnings", [])]
    result.pop("invocation", None)  # the long sources in it would hide the failure
    return {**result, "warnings": warnings}


def changed(name: str, *prepare, **arguments) -> dict:
    """Return the result of a module that changed something."""
    result = run(name, *prepare, **arguments)
    assert result.get("changed"), result
    return result


def unchanged(name: str, *prepare, **arguments) -> dict:
    """Return the result of a module that found everything as requested and touched nothing."""
    before = look()
    result = run(name, *prepare, **arguments)
    assert not result.get("failed"), result
    assert not result.get("changed"), result  # xdp_facts returns no ``changed``
    assert look() == before
    return result


def refused(name: str, *prepare, **arguments) -> str:
    """Return the message of a module that refuses and touches nothing, in check mode and outside it."""
    before = look()
    for check in (True, False):
        result = run(name, *prepare, check=check, **arguments)
        assert result.get("failed"), result
        assert look() == before
    return result["msg"]


def killed(name: str, *prepare, **arguments) -> bool:
    """Run a module that ``prepare`` may kill; return whether it was killed."""
    status, _said, complaint = _run(name, prepare, False, arguments)
    assert status in (0, 1, -signal.SIGKILL), complaint
    return status < 0


def facts(*prepare, **arguments) -> dict:
    """Return the facts of xdp_facts."""
    return run("xdp_facts", *prepare, **arguments)["ansible_facts"]["pingkiller"]


def _run(name, prepare, check, arguments):
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complaint:
        child = os.fork()
        if not child:
            _be_the_module(name, prepare, check, arguments, said, complaint)
        _pid, status = os.waitpid(child, 0)
        said.seek(0)
        complaint.seek(0)
        return os.waitstatus_to_exitcode(status), said.read(), complaint.read()


def _be_the_module(name, prepare, check, arguments, said, complaint):
    """Do what Ansible does with a module on a managed host once its Python has started."""
    status = _CRASHED
    try:
        os.dup2(complaint.fileno(), 2)
        sys.stdout, sys.stderr = said, complaint
        given = {
            **_of_the_action_plugin(name, arguments),
            **arguments,
            "_ansible_check_mode": check,
            "_ansible_diff": True,
        }
        basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": given}).encode()
        basic._ANSIBLE_PROFILE = "legacy"
        # Since 2.19 a process that has loaded a plugin counts as the controller, whose results have no warnings.
        with contextlib.suppress(KeyError):
            sys.modules["ansible.module_utils._internal"].is_controller = False
        compiler.compile_program = built.compile_program
        for call in prepare:
            call()
        MODULES[name].main()
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc(file=complaint)
    finally:
        with contextlib.suppress(OSError):
            said.flush()
            complaint.flush()
        os._exit(status)


def _of_the_action_plugin(name, arguments):
    """Return what the action plugin of a module adds to its arguments; the tests of the front end cover it."""
    if name == "xdp_status_info":
        marks = (CHECKOUT / "roles/pingkiller/files/marks.sh").read_text()
        return {"_sources_digest": definitions.digest(SOURCES), "_script": marks}
    return {"_sources": SOURCES} if name == "xdp_filter" and arguments.get("state") != "absent" else {}


class Command:
    """Ansible's commands, run from the checkout with this machine as the managed host and a temporary home."""

    def __init__(self, home: Path):
        self._home = home

    def __call__(self, program: str, *arguments: str, python: str = "/usr/bin/python3"):
        """Run a command; return its output and status."""
        target = ["-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={python}"]
        return subprocess.run(
            [str(Path(sys.executable).parent / program), *target, *arguments],
            cwd=CHECKOUT,
            env={**os.environ, "HOME": str(self._home), "ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def module(self, name: str, arguments: str, *more: str, **options) -> dict:
        """Return the result of ``ansible localhost -m NAME -a ARGUMENTS``, with its heading and its standard error."""
        done = self("ansible", "localhost", "-m", name, "-a", arguments, *more, **options)
        heading, arrow, text = done.stdout.partition(" => ")
        assert arrow, done.stdout + done.stderr
        beside = " ".join(done.stderr.split())  # Ansible wraps it to the width of a terminal
        return {"heading": heading.splitlines()[-1], "beside": beside, **json.JSONDecoder().raw_decode(text)[0]}
