# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a filter: the only place that declares their names, allowed values and defaults.

The module takes its arguments from here. Facts and the command show the options that are declared here. ``make
options`` writes the documentation of the role and the READMEs from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from .. import durations
from ..entries import addresses
from ..errors import PingKillerError, did_you_mean, quoted, shortened
from ..kernel import schema
from .icmp_types import ALL_TYPES, parse_types

MODES = ("auto", "native", "generic")
POLICIES = ("pass", "drop")
EVENTS = ("none", "dropped", "all_icmp", "trace")
MAX_EXCLUDED = 64  #: addresses and networks that a trace may leave out


class FilterOptions(NamedTuple):
    """The options of one filter. ``hook`` and ``mode`` say where and how to attach it; the others are compiled in."""

    hook: str = schema.XDP
    mode: str = "auto"
    policy: str = "pass"
    icmp_types: tuple[str, ...] = ("echo-request",)
    forwarded: bool = True
    strict: bool = True
    protect: bool = True
    protect_redirects: bool = False
    monitor: bool = False
    ratelimit_pps: int = 0  #: 0: no limit
    ratelimit_block_time: int = 60  #: seconds
    ratelimit_sources: int = 65536
    ratelimit_ipv6_prefix: int = 64
    timing_sample: int = 0  #: one frame in N; 0: no frame
    events: str = "none"
    events_per_second: int = 1000  #: per CPU
    trace_exclude: tuple[str, ...] = ()

    @classmethod
    def checked(cls, **values: Any) -> FilterOptions:
        """Check and normalize options. Sorts ICMP types and drops duplicates. Raises PingKillerError for a bad value."""
        options = cls(**values)
        block_time = durations.checked("ratelimit_block_time", options.ratelimit_block_time)
        options = options._replace(ratelimit_block_time=block_time)
        for name, option in OPTIONS.items():
            option.check(name, getattr(options, name))
        if not options.forwarded and options.hook != schema.TC_EGRESS:
            raise PingKillerError(
                f"forwarded=false is for hook=tc_egress, but hook is {options.hook}: leave forwarded out, as what arrives is not forwarded yet"
            )
        for name in options.misplaced():
            raise PingKillerError(f"{name} is for {purpose(name)}: set that too, or leave {name} out")
        parse_types(list(options.icmp_types))
        types = (ALL_TYPES,) if ALL_TYPES in options.icmp_types else tuple(sorted(set(options.icmp_types)))
        return options._replace(icmp_types=types, trace_exclude=_canonical(options.trace_exclude))

    def changed_by(self, given: Mapping[str, Any]) -> FilterOptions:
        """Return these options, changed by the given ones. Raises PingKillerError for a bad value.

        An option may need a certain choice of another option. If that choice no longer holds, the option gets its
        default, unless it was also given.
        """
        wanted = self._replace(**given)
        useless = [name for name in wanted.misplaced() if name not in given]
        return self.checked(**wanted._replace(**{name: self._field_defaults[name] for name in useless})._asdict())

    def misplaced(self) -> list[str]:
        """Return the options that are set but need another choice of some other option."""
        only_for = {name: option.only_for for name, option in OPTIONS.items() if option.only_for}
        return [n for n, (other, value) in only_for.items() if getattr(self, n) and getattr(self, other) != value]

    def idle(self, names: Iterable[str]) -> list[str]:
        """Return the named options that have no effect with the current other options."""
        return [name for name in names if (use := OPTIONS[name].use) and not use.holds(self)]

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> FilterOptions:
        """Convert from the format of ``as_dict``. Options that did not exist when it was stored get their defaults."""
        known: dict[str, Any] = {name: stored[name] for name in cls._fields if name in stored}
        known.update({name: tuple(value) for name, value in known.items() if isinstance(value, list)})
        return cls(**known)

    def as_dict(self) -> dict[str, Any]:
        """Return the options in the form of JSON, with lists instead of tuples."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in self._asdict().items()}


class Use(NamedTuple):
    """The condition under which an option has an effect."""

    holds: Callable[[FilterOptions], bool]
    needs: str  #: the condition as users write it


class Option(NamedTuple):
    """The allowed values of a filter's option, and its line in the tables of the READMEs."""

    summary: str  #: Markdown
    choices: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None
    use: Use | None = None  #: if it does not hold, the option may be set but has no effect
    only_for: tuple[str, Any] | None = None  #: a choice of another option; without it, this option is refused
    written_default: str | None = None  #: as users write it, if that differs from the value

    def check(self, name: str, value: Any) -> None:
        """Check a value of the option. Raises PingKillerError."""
        if self.choices and value not in self.choices:
            raise PingKillerError(
                f"{name}={quoted(str(value))} does not exist{did_you_mean(str(value), self.choices)}: "
                f"use one of {', '.join(self.choices)}"
            )
        if self.least is not None and self.most is not None and not self.least <= value <= self.most:
            raise PingKillerError(f"{name}={shortened(str(value))} is out of range: give {self.least} to {self.most}")


_WITH_LIMIT = Use(lambda options: options.ratelimit_pps > 0, "ratelimit_pps")
OPTIONS = {
    "hook": Option(
        "`xdp` or `tc_ingress` (where another program uses XDP) for packets that arrive, `tc_egress` for packets that leave",
        choices=schema.HOOKS,
    ),
    "mode": Option(
        "`native` (in the driver), `generic` (slower, works with every driver), or `auto`: native, else generic with a warning",
        choices=MODES,
        use=Use(lambda options: options.hook == schema.XDP, "hook=xdp"),
    ),
    "policy": Option(
        "`pass` or `drop`: what happens to ICMP of the filtered types if neither list decides", choices=POLICIES
    ),
    "icmp_types": Option(
        "the filtered types, which policy and rate limit apply to: [names](docs/icmp_types.md), numbers such as `icmp/13` or "
        "`icmpv6/139`, a code after another slash, or `all`"
    ),
    "forwarded": Option(
        "also apply policy and rate limit to packets that the host forwards; `false` only with the hook `tc_egress`"
    ),
    "strict": Option(
        "treat frames that cannot be classified as ICMP of the filtered types; see [what it cannot see](README.md#what-it-cannot-see)"
    ),
    "protect": Option(
        "always pass the ICMP that path MTU discovery, IPv6 neighbour and router discovery, and MLD need, even from blocked sources"
    ),
    "protect_redirects": Option("also pass ICMPv6 redirects", only_for=("protect", True)),
    "monitor": Option("dry run: drop nothing, and count what would have been dropped as `would_drop`"),
    "ratelimit_pps": Option(
        "block a source that sends more packets of the filtered types than this in one second; `0`: no limit. "
        "[Forged packets](docs/security.md#forged-sources) can get a source blocked: put those that must not be blocked on the allowlist",
        least=0,
        most=10_000_000,
    ),
    "ratelimit_block_time": Option("how long such a source is blocked", use=_WITH_LIMIT, written_default="60s"),
    "ratelimit_sources": Option("how many sources to keep count of", least=1, most=16_000_000, use=_WITH_LIMIT),
    "ratelimit_ipv6_prefix": Option(
        "IPv6 sources that share this many leading bits count as one source", least=1, most=128, use=_WITH_LIMIT
    ),
    "timing_sample": Option(
        "measure the filter's run time on one in N frames; `0`: never", least=0, most=1_000_000_000
    ),
    "events": Option("what to report while `xdp_events` listens: `dropped`, `all_icmp`, `trace`", choices=EVENTS),
    "events_per_second": Option(
        "how many events per second each CPU may report",
        least=1,
        most=10_000_000,
        use=Use(lambda options: options.events != "none", "events"),
    ),
    "trace_exclude": Option("addresses and networks that `trace` leaves out", only_for=("events", "trace")),
}


def purpose(name: str) -> str:
    """Return the choice of another option that this option needs, as users write it."""
    other, value = OPTIONS[name].only_for or ("", "")
    return f"{other}={str(value).lower()}"


def written(value: object) -> str:
    """Return the value of an option as users write it."""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def argument_spec() -> dict[str, dict[str, Any]]:
    """Return the options as an argument specification for Ansible. Without defaults: a running filter keeps its options."""
    return {name: _argument(name, option) for name, option in OPTIONS.items()}


def _argument(name: str, option: Option) -> dict[str, Any]:
    default = FilterOptions._field_defaults[name]
    if isinstance(default, tuple):
        return {"type": "list", "elements": "str"}
    kind = "str" if option.written_default else type(default).__name__
    return {"type": kind, "choices": list(option.choices)} if option.choices else {"type": kind}


def _canonical(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Convert the addresses that a trace leaves out to canonical form. Raises PingKillerError."""
    if len(texts) > MAX_EXCLUDED:
        raise PingKillerError(
            f"trace_exclude has {len(texts)} entries and may have {MAX_EXCLUDED}: name networks instead"
        )
    keys = set()
    for text in texts:
        try:
            keys.add(addresses.parse(str(text).strip()))
        except ValueError as error:
            raise PingKillerError(f"trace_exclude: {quoted(str(text))} {error}") from None
    return tuple(addresses.display(key) for key in sorted(keys, key=addresses.sort_key))
