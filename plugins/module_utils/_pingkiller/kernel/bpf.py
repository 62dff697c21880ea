# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bpf(2) system call: maps, programs and their pins.

Called directly rather than through libbpf: its soname and its structures differ between the distributions that are
supported, and loading it costs more than the calls. Attribute layouts are those of ``union bpf_attr`` in linux/bpf.h;
fields appended in later kernels are left out, which the kernel reads as zero.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import platform
import resource
import struct
import time
from collections.abc import Iterator
from typing import NamedTuple

_SYSCALL_NUMBERS = {  # of bpf(2); every architecture not named has the one of the generic table
    "x86_64": 321,
    "i686": 357,
    "armv7l": 386,
    "ppc64le": 361,
    "ppc64": 361,
    "s390x": 351,
}
_SYSCALL = _SYSCALL_NUMBERS.get(platform.machine(), 280)
_MEMBARRIER = {"x86_64": 324}.get(platform.machine(), 283)  # for the tracers, which know no more processors
_MEMBARRIER_GLOBAL = 1
_LONGER_THAN_A_PROGRAM = 0.05  #: seconds

_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _MAP_DELETE, _MAP_NEXT_KEY = range(5)
_PROG_LOAD, _OBJ_PIN, _OBJ_GET, _PROG_TEST_RUN, _PROG_FD_BY_ID, _INFO_BY_FD = 5, 6, 7, 10, 13, 15
_PROG_NEXT_ID, _MAP_FD_BY_ID, _LINK_FD_BY_ID, _LINK_NEXT_ID, _BIND_MAP = 11, 14, 30, 31, 35
_LINK_TYPE_XDP = 6
_LOOKUP_BATCH, _UPDATE_BATCH, _DELETE_BATCH = 24, 26, 27
_RAW_TRACEPOINT_OPEN, _ENABLE_STATS = 17, 32

HASH, ARRAY, PERCPU_HASH, PERCPU_ARRAY, LRU_HASH, LPM_TRIE, RINGBUF = 1, 2, 5, 6, 9, 11, 27
TYPE_NAMES = {
    HASH: "hash",
    ARRAY: "array",
    PERCPU_ARRAY: "percpu_array",
    LRU_HASH: "lru_hash",
    LPM_TRIE: "lpm_trie",
    RINGBUF: "ringbuf",
}
NO_PREALLOC, MMAPABLE = 1, 1 << 10
ANY, NOEXIST, EXIST = 0, 1, 2

#: What the kernel answers when a map type has no batch operation (ENOTSUPP is the kernel's own number, without a name).
_NO_BATCH = (errno.EINVAL, errno.EOPNOTSUPP, 524)

_BATCH = 65536  #: elements that one batch call is given

_libc = ctypes.CDLL(None, use_errno=True)


def _call(command: int, attributes, size: int) -> int:
    """bpf(2) itself; ``attributes`` is a ctypes buffer. Raises OSError with the kernel's errno."""
    result = _libc.syscall(_SYSCALL, command, attributes, size)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _bpf(command: int, layout: str, *fields) -> bytes:
    """Pack the attributes, make the call and return them as the kernel left them."""
    size = struct.calcsize(layout)
    buffer = ctypes.create_string_buffer(struct.pack(layout, *fields), size)
    _call(command, buffer, size)
    return buffer.raw


def _bpf_fd(command: int, layout: str, *fields) -> int:
    size = struct.calcsize(layout)
    return _call(command, ctypes.create_string_buffer(struct.pack(layout, *fields), size), size)


def _create(command: int, layout: str, *fields) -> int:
    """Before Linux 5.11 what is made counts as locked memory of its maker, of which a process may have far too little."""
    try:
        return _bpf_fd(command, layout, *fields)
    except PermissionError:
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        if resource.getrlimit(resource.RLIMIT_MEMLOCK) == unlimited:
            raise
        with contextlib.suppress(OSError, ValueError):  # not allowed to: then the kernel says what it said
            resource.setrlimit(resource.RLIMIT_MEMLOCK, unlimited)
        return _bpf_fd(command, layout, *fields)


def kernel_name(text: str) -> str:
    """As much of a name as the kernel keeps."""
    return text[:15]


def probe() -> None:
    """Raise the OSError that bpf(2) gives on this kernel to this user; nothing if it works."""
    os.close(_create(_MAP_CREATE, "=IIIII", ARRAY, 4, 8, 1, 0))


def attach_raw_tracepoint(name: str, program: int) -> _Handle:
    """Run a program, given by its descriptor, at a tracepoint until the handle is closed. Raises OSError.

    Needs neither tracefs nor perf_event_open(2), so it works in containers, too.
    """
    text = ctypes.create_string_buffer(name.encode())
    return _Handle(_bpf_fd(_RAW_TRACEPOINT_OPEN, "=QI4x", ctypes.addressof(text), program))


def enable_stats() -> _Handle:
    """Let the kernel measure how long programs run, all of the host's, until the handle is closed. Raises OSError."""
    return _Handle(_bpf_fd(_ENABLE_STATS, "=I", 0))


def wait_for_programs() -> None:
    """Programs that were running on any CPU have ended when this returns: by then what they counted can be read.

    Waits for an RCU grace period, during one of which no program goes on; see membarrier(2).
    """
    if _libc.syscall(_MEMBARRIER, _MEMBARRIER_GLOBAL, 0, 0):  # with CONFIG_NO_HZ_FULL it is refused
        time.sleep(_LONGER_THAN_A_PROGRAM)


def possible_cpus() -> int:
    """How many values a per-CPU map returns for a key."""
    with open("/sys/devices/system/cpu/possible") as file:
        return int(file.read().strip().split(",")[-1].split("-")[-1]) + 1


class MapInfo(NamedTuple):
    """The declaration of a map, as the kernel keeps it."""

    type: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int

    def describe(self) -> str:
        name = TYPE_NAMES.get(self.type, f"type {self.type}")
        return f"{name}, key {self.key_size}, value {self.value_size}, {self.max_entries} entries"


class _Handle:
    """Owns a file descriptor and is a context manager for it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self):
        return self

    def __exit__(self, *_exception) -> None:
        self.close()

    def pin(self, path: str) -> None:
        """Give the object a name on a BPF file system, for its owner only. Raises FileExistsError if the name is taken."""
        text = ctypes.create_string_buffer(os.fsencode(path))
        _bpf(_OBJ_PIN, "=QI", ctypes.addressof(text), self.fd)

    @classmethod
    def open(cls, path: str):
        """The object pinned at ``path``. Raises FileNotFoundError."""
        text = ctypes.create_string_buffer(os.fsencode(path))
        return cls(_bpf_fd(_OBJ_GET, "=QII", ctypes.addressof(text), 0, 0))

    def _info(self, size: int) -> bytes:
        buffer = ctypes.create_string_buffer(size)
        _bpf(_INFO_BY_FD, "=IIQ", self.fd, size, ctypes.addressof(buffer))
        return buffer.raw


class Map(_Handle):
    """A BPF map. Keys and values are bytes of exactly the declared size, in host byte order unless said otherwise."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._cached: MapInfo | None = None
        self._id = 0

    @classmethod
    def create(cls, name: str, info: MapInfo) -> Map:
        """A new map without a pin: it lives as long as this handle or a program that uses it."""
        return cls(
            _create(
                _MAP_CREATE,
                "=IIIIIII16s",
                info.type,
                info.key_size,
                info.value_size,
                info.max_entries,
                info.flags,
                0,
                0,
                kernel_name(name).encode(),
            )
        )

    @classmethod
    def from_id(cls, identity: int) -> Map:
        """Raises FileNotFoundError if no map with this id exists any more."""
        return cls(_bpf_fd(_MAP_FD_BY_ID, "=III", identity, 0, 0))

    def is_map(self) -> bool:
        """Whether this is a map, and not a program or a link that was pinned where a map ought to be."""
        return os.readlink(f"/proc/self/fd/{self.fd}").endswith("bpf-map")

    @property
    def name(self) -> str:
        """What it was called when it was made, as far as the kernel keeps it."""
        return self._info(80)[24:40].split(b"\0")[0].decode(errors="replace")

    @property
    def info(self) -> MapInfo:
        """Read from the kernel once: a map never changes its declaration."""
        if self._cached is None:
            kind, self._id, key, value, entries, flags = struct.unpack_from("=IIIIII", self._info(80))
            self._cached = MapInfo(kind, key, value, entries, flags)
        return self._cached

    @property
    def stored_size(self) -> int:
        """The length of what one lookup returns: of a per-CPU map the values of all CPUs, each padded to eight bytes."""
        if self.info.type not in (PERCPU_HASH, PERCPU_ARRAY):
            return self.info.value_size
        return ((self.info.value_size + 7) & ~7) * possible_cpus()

    @property
    def id(self) -> int:
        """The number by which programs name the map."""
        return self.info and self._id

    def lookup(self, key: bytes, size: int | None = None) -> bytes | None:
        """The value, or None; of a per-CPU map all its values. ``size`` is their length together, if the caller knows it."""
        value = ctypes.create_string_buffer(size or self.stored_size)
        try:
            self._element(_MAP_LOOKUP, key, ctypes.addressof(value))
        except FileNotFoundError:
            return None
        return value.raw

    def lookup_percpu(self, key: bytes) -> list[bytes]:
        """One value for each possible CPU."""
        return self.split_percpu(self.lookup(key) or b"")

    def split_percpu(self, values: bytes) -> list[bytes]:
        """What a lookup in a per-CPU map has returned, by CPU."""
        size = (self.info.value_size + 7) & ~7
        return [values[start : start + self.info.value_size] for start in range(0, len(values), size)]

    def update(self, key: bytes, value: bytes, flags: int = ANY) -> None:
        buffer = ctypes.create_string_buffer(value, len(value))
        self._element(_MAP_UPDATE, key, ctypes.addressof(buffer), flags)

    def delete(self, key: bytes) -> bool:
        """Whether the key was there."""
        try:
            self._element(_MAP_DELETE, key, 0)
        except FileNotFoundError:
            return False
        return True

    def _element(self, command: int, key: bytes, value: int, flags: int = 0) -> None:
        key_buffer = ctypes.create_string_buffer(key, len(key))
        _bpf(command, "=I4xQQQ", self.fd, ctypes.addressof(key_buffer), value, flags)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every element, one call each: for the small maps. Elements that come or go meanwhile may be missed."""
        key = self._next_key(None)
        while key is not None:
            value = self.lookup(key)
            if value is not None:
                yield key, value
            key = self._next_key(key)

    def read_all(self) -> list[tuple[bytes, bytes]]:
        """Every element of a hash map."""
        keys, values = self.read_columns()
        key_size, value_size = self.info.key_size, self.stored_size
        return [
            (keys[n * key_size : (n + 1) * key_size], values[n * value_size : (n + 1) * value_size])
            for n in range(len(keys) // key_size)
        ]

    def read_columns(self) -> tuple[bytes, bytes]:
        """Every element of a hash map or trie, all keys behind one another and all values as well.

        Some thousands a call where the kernel has batch operations for this type of map.
        """
        key_size, value_size = self.info.key_size, self.stored_size
        batch = min(_BATCH, self.info.max_entries)
        keys, values = ctypes.create_string_buffer(batch * key_size), ctypes.create_string_buffer(batch * value_size)
        cursor = ctypes.create_string_buffer(max(8, key_size))
        addresses = [ctypes.addressof(buffer) for buffer in (keys, values, cursor)]
        found_keys, found_values = bytearray(), bytearray()
        start, more = 0, True
        while more:
            layout = "=QQQQIIQQ"
            packed = struct.pack(layout, start, addresses[2], addresses[0], addresses[1], batch, self.fd, 0, 0)
            attributes = ctypes.create_string_buffer(packed, len(packed))
            try:
                _call(_LOOKUP_BATCH, attributes, len(packed))
            except OSError as error:
                if error.errno != errno.ENOENT:  # which says that this was the last of it
                    pairs = list(self.items())
                    return b"".join(key for key, _value in pairs), b"".join(value for _key, value in pairs)
                more = False
            count = struct.unpack_from("=I", attributes.raw, 32)[0]
            found_keys += memoryview(keys)[: count * key_size]
            found_values += memoryview(values)[: count * value_size]
            start = addresses[2]
        return bytes(found_keys), bytes(found_values)

    def _next_key(self, key: bytes | None) -> bytes | None:
        following = ctypes.create_string_buffer(self.info.key_size)
        key_buffer = ctypes.create_string_buffer(key, len(key)) if key is not None else None
        address = ctypes.addressof(key_buffer) if key_buffer is not None else 0
        try:
            _bpf(_MAP_NEXT_KEY, "=I4xQQQ", self.fd, address, ctypes.addressof(following), 0)
        except FileNotFoundError:
            return None
        return following.raw

    def update_many(self, keys: bytes, values: bytes) -> None:
        """Set the elements whose keys and values stand behind one another, many a call where the kernel can."""
        key_size, value_size = self.info.key_size, self.info.value_size
        for start in range(0, len(keys) // key_size, _BATCH):
            part = keys[start * key_size : (start + _BATCH) * key_size]
            part_values = values[start * value_size : (start + _BATCH) * value_size]
            for n in range(self._batch(_UPDATE_BATCH, part, part_values), len(part) // key_size):
                value = part_values[n * value_size : (n + 1) * value_size]
                self.update(part[n * key_size : (n + 1) * key_size], value)

    def delete_many(self, keys: bytes) -> None:
        """Delete all of them; a key that is not there is passed over."""
        size = self.info.key_size
        for start in range(0, len(keys), _BATCH * size):
            part = keys[start : start + _BATCH * size]
            for position in range(self._batch(_DELETE_BATCH, part) * size, len(part), size):
                self.delete(part[position : position + size])

    def _batch(self, command: int, keys: bytes, values: bytes | None = None) -> int:
        """How many of the keys one batch call has dealt with. The rest is the caller's, one by one."""
        number = len(keys) // self.info.key_size
        if number < 2:
            return 0
        key_buffer, value_buffer = ctypes.c_char_p(keys), ctypes.c_char_p(values)
        pointers = [ctypes.cast(buffer, ctypes.c_void_p).value or 0 for buffer in (key_buffer, value_buffer)]
        layout = "=QQQQIIQQ"
        packed = struct.pack(layout, 0, 0, *pointers, number, self.fd, 0, 0)
        attributes = ctypes.create_string_buffer(packed, len(packed))
        try:
            _call(command, attributes, len(packed))
        except OSError as error:
            if error.errno in _NO_BATCH:
                return 0
            if error.errno != errno.ENOENT:
                raise
        return struct.unpack_from("=I", attributes.raw, 32)[0]

    def memory(self, first: int = 0, number: int | None = None) -> mmap.mmap:
        """The values of an array made with MMAPABLE, shared with the kernel; each value padded to eight bytes.

        All of them, or so many from one on that begins a page.
        """
        size = (self.info.value_size + 7) & ~7
        return mmap.mmap(self.fd, size * (self.info.max_entries if number is None else number), offset=size * first)


class ProgramInfo(NamedTuple):
    """What the kernel says of a loaded program."""

    type: int
    id: int
    tag: str
    load_time: int  #: CLOCK_BOOTTIME, ns
    map_ids: tuple[int, ...]
    name: str
    instructions: int  #: that the verifier walked; 0 on kernels that do not say (before 5.16)
    run_ns: int  #: while ``enable_stats`` was on, as the number of runs
    runs: int
    missed: int  #: runs that did not take place since the program was running on that CPU; 0 before 5.12


def program_id(fd: int) -> int:
    """The id of a program that somebody else's object holds."""
    with Program(os.dup(fd)) as program:
        return program.info.id


def program_ids() -> Iterator[int]:
    """The ids of all programs that are loaded, whoever they belong to."""
    return _ids(_PROG_NEXT_ID)


def _ids(command: int) -> Iterator[int]:
    identity = 0
    with contextlib.suppress(FileNotFoundError):  # that was the last one
        while True:
            identity = struct.unpack_from("=I", _bpf(command, "=III", identity, 0, 0), 4)[0]
            yield identity


def xdp_link(index: int, program: int) -> tuple[int, list[str]] | None:
    """The id of the bpf_link that keeps an XDP program on an interface, and the processes that hold it; None without one."""
    for identity in _ids(_LINK_NEXT_ID):
        with contextlib.suppress(FileNotFoundError), _Handle(_bpf_fd(_LINK_FD_BY_ID, "=III", identity, 0, 0)) as link:
            kind, _id, of, on = struct.unpack_from("=IIIxxxxI", link._info(32))
            if (kind, of, on) == (_LINK_TYPE_XDP, program, index):  # an index is another interface in another namespace
                return identity, _holders(f"link_id:\t{identity}\n")
    return None


def _holders(line: str) -> list[str]:
    """The other processes with a file descriptor of which the kernel says this line."""
    found = []
    for process in (name for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()):
        with contextlib.suppress(OSError):  # it has ended
            descriptors = f"/proc/{process}/fdinfo"
            if any(line in _text(f"{descriptors}/{number}") for number in os.listdir(descriptors)):
                found.append(f"process {process} ({_text(f'/proc/{process}/comm').strip()})")
    return found


def _text(path: str) -> str:
    with open(path, errors="replace") as file:
        return file.read()


class Program(_Handle):
    """A loaded BPF program."""

    @classmethod
    def load(cls, name: str, kind: int, code: bytes) -> Program:
        """A program from its instructions. Raises OSError if the kernel refuses it."""
        text, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
        fields = kind, len(code) // 8, ctypes.addressof(text), ctypes.addressof(licence), 0, 0, 0, 0, 0
        return cls(_create(_PROG_LOAD, "=IIQQIIQII16s", *fields, kernel_name(name).encode()))

    @classmethod
    def from_id(cls, identity: int) -> Program:
        """Raises FileNotFoundError if no program with this id is loaded any more."""
        return cls(_bpf_fd(_PROG_FD_BY_ID, "=III", identity, 0, 0))

    @property
    def info(self) -> ProgramInfo:
        map_ids = (ctypes.c_uint32 * 64)()
        size = 232
        buffer = ctypes.create_string_buffer(size)
        struct.pack_into("=IQ", buffer, 52, len(map_ids), ctypes.addressof(map_ids))
        _bpf(_INFO_BY_FD, "=IIQ", self.fd, size, ctypes.addressof(buffer))
        kind, identity, tag = struct.unpack_from("=II8s", buffer.raw)
        load_time, _uid, count, _pointer, name = struct.unpack_from("=QIIQ16s", buffer.raw, 40)
        run_ns, runs, missed, instructions = struct.unpack_from("=QQQI", buffer.raw, 192)
        return ProgramInfo(
            type=kind,
            id=identity,
            tag=tag.hex(),
            load_time=load_time,
            map_ids=tuple(map_ids[: min(count, len(map_ids))]),
            name=name.split(b"\0")[0].decode(errors="replace"),
            instructions=instructions,
            run_ns=run_ns,
            runs=runs,
            missed=missed,
        )

    def bind(self, map_: Map) -> None:
        """Let the program keep a map that it does not use itself, as long as it is loaded."""
        _bpf(_BIND_MAP, "=III", self.fd, map_.fd, 0)

    def test_run(self, data: bytes, repeat: int = 1) -> tuple[int, int]:
        """Run the program on a frame: (its return value, mean duration in ns). Raises OSError EINVAL below 14 bytes."""
        frame = ctypes.create_string_buffer(data, len(data))
        layout = "=IIIIQQIIIIQQ"
        out = _bpf(_PROG_TEST_RUN, layout, self.fd, 0, len(data), 0, ctypes.addressof(frame), 0, repeat, *([0] * 5))
        fields = struct.unpack(layout, out)
        return fields[1], fields[7]
