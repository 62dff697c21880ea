# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reports of all benchmarks: a table to read, and JSON in build/bench/ that also describes the machine."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
OUTPUT = CHECKOUT / "build/bench"

#: The commands that print the version of a program. The first number with a dot in the output is the version.
PROGRAMS = {
    "ansible-core": ("ansible", "--version"),
    "bpftrace": ("bpftrace", "--version"),
    "ipset": ("ipset", "--version"),
    "iptables": ("iptables", "--version"),
    "nftables": ("nft", "--version"),
    "perf": ("perf", "--version"),
    "strace": ("strace", "--version"),
    "xdp-tools": ("dpkg-query", "--show", "xdp-tools"),  # its programs do not print their version
}


def machine() -> dict:
    """Describe this machine, because the figures are valid only for it."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", info, re.MULTILINE)
    return {
        "processor": model[1] if model else platform.machine(),
        "cpus": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "distribution": platform.freedesktop_os_release()["PRETTY_NAME"],
    }


def versions() -> dict:
    """Return the versions of the kernel, of Python and of the installed programs."""
    found = {name: _version(*command) for name, command in PROGRAMS.items()}
    bcc = _version("/usr/bin/python3", "-c", "import bcc; print(bcc.__version__)")
    return {
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{name: version for name, version in {"bcc": bcc, **found}.items() if version},
    }


def _version(*command: str) -> str | None:
    try:
        said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        return None
    number = re.search(r"\d+\.[\d.]*\d", said.stdout + said.stderr)
    return number[0] if number else None


def table(rows: list[dict], columns: dict[str, str]) -> str:
    """Format rows as text. ``columns`` has the keys to show and their headings. Numbers are aligned right."""
    lines = [list(columns.values()), *([_cell(row.get(key)) for key in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    align = [">" if any(isinstance(row.get(key), (int, float)) for row in rows) else "<" for key in columns]
    formats = [f"{{:{side}{width}}}" for side, width in zip(align, widths)]
    return "\n".join("  ".join(map(str.format, formats, line)).rstrip() for line in lines)


def _cell(value) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def write_json(path: Path, rows: list[dict], **more) -> None:
    """Write the figures, the machine, the versions and ``more`` to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine(), "versions": versions(), **more, "rows": rows}
    path.write_text(json.dumps(content, indent=2) + "\n")
