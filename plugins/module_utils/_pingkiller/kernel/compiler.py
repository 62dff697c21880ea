# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""BCC: from C to loaded programs. The only file that imports bcc, and only where it compiles."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator

from ..errors import PingKillerError
from . import bpf, netlink, schema

_MAIN = "pingkiller.c"
_TREES, _TREE = (
    "/run",
    "pingkiller-headers-",
)  #: where the headers are for the time of a compilation; root's own directory
_INCLUDE = re.compile(r'^#include "([^"]+)"$', re.MULTILINE)


def amalgamate(sources: dict[str, str], name: str = _MAIN) -> str:
    """The C as one text. BCC rewrites map accesses in the text it is given, not in what that includes."""

    def included(match) -> str:
        return amalgamate(sources, match.group(1))

    return f'#line 1 "{name}"\n' + _INCLUDE.sub(included, sources[name]) + "\n"


def compile_program(sources: dict[str, str], defines: dict[str, str], hook: str):
    """Compile and load the filter; BCC's function object, whose ``fd`` is the program. Raises PingKillerError with clang's words.

    The program is unloaded when the object goes away, unless it has been attached by then.
    """
    kind = "XDP" if hook == schema.XDP else "SCHED_CLS"
    return _compile(sources, _MAIN, defines, [schema.FUNCTION], kind, "the filter")[schema.FUNCTION]


def compile_tracer(
    sources: dict[str, str], main: str, defines: dict[str, str], functions: list[str]
) -> dict[str, bpf.Program]:
    """The same of a tracer: its functions by name, each a program for raw tracepoints. They share their maps."""
    compiled = _compile(sources, main, defines, functions, "RAW_TRACEPOINT", "the tracer")
    programs = {name: bpf.Program(os.dup(program.fd)) for name, program in compiled.items()}
    for program in list(compiled.values())[:1]:
        program.bpf.cleanup()  # the compiler's 75 MB, which a filter's run gives back by ending
    return programs


def _compile(
    sources: dict[str, str], main: str, defines: dict[str, str], functions: list[str], kind: str, what: str
) -> dict:
    remove_abandoned_headers()
    tree = tempfile.mkdtemp(prefix=f"{_TREE}{os.getpid()}-", dir=_TREES)
    held = _hold(tree)
    try:
        _write_tree(tree, sources)
        os.environ["BCC_KERNEL_SOURCE"] = tree
        flags = [f"-D{name}={value}" for name, value in sorted(defines.items())]
        return _load(amalgamate(sources, main), flags, functions, kind, what)
    finally:
        os.environ.pop("BCC_KERNEL_SOURCE", None)
        shutil.rmtree(tree)
        os.close(held)


def remove_abandoned_headers() -> None:
    """What killed runs were compiling with. One that is held belongs to a run in another PID namespace, which is not seen."""
    for name in os.listdir(_TREES):
        process = name.removeprefix(_TREE).partition("-")[0]
        if name.startswith(_TREE) and process.isdigit() and not os.path.exists(f"/proc/{process}"):
            tree = os.path.join(_TREES, name)
            with contextlib.suppress(OSError):  # it is held, or has gone
                os.close(_hold(tree))
                shutil.rmtree(tree, ignore_errors=True)


def _hold(tree: str) -> int:
    """A descriptor by which a directory is locked. Raises BlockingIOError if somebody else has it locked."""
    fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def _write_tree(tree: str, sources: dict[str, str]) -> None:
    """The headers that stand in for the kernel's: BCC looks for them in DIRECTORY/include."""
    for name, text in sources.items():
        if name.startswith("include/"):
            path = os.path.join(tree, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)


def _load(text: str, flags: list[str], functions: list[str], kind: str, what: str) -> dict:
    from bcc import BPF  # a tenth of a second and 75 MB, so only here

    with captured_stderr() as said:
        try:
            compiled = BPF(text=text, cflags=flags)
            programs = {name: compiled.load_func(name, getattr(BPF, kind)) for name in functions}
        except Exception as error:  # BCC raises plain Exception
            failure: Exception | None = error
        else:
            return programs
    words = " | ".join(said().strip().splitlines()[-30:])
    raise PingKillerError(f"{what} does not compile or load on this host ({failure}); the compiler said: {words}")


@contextlib.contextmanager
def captured_stderr() -> Iterator:
    """Keep what C libraries print, and hand it out as text afterwards; Ansible's own stream stays clean."""
    saved = os.dup(2)
    with tempfile.TemporaryFile() as file:

        def text() -> str:
            return content.decode(errors="replace")

        content = b""
        os.dup2(file.fileno(), 2)
        try:
            yield text
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            file.seek(0)
            content = file.read()


def attach(link: netlink.Link, program, mode: str) -> str | None:
    """Attach where no program is; the driver's reason as text if it refused, else None.

    BCC keeps the reason to itself, so after a refusal the kernel is asked once more in a way that lets it answer.
    """
    from bcc import BPF

    with captured_stderr():
        try:
            BPF.attach_xdp(link.name, program, netlink.MODE_FLAGS[mode] | netlink.FLAG_NOEXIST)
            return None
        except Exception:  # BCC raises plain Exception
            pass
    try:
        netlink.attach_xdp(link.index, program.fd, mode)
    except netlink.NetlinkError as error:
        return error.strerror
    return None
