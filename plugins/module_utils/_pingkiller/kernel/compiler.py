# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From C to loaded programs, by BCC. No other file imports bcc, and this one does so only where it needs it.

What carries out a plan imports this file, also where nothing is to be compiled. So what only a compilation needs is imported
where that begins.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from ..errors import PingKillerError
from . import bpf, netlink, schema

MAIN = "pingkiller.c"  #: the file of the filter that includes the others
_RUN = "/run"  #: a directory that only root can write to
_TREE = "pingkiller-headers-"  #: begins the name of the directory that holds the headers during a compilation
_INCLUDE = re.compile(r'^#include "([^"]+)"$', re.MULTILINE)


class Function(Protocol):
    """BCC's object of a loaded function. The program is unloaded with it, unless it has been attached by then."""

    fd: int
    bpf: Any  #: BCC's object of all that was compiled together


class _Compilation(NamedTuple):
    """The programs that are made of one text of C."""

    purpose: str  #: for messages
    main: str  #: the file that includes the others
    functions: Sequence[str]
    kind: str  #: of the programs, as BCC names it


def amalgamate(sources: dict[str, str], main: str = MAIN) -> str:
    """Return a file and all that it includes as one text: BCC rewrites map accesses only in the text that it is given."""

    def included(match: re.Match[str]) -> str:
        return amalgamate(sources, match.group(1))

    return f'#line 1 "{main}"\n' + _INCLUDE.sub(included, sources[main]) + "\n"


def compile_program(sources: dict[str, str], defines: dict[str, str], hook: str) -> Function:
    """Compile and load the filter. Raises PingKillerError with the words of the compiler or of the verifier.

    ``sources`` are texts by file name, ``defines`` the values of macros.
    """
    kind = "XDP" if hook == schema.XDP else "SCHED_CLS"
    compilation = _Compilation(purpose="the filter", main=MAIN, functions=[schema.FUNCTION], kind=kind)
    return _compile(compilation, sources, defines)[schema.FUNCTION]


def compile_tracer(
    sources: dict[str, str], defines: dict[str, str], *, main: str, functions: Sequence[str]
) -> dict[str, bpf.Program]:
    """Compile and load a tracer. Raises PingKillerError with the words of the compiler or of the verifier.

    Returns a program for raw tracepoints for each function of the file ``main``; they share their maps.
    """
    compilation = _Compilation(purpose="the tracer", main=main, functions=functions, kind="RAW_TRACEPOINT")
    compiled = _compile(compilation, sources, defines)
    programs = {name: bpf.Program(os.dup(function.fd)) for name, function in compiled.items()}
    for function in list(compiled.values())[:1]:
        function.bpf.cleanup()  # the compiler's 75 MB; a run that compiles a filter ends soon
    return programs


def _compile(compilation: _Compilation, sources: dict[str, str], defines: dict[str, str]) -> dict[str, Function]:
    """Compile and load, and return the functions by name."""
    flags = [f"-D{name}={value}" for name, value in sorted(defines.items())]
    with _headers(sources):
        return _load(compilation, amalgamate(sources, compilation.main), flags)


def _load(compilation: _Compilation, text: str, flags: list[str]) -> dict[str, Function]:
    from bcc import BPF  # a tenth of a second and 75 MB, so only here

    with captured_stderr() as said:
        try:
            compiled = BPF(text=text, cflags=flags)
            kind = getattr(BPF, compilation.kind)
            programs = {name: compiled.load_func(name, kind) for name in compilation.functions}
        except Exception as error:  # BCC raises plain Exception
            failure = error
        else:
            return programs
    words = " | ".join(said().strip().splitlines()[-30:])
    raise PingKillerError(
        f"{compilation.purpose} does not compile or load on this host ({failure}); the compiler said: {words}"
    )


@contextlib.contextmanager
def _headers(sources: dict[str, str]) -> Iterator[None]:
    """Let BCC use headers of our own in place of the kernel's, which a host need not have."""
    import shutil
    import tempfile

    remove_abandoned_headers()
    tree = tempfile.mkdtemp(prefix=f"{_TREE}{os.getpid()}-", dir=_RUN)
    held = _hold(tree)
    try:
        _write_tree(tree, sources)
        os.environ["BCC_KERNEL_SOURCE"] = tree
        yield
    finally:
        os.environ.pop("BCC_KERNEL_SOURCE", None)
        shutil.rmtree(tree)
        os.close(held)


def remove_abandoned_headers() -> None:
    """Remove the headers of runs that were killed.

    Headers that are locked belong to a run in another PID namespace, whose processes cannot be seen from here.
    """
    import shutil

    for name in os.listdir(_RUN):
        process = name.removeprefix(_TREE).partition("-")[0]
        if name.startswith(_TREE) and process.isdigit() and not os.path.exists(f"/proc/{process}"):
            tree = os.path.join(_RUN, name)
            with contextlib.suppress(OSError):  # it is locked, or gone
                os.close(_hold(tree))
                shutil.rmtree(tree, ignore_errors=True)


def _hold(tree: str) -> int:
    """Lock a directory and return the descriptor that holds the lock. Raises BlockingIOError if it is locked already."""
    fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def _write_tree(tree: str, sources: dict[str, str]) -> None:
    """Write the headers below DIRECTORY/include, where BCC looks for them."""
    for name, text in sources.items():
        if name.startswith("include/"):
            path = os.path.join(tree, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)


@contextlib.contextmanager
def captured_stderr() -> Iterator[Callable[[], str]]:
    """Keep the output of C libraries out of Ansible's stream. Yields a function that returns it as text afterwards."""
    import tempfile

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


def attach(link: netlink.Link, function: Function, mode: str) -> str | None:
    """Attach a program where none is. Returns the driver's reason if it refused, else None.

    BCC does not tell the reason, so after a refusal the kernel is asked once more by netlink, which does.
    """
    from bcc import BPF

    with captured_stderr():
        try:
            BPF.attach_xdp(link.name, function, netlink.MODE_FLAGS[mode] | netlink.FLAG_NOEXIST)
            return None
        except Exception:  # BCC raises plain Exception
            pass
    try:
        netlink.attach_xdp(link.ifindex, function.fd, mode)
    except netlink.NetlinkError as error:
        return error.strerror
    return None
