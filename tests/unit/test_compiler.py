# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what is passed to BCC, and where BCC is found. Compiles nothing."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import runtime
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bcc_package, compiler

CHECKOUT = Path(__file__).resolve().parents[2]
BPF = CHECKOUT / "bpf"
SOURCES = {path.relative_to(BPF).as_posix(): path.read_text() for path in BPF.rglob("*.[ch]")}
#: The main files that are compiled, and the sources for each.
MAINS = {
    "pingkiller.c": runtime.without_tracers(SOURCES),
    "trace/calls.c": runtime.of_tracers(SOURCES),
    "trace/processes.c": runtime.of_tracers(SOURCES),
}


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Make Python search for packages in one directory only, and return that directory."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "bcc", raising=False)
    return tmp_path


def put_package(packages, **files):
    (packages / "bcc").mkdir()
    for name, text in {"__init__": "raise ImportError('nobody imports this')", **files}.items():
        (packages / "bcc" / f"{name}.py").write_text(text)


def test_everything_that_is_included_is_carried_to_the_host():
    for name, text in SOURCES.items():
        for included in re.findall(r'#include "(.*)"', text):
            assert included in SOURCES, name
        for included in re.findall(r"#include <(.*)>", text):
            assert f"include/{included}" in SOURCES or included == "bcc/bpf.h", name
    everything = {path.relative_to(BPF).as_posix() for path in BPF.rglob("*") if path.is_file()}
    assert everything == set(SOURCES)


def test_the_c_is_one_text_whose_lines_say_where_they_are_from():
    for main, sources in MAINS.items():
        text = compiler.amalgamate(sources, main)
        assert '#include "' not in text
        for name in sources:
            others = name.startswith("include/") or (name in MAINS and name != main)
            assert text.count(f'#line 1 "{name}"') == (not others)


def test_what_is_included_stands_where_it_was_included():
    sources = {"pingkiller.c": 'a\n#include "b.h"\nc', "b.h": "b"}
    assert re.sub(r'#line 1 ".*"', "", compiler.amalgamate(sources)).split() == ["a", "b", "c"]


def test_without_bcc_the_package_to_install_is_named(packages):
    assert bcc_package.directory() is None
    with pytest.raises(PingKillerError) as refusal:
        bcc_package.version()
    assert str(refusal.value) == (
        "this host's Python has no BCC: install the package python3-bpfcc (Debian, Ubuntu) or python3-bcc (Red Hat, SUSE)"
    )


def test_another_package_of_the_name_is_not_bcc(packages):
    put_package(packages)
    assert bcc_package.directory() is None


def test_what_is_left_of_a_removed_package_is_not_bcc(packages):
    (packages / "bcc" / "__pycache__").mkdir(parents=True)
    assert bcc_package.directory() is None


def test_the_version_of_bcc_is_read_without_importing_it(packages):
    put_package(packages, libbcc="", version="__version__ = '0.26.0'\n")
    assert bcc_package.directory() == str(packages / "bcc")
    assert bcc_package.version() == "0.26.0"


def test_what_a_c_library_prints_is_kept_and_not_shown(capfd):
    with compiler.captured_stderr() as said:
        os.write(2, b"a word of clang's\n")
    os.write(2, b"after\n")
    assert said() == "a word of clang's\n"
    assert capfd.readouterr().err == "after\n"


def test_every_distribution_has_the_package_that_messages_and_documents_name():
    role = CHECKOUT / "roles/pingkiller"
    assert yaml.safe_load((role / "vars/main.yml").read_text())["_pingkiller_packages"] == bcc_package.PACKAGES
    documents = [CHECKOUT / "README.md", role / "README.md", role / "meta/argument_specs.yml"]
    for path in (*documents, CHECKOUT / "plugins/modules/xdp_filter.py"):
        named = set(re.findall(r"python3-b(?:pf)?cc", path.read_text()))
        assert named == set(bcc_package.PACKAGES.values()), path
