# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real program in the real kernel, loaded by the project's own library, with its own pins.

Frames are sent with BPF_PROG_TEST_RUN. Their effects are read from the counters in the kernel.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import json
import os
import re
import shutil
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import built
from model import ECHO_REQUEST, EVERY_TYPE, Options, Source
from network import run, unique_name

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import runtime
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters import (
    build,
    change,
    definitions,
    remove,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.options import FilterOptions
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.request import (
    FilterRequest,
    RemovalRequest,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import (
    bpf,
    compiler,
    ring_buffer,
    schema,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.change import change_list
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.request import ListRequest
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report import events, facts
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import (
    control,
    entry_list,
    filter_programs,
    hooks,
    host_maps,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.pins import Pins

SOURCES = Path(__file__).resolve().parents[2] / "bpf"
#: The return values of a program on XDP and on tc. On tc, pass means that the next classifier decides.
ACTIONS = {"xdp": {1: "drop", 2: "pass"}, "tc": {2: "drop", 2**32 - 1: "pass"}}
COUNTERS = schema.LAYOUTS["counters"]
CAPACITY = 64
#: Turns warnings into errors in the text that follows, which is our code without BCC's. Hosts do not use this, because
#: another compiler may have other warnings. As in the kernel, unused parameters are allowed, because some functions are
#: empty when an option is off.
WARNINGS_ARE_ERRORS = """\
#pragma clang diagnostic error "-Wall"
#pragma clang diagnostic error "-Wextra"
#pragma clang diagnostic ignored "-Wunused-parameter"
"""


def read_sources():
    return runtime.without_tracers(
        {path.relative_to(SOURCES).as_posix(): path.read_text() for path in SOURCES.rglob("*.[ch]")}
    )


class Seen(NamedTuple):
    """The effect of a frame."""

    action: str
    changes: dict  # as in the model's Outcome


class Measured(NamedTuple):
    """The size of a program, and how much the verifier had to walk."""

    verified: int  # instructions that the verifier walked
    translated: int  # instructions of the program as it runs
    jited: int  # bytes of machine code


class Filter:
    """A loaded program and its counters."""

    def __init__(self, host: Host, interface: str, hook: str):
        self.host, self.interface, self.name = host, interface, hooks.filter_name(interface, hook)
        self._actions = ACTIONS[hook.partition("_")[0]]
        self._program = bpf.Program.from_id(filter_programs.running(host.pins, self.name).info.id)
        found = ((name, host.pins.open_map(host.pins.filter_pin(self.name, name))) for name in schema.FILTER_PINS)
        self._maps = {name: opened for name, opened in found if opened}

    def send(self, frame: bytes) -> Seen:
        """Run the program on a frame. Also check that it does not change the frame."""
        before = self.counters()
        result = self._program.test_run(frame)
        assert result.frame == frame, "the filter changed the frame"
        after = self.counters()
        moved = {key: tuple(new - old for new, old in zip(after[key], before[key])) for key in after}
        changes = {key: by for key, by in moved.items() if any(by)}
        told = {("event", number): event for number, event in enumerate(self.host.heard())}
        return Seen(self._actions.get(result.verdict, str(result.verdict)), {**changes, **told})

    def counters(self) -> dict:
        """Return all counters of the filter and of the list entries, by their names in the model."""
        return {**self.reasons(), **self._timed(), **self._events(), **self.host.entries()}

    def reasons(self) -> dict:
        """Return packets and bytes by reason and family. In monitor mode, drops are under ``would_drop.REASON``."""
        cells, offsets = self._percpu("counters", COUNTERS.size), COUNTERS.offsets
        return {
            ("reason", reason, family): tuple(
                cells[offsets[f"{reason}.{family}.{what}"] // 8] for what in ("packets", "bytes")
            )
            for reason in (*schema.REASONS, *schema.WOULD_DROP.values())
            for family in schema.FAMILIES
        }

    def _timed(self) -> dict:
        """Return how many frames were measured, by verdict."""
        if "timing" not in self._maps:
            return {}
        words, offsets = self._percpu("timing", schema.TIMING.size), schema.TIMING.offsets
        return {("timed", verdict): (words[offsets[f"{verdict}.count"] // 8],) for verdict in schema.VERDICTS}

    def _events(self) -> dict:
        """Return the counts of sent, suppressed and lost events."""
        if "event_budget" not in self._maps:
            return {}
        words, offsets = self._percpu("event_budget", schema.EVENT_BUDGET.size), schema.EVENT_BUDGET.offsets
        return {("events", name): (words[offsets[name] // 8],) for name in ("sent", "suppressed", "lost")}

    def _percpu(self, name: str, size: int) -> list:
        """Return the 64-bit numbers of a per-CPU map, each summed over all CPUs."""
        values = self._maps[name].lookup(schema.ZERO, size * self.host.cpus)
        numbers = struct.unpack(f"={len(values) // 8}Q", values)
        return [sum(numbers[start :: size // 8]) for start in range(size // 8)]

    def start_at(self, number: int):
        """Set all counters of the filter to this number, on every CPU."""
        for name, size in (("counters", COUNTERS.size), ("timing", schema.TIMING.size)):
            if name in self._maps:
                words = size // 8 * self.host.cpus
                self._maps[name].update(schema.ZERO, struct.pack(f"={words}Q", *[number] * words))

    def sources(self) -> dict[str, Source]:
        """Return the sources in the rate limit, by their names in the model."""
        found = {}
        for key, value in self._maps["sources"].read_all() if "sources" in self._maps else ():
            source = schema.SOURCE_KEY.unpack(key)
            length = 4 if schema.FAMILIES[source["family"]] == "ipv4" else 16
            assert not any(source["address"][length:]), "the key of a source has more than its address"
            found[str(ipaddress.ip_address(source["address"][:length]))] = Source(**schema.SOURCE_STATE.unpack(value))
        return found

    def set_sources(self, sources: dict[str, Source]):
        """Set the sources in the rate limit to exactly these."""
        table = self._maps["sources"]
        for key, _value in table.read_all():
            table.delete(key)
        for name, source in sources.items():
            address = ipaddress.ip_address(name)
            family = schema.FAMILIES.index(f"ipv{address.version}")
            key = schema.SOURCE_KEY.pack(family=family, address=address.packed)
            table.update(key, schema.SOURCE_STATE.pack(**source._asdict()))

    def facts(self) -> dict:
        """Return the counters that xdp_facts reports, by their names in the model."""
        told = facts.collect(self.host.base)
        counters = told["filters"][self.name]["counters"]
        would_drop = {f"would_drop.{reason}": each for reason, each in counters["would_drop"]["reasons"].items()}
        found = {
            ("reason", reason, family): (cell["packets"], cell["bytes"])
            for reason, by_family in {**counters["reasons"], **would_drop}.items()
            for family, cell in by_family.items()
        }
        for name, content in told["lists"].items():
            for entry in content["entries"]:
                found["entry", name, _spelled(entry["ip"])] = (entry["packets"], entry["bytes"])
        return found

    def told(self) -> dict:
        """Return what xdp_facts reports about this filter."""
        return facts.collect(self.host.base)["filters"][self.name]

    def moved(self, action) -> dict:
        """Run ``action``. Return the packets counted during that time by reason, for all families together."""
        before = self.reasons()
        action()
        found: dict = {}
        for (_kind, reason, family), (packets, _bytes) in self.reasons().items():
            more = packets - before["reason", reason, family][0]
            if more:
                found[reason] = found.get(reason, 0) + more
        return found

    @property
    def program_fd(self) -> int:
        """The file descriptor of the program, to attach it in places where the library does not."""
        return self._program.fd

    def close(self):
        self._program.close()
        for opened in self._maps.values():
            opened.close()

    def repeat(self, frame: bytes, times: int):
        """Run the program on a frame many times, in one call and on the CPU of this thread."""
        self._program.test_run(frame, times)


def on_every_cpu(action):
    """Run ``action`` on all CPUs at the same time, in one thread per CPU. Return the number of CPUs."""
    cpus = sorted(os.sched_getaffinity(0))
    together = threading.Barrier(len(cpus))

    def run_on(cpu):
        os.sched_setaffinity(0, {cpu})  # sets only this thread
        together.wait()
        action()

    with ThreadPoolExecutor(len(cpus)) as threads:
        for done in [threads.submit(run_on, cpu) for cpu in cpus]:
            done.result()
    return len(cpus)


class Host:
    """A base directory with filters and lists, as on one host. Use as a context manager, which removes everything."""

    def __init__(self):
        self.name = unique_name()
        self.base = f"/sys/fs/bpf/{self.name}"
        self.pins = Pins(self.base)
        self.cpus = bpf.possible_cpus()
        self._filters: dict = {}
        self._numbers = itertools.count()
        self._lists: dict = {}  # the content of the lists, to change them only when they differ
        self._opened_lists: dict = {}
        self._records: dict = {}  # by list and address: the records of the list, and the slot
        self.sources = read_sources()  # compiled for every filter
        self._ring = None  # the ring buffer, while there is a listener

    def __enter__(self) -> Host:
        self._stack = contextlib.ExitStack()
        self._opened = contextlib.ExitStack()
        self._stack.callback(self.remove)
        return self

    def __exit__(self, *_exception):
        self._opened.close()
        self._stack.close()

    def attach(self, interface: str, options: Options, mode: str = "native", **more) -> Filter:
        """Attach a filter through the library, as xdp_filter does. ``more`` has options that are not in the model."""
        wanted = {**options._asdict(), "icmp_types": type_names(options.icmp_types), **more}
        chosen = FilterOptions.checked(mode=mode, **wanted)
        change.present(self.base, FilterRequest((interface,), chosen._asdict(), self.sources, capacity=CAPACITY))
        attached = Filter(self, interface, chosen.hook)
        self._stack.callback(attached.close)
        return attached

    def filter(self, options: Options, **more) -> Filter:
        """Return a filter with these options for test runs. It is compiled once, and its veth has no traffic."""
        chosen = (options, *sorted(more.items()))
        if chosen not in self._filters:
            interface = f"{self.name}{next(self._numbers):02}"  # a failed attempt also uses up a number
            self._stack.callback(run, "ip", "link", "del", interface, check=False)
            run("ip", "link", "add", interface, "type", "veth", "peer", "name", interface + "p")
            self._filters[chosen] = self.attach(interface, options, **more)
        return self._filters[chosen]

    @contextlib.contextmanager
    def compiled(self, **options):
        """Load the program with these options without attaching it. Yield BCC's object. Warnings are errors."""
        chosen, name = FilterOptions.checked(**options), "load"
        sources = {**self.sources, compiler.MAIN: WARNINGS_ARE_ERRORS + self.sources[compiler.MAIN]}
        host_maps.create(self.pins, CAPACITY)
        self.pins.make_directory(self.pins.filter_pin(name))
        if chosen.events != "none":
            self.pins.ensure(self.pins.host_pin("events"), schema.EVENTS_MAP).close()
        try:
            for each, info in build.filter_maps(chosen).items():
                self.pins.ensure(self.pins.filter_pin(name, each), info).close()
            places = {"HOST": self.base, "LIST": self.pins.host_pin("lists"), "FILTER": self.pins.filter_pin(name)}
            paths = {f"{place}_PINS": json.dumps(path) for place, path in places.items()}
            yield built.by_bcc(sources, {**definitions.of(chosen), **paths}, chosen.hook)
        finally:
            self.pins.remove_filter(name)

    def measure(self, **options) -> Measured:
        """Measure the program with these options."""
        with self.compiled(**options) as function, bpf.Program(os.dup(function.fd)) as program:
            info = program.info
            verified = info.instructions or walked(function)
            return Measured(verified, translated=info.translated_size // 8, jited=info.machine_code_size)

    @contextlib.contextmanager
    def listening(self):
        """Listen to events while the `with` block runs, so that the changes of a frame include its events."""
        with contextlib.ExitStack() as stack:
            ring_map = stack.enter_context(self.pins.open_map(self.pins.host_pin("events"), schema.EVENTS_MAP))
            maps = stack.enter_context(host_maps.opened(self.pins))
            opened = stack.enter_context(contextlib.closing(control.Control(maps.control)))
            self._ring = stack.enter_context(contextlib.closing(ring_buffer.RingBuffer(ring_map)))
            self._ring.skip()
            opened.listening = True
            try:
                yield
            finally:
                opened.listening, self._ring = False, None

    def heard(self) -> list:
        """Return the events since the last call, as xdp_events reports them, without interface and times."""
        found = [events.decode(record) for record in self._ring.read()] if self._ring else []
        for event in found:
            event.update({side: _spelled(event[side]) for side in ("src", "dst") if event[side]})
            for name in ("time", "interface", "processing_ns"):
                del event[name]
        return found

    def change(self, name: str, check: bool = False, **request) -> dict:
        """Change a list as its module does."""
        try:
            return change_list(self.base, ListRequest(name, **request), check=check)
        finally:
            self._lists.pop(name, None)

    def list_facts(self, name: str) -> dict:
        """Return what xdp_facts reports about a list."""
        return facts.collect(self.base)["lists"][name]

    def set_lists(self, blocklist=(), allowlist=()):
        """Set the lists to exactly these entries, with the exact sync that a role uses."""
        wanted = {"blocklist": blocklist, "allowlist": allowlist}
        if self._lists == wanted:
            return
        for name, entries in wanted.items():
            if self._lists.get(name) != entries:
                content = "".join(f"{entry.ip} direction={entry.direction}\n" for entry in entries)
                request = ListRequest(name, content=content, exclusive=True, owner="test")
                change_list(self.base, request)
                self._lists[name] = entries
        self._open_lists()
        for name, entries in wanted.items():
            for entry in entries:
                self._set_until(name, entry)

    def _set_until(self, name: str, entry):
        """Set the expiry of each side to that of the entry, even if no ttl could lead to it."""
        ip = _spelled(addresses.display(addresses.parse(entry.ip)))
        opened, slot = self._opened_lists[name], self._records["entry", name, ip][1]
        owner = opened.records.owner(slot)
        before, kind = opened.records.untils(slot), opened.records.signature(slot).kind
        untils = (schema.FOREVER if until is None else until for until in entry.until)
        after = tuple(until * (entry.direction in (side, "both")) for until, side in zip(untils, ("src", "dst")))
        if before != after:
            opened.control.add_matching(name, kind, untils=after, number=1)
            opened.records.edit(slot, after, owner)
            opened.control.add_matching(name, kind, untils=before, number=-1)

    def remove(self):
        """Remove all filters, lists and pins, as xdp_filter with state absent does."""
        try:
            remove.absent(self.base, RemovalRequest(None))
        finally:
            shutil.rmtree(self.base, ignore_errors=True)  # in case the removal itself is broken

    def entries(self) -> dict:
        """Return packets and bytes of every entry, by list and address."""
        return {key: (record.packets, record.bytes) for key, record in self.records().items()}

    def records(self) -> dict:
        """Return (packets, bytes, last seen in nanoseconds) of every entry."""
        return {key: records.counts(slot) for key, (records, slot) in self._records.items()}

    def start_entries_at(self, number: int):
        """Set the packets and bytes of every entry to this number."""
        for records, slot in self._records.values():
            for field in ("packets", "bytes"):
                records.write(slot, field, number)

    def _open_lists(self):
        self._opened.close()
        self._records = {}
        for name in schema.LISTS:
            opened = self._opened.enter_context(entry_list.opened_list(self.pins, name))
            self._opened_lists[name] = opened
            for slot in opened.slots():
                ip = _spelled(addresses.display(opened.records.key(slot)))
                self._records["entry", name, ip] = (opened.records, slot)


def _spelled(text: str) -> str:
    """Convert to the spelling of the model, because an IPv6 address has several valid spellings."""
    return str(ipaddress.ip_network(text) if "/" in text else ipaddress.ip_address(text))


def shortest_frame(frame: bytes, hook: str) -> int:
    """Return the minimum length of a frame for a test run. On tc, the kernel refuses a frame with a cut IP header."""
    return 14 if hook == "xdp" else {b"\x08\x00": 14 + 20, b"\x86\xdd": 14 + 40}.get(frame[12:14], 14)


def type_names(icmp_types) -> tuple:
    """Return the value of icmp_types for this set."""
    if icmp_types == EVERY_TYPE:
        return ("all",)
    if icmp_types == ECHO_REQUEST:
        return ("echo-request",)
    names = {"ipv4": "icmp", "ipv6": "icmpv6"}
    return tuple("/".join(map(str, (names[family], *numbers))) for family, *numbers in sorted(icmp_types))


def walked(function) -> int:
    """Return the number of instructions that the verifier walks, from its log. Linux before 5.16 has no other way.

    This loads the program once more, as BCC has left it, because BCC does not ask for the summary in the log.
    """
    log = bytearray(4096)
    with bpf.Program(os.dup(function.fd)) as program:
        code = function.bpf.dump_func(function.name)
        bpf.Program.load(schema.FUNCTION, program.info.type, code, log=log).close()
    return int(re.search(rb"processed (\d+) insns", log)[1])
