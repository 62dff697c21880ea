# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""BPF maps, programs and their pins, by the bpf(2) system call."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import time
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

from . import syscall
from .syscall import Attributes

# Types of maps, from enum bpf_map_type of linux/bpf.h
HASH, ARRAY, PERCPU_HASH, PERCPU_ARRAY, LRU_HASH, LPM_TRIE, RINGBUF = 1, 2, 5, 6, 9, 11, 27
TYPE_NAMES = {
    HASH: "hash",
    ARRAY: "array",
    PERCPU_ARRAY: "percpu_array",
    LRU_HASH: "lru_hash",
    LPM_TRIE: "lpm_trie",
    RINGBUF: "ringbuf",
}
NO_PREALLOC, MMAPABLE = 1, 1 << 10  #: flags of maps

#: Errors for a type of map without batch operations. 524 is ENOTSUPP, which errno does not know.
_NO_BATCH = (errno.EINVAL, errno.EOPNOTSUPP, 524)

_BATCH = 65536  #: elements of one batch call
_MAP_IDS = 64  #: of a program; the verifier allows no more maps
_SUMMARY = 4  #: BPF_LOG_STATS: how much the verifier writes into its log
_HEADROOM = 256  #: XDP_PACKET_HEADROOM: bytes that a program can put before a frame
_LONGER_THAN_A_PROGRAM = 0.1  #: seconds

_Self = TypeVar("_Self", bound="Handle")


def kernel_name(text: str) -> str:
    """Return the part of a name that the kernel keeps."""
    return text[:15]


def _text(name: bytes) -> str:
    """Decode a name that the kernel keeps with a zero byte behind it."""
    return name.split(b"\0")[0].decode(errors="replace")


def probe() -> None:
    """Make a map and close it. Raises the OSError that bpf(2) gives on this kernel to this user."""
    Map.create("", MapInfo(type=ARRAY, key_size=4, value_size=8, max_entries=1, flags=0)).close()


def attach_raw_tracepoint(name: str, program_fd: int) -> Handle:
    """Run a program at a tracepoint until the handle is closed. Raises OSError.

    Needs neither tracefs nor perf_event_open(2), so it works in containers, too.
    """
    text = ctypes.create_string_buffer(name.encode())
    attributes = Attributes(syscall.RAW_TRACEPOINT, name=ctypes.addressof(text), prog_fd=program_fd)
    return Handle(attributes.call(syscall.RAW_TRACEPOINT_OPEN))


def enable_stats() -> Handle:
    """Let the kernel measure the run time of all programs of the host until the handle is closed. Raises OSError."""
    return Handle(Attributes(syscall.STATS).call(syscall.ENABLE_STATS))


def wait_for_programs() -> None:
    """Wait until the programs that are running on any CPU have ended. Then all that they counted can be read.

    No program outlasts an RCU grace period.
    """
    if not syscall.membarrier():
        time.sleep(_LONGER_THAN_A_PROGRAM)


def possible_cpus() -> int:
    """Return the number of values that a per-CPU map has for a key."""
    with open("/sys/devices/system/cpu/possible") as file:
        return int(file.read().strip().split(",")[-1].split("-")[-1]) + 1


class MapInfo(NamedTuple):
    """The declaration of a map, as the kernel keeps it. Sizes are in bytes."""

    type: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int

    def describe(self) -> str:
        """Return the declaration in words, for a message."""
        name = TYPE_NAMES.get(self.type, f"type {self.type}")
        return f"{name}, key {self.key_size}, value {self.value_size}, {self.max_entries} entries"


class Handle:
    """A file descriptor of a BPF object. As a context manager it is closed at the end."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def close(self) -> None:
        """Close the descriptor. Does nothing the second time."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def pin(self, path: str) -> None:
        """Give the object a name on a BPF file system, for its owner only. Raises FileExistsError if the name is taken."""
        text = ctypes.create_string_buffer(os.fsencode(path))
        Attributes(syscall.PIN, pathname=ctypes.addressof(text), bpf_fd=self.fd).call(syscall.OBJ_PIN)

    @classmethod
    def open(cls: type[_Self], path: str) -> _Self:
        """Return the object that is pinned at a path. Raises FileNotFoundError."""
        text = ctypes.create_string_buffer(os.fsencode(path))
        return cls(Attributes(syscall.PIN, pathname=ctypes.addressof(text)).call(syscall.OBJ_GET))


class Map(Handle):
    """A BPF map. Keys and values are bytes of exactly the declared size, in host byte order unless said otherwise."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._cached: MapInfo | None = None

    @classmethod
    def create(cls, name: str, info: MapInfo) -> Map:
        """Make a map without a pin: it lives as long as this handle or a program that uses it. Raises OSError."""
        attributes = Attributes(
            syscall.MAP,
            map_type=info.type,
            key_size=info.key_size,
            value_size=info.value_size,
            max_entries=info.max_entries,
            map_flags=info.flags,
            map_name=kernel_name(name).encode(),
        )
        return cls(syscall.create(syscall.MAP_CREATE, attributes))

    @classmethod
    def from_id(cls, map_id: int) -> Map:
        """Return the map with this id. Raises FileNotFoundError if there is none any more."""
        return cls(Attributes(syscall.ID, id=map_id).call(syscall.MAP_FD_BY_ID))

    def is_map(self) -> bool:
        """Return whether this is a map, and not a program or a link that was pinned where a map should be."""
        return os.readlink(f"/proc/self/fd/{self.fd}").endswith("bpf-map")

    @property
    def name(self) -> str:
        """The name that the map was made with, as far as the kernel keeps it."""
        return _text(syscall.object_info(self.fd, syscall.MAP_INFO)["name"])

    @property
    def map_id(self) -> int:
        """The number by which programs name the map."""
        number: int = syscall.object_info(self.fd, syscall.MAP_INFO)["id"]
        return number

    @property
    def info(self) -> MapInfo:
        """The declaration. It is read from the kernel once, as it never changes."""
        if self._cached is None:
            told = syscall.object_info(self.fd, syscall.MAP_INFO)
            self._cached = MapInfo(
                type=told["type"],
                key_size=told["key_size"],
                value_size=told["value_size"],
                max_entries=told["max_entries"],
                flags=told["map_flags"],
            )
        return self._cached

    @property
    def stored_size(self) -> int:
        """The bytes that one lookup returns: of a per-CPU map the values of all CPUs, each padded to eight bytes."""
        if self.info.type not in (PERCPU_HASH, PERCPU_ARRAY):
            return self.info.value_size
        return self._padded_size * possible_cpus()

    @property
    def _padded_size(self) -> int:
        return (self.info.value_size + 7) & ~7

    # Single elements

    def lookup(self, key: bytes, size: int | None = None) -> bytes | None:
        """Return the value, or None. A per-CPU map returns all its values.

        ``size`` is ``stored_size``, for callers that know it already.
        """
        value = ctypes.create_string_buffer(size or self.stored_size)
        try:
            self._element(syscall.MAP_LOOKUP, key, value=ctypes.addressof(value))
        except FileNotFoundError:
            return None
        return value.raw

    def lookup_percpu(self, key: bytes) -> list[bytes]:
        """Return one value for each possible CPU; none if there is no such key."""
        return self.split_percpu(self.lookup(key) or b"")

    def split_percpu(self, values: bytes) -> list[bytes]:
        """Split the bytes that a lookup in a per-CPU map has returned into the values of the CPUs."""
        starts = range(0, len(values), self._padded_size)
        return [values[start : start + self.info.value_size] for start in starts]

    def update(self, key: bytes, value: bytes) -> None:
        """Set an element, whether or not the key was there. Raises OSError, for example if the map is full."""
        buffer = ctypes.create_string_buffer(value, len(value))
        self._element(syscall.MAP_UPDATE, key, value=ctypes.addressof(buffer))

    def delete(self, key: bytes) -> bool:
        """Delete an element. Return whether the key was there."""
        try:
            self._element(syscall.MAP_DELETE, key)
        except FileNotFoundError:
            return False
        return True

    def _element(self, command: int, key: bytes, value: int = 0) -> None:
        """Do something with one element. ``value`` is the address of a value."""
        buffer = ctypes.create_string_buffer(key, len(key))
        Attributes(syscall.ELEMENT, map_fd=self.fd, key=ctypes.addressof(buffer), value=value).call(command)

    # Many elements

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield every element, with two calls each: for small maps. Elements that come or go meanwhile may be missed."""
        key = self._next_key(None)
        while key is not None:
            value = self.lookup(key)
            if value is not None:
                yield key, value
            key = self._next_key(key)

    def _next_key(self, key: bytes | None) -> bytes | None:
        """Return the key after this one, the first one after None, and None after the last one."""
        following = ctypes.create_string_buffer(self.info.key_size)
        buffer = None if key is None else ctypes.create_string_buffer(key, len(key))
        attributes = Attributes(
            syscall.ELEMENT,
            map_fd=self.fd,
            key=0 if buffer is None else ctypes.addressof(buffer),
            value=ctypes.addressof(following),
        )
        try:
            attributes.call(syscall.MAP_NEXT_KEY)
        except FileNotFoundError:
            return None
        return following.raw

    def read_all(self) -> list[tuple[bytes, bytes]]:
        """Return every element of a hash map or trie."""
        keys, values = self.read_columns()
        return list(zip(_split(keys, self.info.key_size), _split(values, self.stored_size)))

    def read_columns(self) -> tuple[bytes, bytes]:
        """Return all keys of a hash map or trie behind one another, and all values in the same order.

        One call reads thousands of elements where the kernel has batch operations for this type of map.
        """
        keys, values = bytearray(), bytearray()
        try:
            for some_keys, some_values in self._read_batches():
                keys += some_keys
                values += some_values
        except OSError:
            pairs = list(self.items())
            return b"".join(key for key, _value in pairs), b"".join(value for _key, value in pairs)
        return bytes(keys), bytes(values)

    def _read_batches(self) -> Iterator[tuple[memoryview, memoryview]]:
        """Yield keys and values, valid until the next ones. Raises OSError where the kernel cannot read many at once."""
        key_size, value_size = self.info.key_size, self.stored_size
        most = min(_BATCH, self.info.max_entries)
        keys, values = ctypes.create_string_buffer(most * key_size), ctypes.create_string_buffer(most * value_size)
        cursor = ctypes.create_string_buffer(max(8, key_size))
        start, more = 0, True
        while more:
            attributes = Attributes(
                syscall.BATCH,
                in_batch=start,
                out_batch=ctypes.addressof(cursor),
                keys=ctypes.addressof(keys),
                values=ctypes.addressof(values),
                count=most,
                map_fd=self.fd,
            )
            more = _call_batch(syscall.MAP_LOOKUP_BATCH, attributes)
            count = attributes.read()["count"]
            yield memoryview(keys)[: count * key_size], memoryview(values)[: count * value_size]
            start = ctypes.addressof(cursor)

    def update_many(self, keys: bytes, values: bytes) -> None:
        """Set the elements whose keys and values stand behind one another, many with one call where the kernel can."""
        key_size, value_size = self.info.key_size, self.info.value_size
        for part, part_values in zip(_split(keys, _BATCH * key_size), _split(values, _BATCH * value_size)):
            done = self._change_batch(syscall.MAP_UPDATE_BATCH, part, part_values)
            rest, rest_values = part[done * key_size :], part_values[done * value_size :]
            for key, value in zip(_split(rest, key_size), _split(rest_values, value_size)):
                self.update(key, value)

    def delete_many(self, keys: bytes) -> None:
        """Delete the elements whose keys stand behind one another. A key that is not there is passed over."""
        size = self.info.key_size
        for part in _split(keys, _BATCH * size):
            done = self._change_batch(syscall.MAP_DELETE_BATCH, part)
            for key in _split(part[done * size :], size):
                self.delete(key)

    def _change_batch(self, command: int, keys: bytes, values: bytes | None = None) -> int:
        """Return the number of keys that one batch call has dealt with. The caller does the rest one by one."""
        number = len(keys) // self.info.key_size
        if number < 2:
            return 0
        attributes = Attributes(
            syscall.BATCH, keys=_address(keys), values=_address(values), count=number, map_fd=self.fd
        )
        try:
            _call_batch(command, attributes)
        except OSError as error:
            if error.errno in _NO_BATCH:
                return 0
            raise
        done: int = attributes.read()["count"]
        return done

    def memory(self, first: int = 0, number: int | None = None) -> mmap.mmap:
        """Map values of an array made with MMAPABLE into memory that is shared with the kernel.

        Each value is padded to eight bytes. ``number`` values from ``first`` on, which has to begin a page; all by default.
        """
        number = self.info.max_entries if number is None else number
        return mmap.mmap(self.fd, self._padded_size * number, offset=self._padded_size * first)


def _call_batch(command: int, attributes: Attributes) -> bool:
    """Make a batch call. Return False where the kernel has found no more elements. Raises OSError."""
    try:
        attributes.call(command)
    except FileNotFoundError:
        return False
    return True


def _split(data: bytes, size: int) -> Iterator[bytes]:
    """Yield pieces of this many bytes; the last one may be shorter."""
    return (data[start : start + size] for start in range(0, len(data), size))


def _address(data: bytes | None) -> int:
    """Return the address of bytes in memory, for as long as the caller keeps them; 0 for None."""
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0


class ProgramInfo(NamedTuple):
    """A loaded program, as the kernel describes it."""

    type: int
    id: int
    tag: str
    load_time: int  #: CLOCK_BOOTTIME, ns
    map_ids: tuple[int, ...]
    name: str
    instructions: int  #: that the verifier walked; 0 on kernels that do not say (before 5.16)
    translated_size: int  #: bytes of the program as it runs, eight for an instruction
    machine_code_size: int  #: bytes; 0 without the JIT compiler
    run_ns: int  #: while ``enable_stats`` was on, as the number of runs
    runs: int
    missed: int  #: runs that did not take place since the program was running on that CPU; 0 before 5.12


class RunResult(NamedTuple):
    """The result of running a program on a frame."""

    verdict: int  #: the program's return value
    frame: bytes  #: as the program left it
    duration: int  #: mean of all runs, ns


def program_id(fd: int) -> int:
    """Return the id of a program, given a file descriptor, which stays open."""
    with Program(os.dup(fd)) as program:
        return program.info.id


def program_ids() -> Iterator[int]:
    """Yield the ids of all loaded programs, of any user."""
    return object_ids(syscall.PROG_NEXT_ID)


def object_ids(command: int) -> Iterator[int]:
    """Yield the ids of all objects that a command such as PROG_NEXT_ID goes through."""
    last = 0
    with contextlib.suppress(FileNotFoundError):  # that was the last one
        while True:
            attributes = Attributes(syscall.ID, id=last)
            attributes.call(command)
            last = attributes.read()["next_id"]
            yield last


class Program(Handle):
    """A loaded BPF program."""

    @classmethod
    def load(cls, name: str, kind: int, code: bytes, *, log: bytearray | None = None) -> Program:
        """Load a program from its instructions; ``kind`` is of enum bpf_prog_type. Raises OSError if the kernel refuses it.

        Into ``log`` the verifier writes its summary, such as how many instructions it walked, and a zero byte.
        """
        text, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
        room = None if log is None else (ctypes.c_char * len(log)).from_buffer(log)
        attributes = Attributes(
            syscall.PROGRAM,
            prog_type=kind,
            insn_cnt=len(code) // 8,
            insns=ctypes.addressof(text),
            license=ctypes.addressof(licence),
            log_level=0 if room is None else _SUMMARY,
            log_size=0 if room is None else len(room),
            log_buf=0 if room is None else ctypes.addressof(room),
            prog_name=kernel_name(name).encode(),
        )
        return cls(syscall.create(syscall.PROG_LOAD, attributes))

    @classmethod
    def from_id(cls, number: int) -> Program:
        """Return the program with this id. Raises FileNotFoundError if it is not loaded any more."""
        return cls(Attributes(syscall.ID, id=number).call(syscall.PROG_FD_BY_ID))

    @property
    def info(self) -> ProgramInfo:
        """The program as the kernel describes it now: the numbers of runs grow."""
        map_ids = (ctypes.c_uint32 * _MAP_IDS)()
        where = {"nr_map_ids": len(map_ids), "map_ids": ctypes.addressof(map_ids)}
        told = syscall.object_info(self.fd, syscall.PROGRAM_INFO, **where)
        return ProgramInfo(
            type=told["type"],
            id=told["id"],
            tag=told["tag"].hex(),
            load_time=told["load_time"],
            map_ids=tuple(map_ids[: min(told["nr_map_ids"], len(map_ids))]),
            name=_text(told["name"]),
            instructions=told["verified_insns"],
            translated_size=told["xlated_prog_len"],
            machine_code_size=told["jited_prog_len"],
            run_ns=told["run_time_ns"],
            runs=told["run_cnt"],
            missed=told["recursion_misses"],
        )

    def bind(self, map_: Map) -> None:
        """Let the program keep a map that it does not use itself, as long as it is loaded."""
        Attributes(syscall.BIND_MAP, prog_fd=self.fd, map_fd=map_.fd).call(syscall.PROG_BIND_MAP)

    def test_run(self, frame: bytes, repeat: int = 1) -> RunResult:
        """Run the program on a frame, ``repeat`` times. Raises OSError EINVAL below 14 bytes."""
        given = ctypes.create_string_buffer(frame, len(frame))
        taken = ctypes.create_string_buffer(len(frame) + _HEADROOM)
        attributes = Attributes(
            syscall.TEST_RUN,
            prog_fd=self.fd,
            data_size_in=len(frame),
            data_size_out=len(taken),
            data_in=ctypes.addressof(given),
            data_out=ctypes.addressof(taken),
            repeat=repeat,
        )
        attributes.call(syscall.PROG_TEST_RUN)
        told = attributes.read()
        return RunResult(verdict=told["retval"], frame=taken.raw[: told["data_size_out"]], duration=told["duration"])
