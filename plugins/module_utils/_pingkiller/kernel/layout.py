# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Structures that the kernel and Python both read and write, field by field."""

from __future__ import annotations

import struct
from itertools import accumulate
from typing import Any


class Layout:
    """The fields of a structure, each written as ``name:format of struct``. A field without a name is padding.

    Numbers are in host byte order. There is no padding but the one that is written down.
    """

    def __init__(self, *fields: str) -> None:
        self.fields = fields  #: as given
        pairs = [field.split(":") for field in fields]
        formats = [code for _name, code in pairs]
        self._struct = struct.Struct("=" + "".join(formats))
        self._zeros: dict[str, Any] = {name: b"" if code.endswith("s") else 0 for name, code in pairs if name}
        starts = accumulate((struct.calcsize(f"={code}") for code in formats), initial=0)
        self.offsets = {name: start for (name, _format), start in zip(pairs, starts) if name}  #: bytes
        self.size = self._struct.size  #: bytes

    def unpack(self, value: bytes, start: int = 0) -> dict[str, Any]:
        """Return the fields by name: numbers, and bytes where the format ends in ``s``. ``start`` is in bytes."""
        return dict(zip(self._zeros, self._struct.unpack_from(value, start)))

    def pack(self, **values: Any) -> bytes:
        """Return the structure with these fields. Fields that are not given are zero; unknown ones are left out."""
        return self._struct.pack(*map(values.get, self._zeros, self._zeros.values()))
