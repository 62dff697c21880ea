# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The measured programs: our filter as xdp_filter attaches it, xdp-filter as its command loads it, and baselines."""

from __future__ import annotations

import ctypes
import io
import ipaddress
import json
import mmap
import os
import subprocess
import tarfile
from array import array
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path

from report import CHECKOUT

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import runtime
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters import change, remove
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.options import FilterOptions
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.request import (
    FilterRequest,
    RemovalRequest,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel.ring_buffer import RingBuffer
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.change import change_list
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.request import ListRequest
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import filter_programs, hooks
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.control import Control
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.pins import Pins

BPF_SOURCES = CHECKOUT / "bpf"
BASELINES = Path(__file__).parent / "baselines"
SPARE = 1024  # free slots of a list
_numbers = count()


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr or done.stdout}")
    return done.stdout


def cable() -> str:
    """Make a veth interface without traffic."""
    name = f"pkbench{next(_numbers)}"
    run("ip", "link", "add", name, "type", "veth", "peer", "name", name + "p")
    run("ip", "link", "set", name, "up")
    return name


def read_sources() -> dict[str, str]:
    return runtime.without_tracers(
        {path.relative_to(BPF_SOURCES).as_posix(): path.read_text() for path in BPF_SOURCES.rglob("*.[ch]")}
    )


def read_sources_of(commit: str) -> dict[str, str]:
    """Return the C sources of another commit.

    The library of this checkout makes the maps. So their layout must be that of the other commit, or have grown since.
    """
    archive = subprocess.run(["git", "archive", commit, "bpf"], cwd=CHECKOUT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = [name for name in tar.getnames() if name.endswith((".c", ".h"))]
        return runtime.without_tracers(
            {name.removeprefix("bpf/"): tar.extractfile(name).read().decode() for name in names}
        )


class Ours:
    """A host with its own filters and lists. Use as a context manager, which removes everything at the end."""

    def __init__(self, name: str, capacity: int, sources: dict[str, str] | None = None):
        self.base, self.capacity = f"/sys/fs/bpf/{name}", capacity
        self._sources = sources or read_sources()
        self._pins = Pins(self.base)
        self._opened = ExitStack()

    def __enter__(self) -> Ours:
        return self

    def __exit__(self, *_exception):
        self._opened.close()
        remove.absent(self.base, RemovalRequest(None))

    def filter(self, **options) -> bpf.Program:
        """Attach a filter to an interface of its own."""
        chosen = FilterOptions.checked(**{"mode": "native", **options})
        interface = cable()
        change.present(self.base, FilterRequest((interface,), chosen._asdict(), self._sources, capacity=self.capacity))
        found = filter_programs.running(self._pins, hooks.filter_name(interface, chosen.hook))
        return self._opened.enter_context(bpf.Program.from_id(found.info.id))

    def fill(self, name: str, content: str):
        """Set the content of a list."""
        change_list(self.base, ListRequest(name, content=content, exclusive=True, owner="bench"))

    def listening(self, value: bool):
        """Tell the filters whether a listener reads their events."""
        with bpf.Map.open(self._pins.host_pin("control")) as control, closing(Control(control)) as opened:
            opened.listening = value

    def skip_events(self):
        """Empty the ring buffer."""
        with bpf.Map.open(self._pins.host_pin("events")) as events, closing(RingBuffer(events)) as ring:
            ring.skip()


def load_xdp_filter(addresses: list[int]) -> bpf.Program:
    """Load xdp-filter with the required features. It drops all packets from these addresses, not only ICMP."""
    interface = cable()
    run("xdp-filter", "load", interface, "-m", "native", "-p", "allow", "-f", "ipv4,ipv6")
    for address in addresses:
        run("xdp-filter", "ip", str(ipaddress.ip_address(address)), "-m", "src")
    link = json.loads(run("ip", "-j", "-d", "link", "show", interface))[0]
    return bpf.Program.from_id(link["xdp"]["prog"]["id"])


class Baseline:
    """A program of the baselines directory. Its reports to user space are discarded."""

    def __init__(self, name: str, **defines: int):
        from bcc import BPF

        text = (BASELINES / f"{name}.c").read_text()
        header = (BASELINES / "frame.h").read_text()
        flags = [f"-D{key}={value}" for key, value in {"PAGE_SIZE": mmap.PAGESIZE, **defines}.items()]
        os.environ["BCC_KERNEL_SOURCE"] = str(BPF_SOURCES)  # replacements for the kernel's headers
        self.bcc = BPF(text=text.replace('#include "frame.h"', header), cflags=flags)

    def program(self, function: str = "baseline", kind: str = "XDP") -> bpf.Program:
        return bpf.Program(os.dup(self.bcc.load_func(function, getattr(self.bcc, kind)).fd))

    def drain_perf(self):
        """Open the perf buffer. Return a function that discards its events."""
        self.bcc["notes"].open_perf_buffer(lambda *_event: None, page_cnt=1024, wakeup_events=1 << 20)
        return lambda: self.bcc.perf_buffer_poll(timeout=0)

    def drain_ring(self):
        """Open the ring buffer. Return a function that discards its records."""
        self.bcc["notes"].open_ring_buffer(lambda *_record: 0)
        return self.bcc.ring_buffer_consume


class Drawing:
    """A program that gives each frame the next of these source addresses, then calls the measured program."""

    def __init__(self, measured: bpf.Program, addresses: list[int]):
        self._baseline = Baseline("draw", ADDRESSES=len(addresses))
        tables = self._baseline.bcc
        with bpf.Map(os.dup(tables["addresses"].map_fd)) as drawn:
            packed = b"".join(address.to_bytes(4, "big") for address in addresses)
            drawn.update_many(array("I", range(len(addresses))).tobytes(), packed)
        tables["measured"][ctypes.c_int(0)] = ctypes.c_int(measured.fd)
        self.program = self._baseline.program("draw")

    def close(self):
        self.program.close()
        self._baseline.bcc.cleanup()
