# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the answers of a compromised host do no harm on the controller: it runs no code, and the user reads a
sentence.

The role runs once, on hosts whose connection plugin returns the answers that a test wants. More answers are generated
at
random and checked without Ansible. A failed test names the seed to use with --inputs-seed.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.plugins.test.core import version_compare
from looks import FIT

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import errors
from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _answers, _look, _shown, _variables

CHECKOUT = Path(__file__).resolve().parents[2]

HONEST_LOOK = {**FIT, "interfaces": "eth0 lo", "udev": "True"}
HONEST_RESULT = {"changed": True, "filters": {"eth0": {"mode": "native"}}, "owned": ["eth0"], "max_entries": 65536}
OBEYED = "\x1b]0;pwned\x07\x1b[31m\r"  # a terminal obeys these characters
LONG = "A" * 3_000_000


def looks(**other: str | None) -> str:
    told = {**HONEST_LOOK, **other}
    return "".join(f"pingkiller_{name}={value}\n" for name, value in told.items() if value is not None)


def results(**other: object) -> str:
    told = {**HONEST_RESULT, **other}
    return json.dumps({name: value for name, value in told.items() if value is not None})


def lies(code: str) -> dict[str, tuple[str, str, str]]:
    """Return for each host what the probe and the module print, and the expected message; it is empty if nothing fails."""
    unlike = "is not what the module says: "
    return {
        "honest": (looks(), results(), ""),
        "code_system": (looks(system=code), results(), f"code_system runs {code}, but XDP exists on Linux only"),
        "code_kernel": (looks(kernel=code), results(), f"told kernel={json.dumps(code)}, which makes no sense"),
        "code_distribution": (looks(distribution=code, bcc="False"), results(), f"the distribution {code}: set"),
        "code_marks": (looks(blocklist=code, enabled=code), results(), ""),
        "code_directory": (looks(directory=code), results(), f"has owner and mode {code}"),
        "obeyed_system": (
            looks(system=OBEYED + "x"),
            results(),
            "obeyed_system runs \\x1b]0;pwned\\x07\\x1b[31m\\rx, but",
        ),
        "obeyed_all": (OBEYED, results(), "The look at obeyed_all told nothing. What came back, with status 0, is"),
        "no_kernel": (
            looks(kernel=None),
            results(),
            "The look at no_kernel told nothing of its kernel. What came back",
        ),
        "no_marks": (looks(directory=None, rules=None), results(), "told nothing of its directory, rules."),
        "long_system": (looks(system=LONG), results(), "A..., but XDP exists on Linux only"),
        "long_look": (
            looks(system=LONG, init=LONG),
            results(),
            "characters, which is more than a host can have to say",
        ),
        "spaces": (looks(distribution="x" + " " * 200_000 + "y"), results(), ""),
        "many_interfaces": (looks(interfaces=" ".join(f"e{number}" for number in range(50_000))), results(), ""),
        "code_owned": (looks(), results(owned=[code]), f"{unlike}owned is a list with"),
        "obeyed_owned": (looks(), results(owned=[OBEYED], removed=[]), ""),
        "obeyed_warning": (looks(), results(warnings=[OBEYED + "\nhi"], deprecations=[{"msg": OBEYED}]), ""),
        "obeyed_exception": (looks(), results(failed=True, msg="no", exception=f"ERR\n{OBEYED}"), "no"),
        "list_filters": (looks(), results(filters=["eth0"]), f"{unlike}filters is"),
        "odd_filter": (looks(), results(filters={"eth0": 5}), f"{unlike}filters is 5 for eth0, which says nothing of"),
        "dict_owned": (looks(), results(owned={"eth0": 1}), f"{unlike}owned is"),
        "odd_capacity": (looks(), results(max_entries=code), f"{unlike}max_entries is"),
        "number_owned": (looks(), results(owned=5), f"{unlike}owned is 5, which is no list of filters"),
        "no_owned": (looks(), results(owned=None), f"{unlike}owned is missing"),
        "text_filters": (looks(), results(filters=OBEYED), f"{unlike}filters is "),
        "long_owned": (looks(), results(owned=[f"e{number}" for number in range(20_000)]), "a list of 20000 filters"),
        "long_name": (looks(), results(owned=[LONG]), f"{unlike}owned is a list with"),
        "code_message": (looks(), results(failed=True, msg=code), code),
        "obeyed_message": (looks(), results(failed=True, msg=OBEYED + "no"), "\\x1b]0;pwned\\x07\\x1b[31m\\rno"),
        "long_message": (looks(), results(failed=True, msg=LONG), "AAA"),
        "facts": (looks(), results(ansible_facts={"pingkiller_blocklist_x": [code], "pingkiller_bas": code}), ""),
        "many_to_choose": (
            looks(interfaces=" ".join(f"e{number}" for number in range(50_000))),
            results(),
            "name some of e0, e1",
        ),
        "obeyed_item": (looks(), results(), r'"\u001b]0;pwned\u0007\u001b[31m\r" is not an IPv4 or IPv6 address'),
        "obeyed_interface": (
            looks(),
            results(),
            "filters names \\x1b]0;pwned\\x07\\x1b[31m\\reth0, which obeyed_interface does not",
        ),
        "long_item": (looks(), results(), "AAA..."),
        "obeyed_list": (looks(), results(), "\\x1b]0;pwned\\x07\\x1b[31m\\rno list"),
        "long_list": (looks(), results(), "BBB"),
        "no_json": (looks(), "no JSON" + OBEYED, "No start of json char found"),
    }


#: The answers of the list modules, by host.
LISTS = {
    "obeyed_list": {"failed": True, "msg": OBEYED + "no list", "exception": OBEYED},
    "obeyed_warning": {"changed": True, "warnings": [OBEYED], "diff": {"before": OBEYED, "after": ""}},
    "long_list": {"failed": True, "msg": "B" * 3_000_000},
}

#: Variables of the hosts. A host can set any variable through the facts that it returns.
FACTS = {
    "many_to_choose": {"pingkiller_interfaces": ["nowhere"]},
    "obeyed_item": {"pingkiller_blocklist_x": [OBEYED]},
    "obeyed_interface": {"pingkiller_interfaces": [OBEYED + "eth0"]},
    "long_item": {"pingkiller_blocklist_x": [LONG]},
}

# Ansible wants the documentation and the code of a plugin in one file.
CONNECTION = '''
DOCUMENTATION = """
name: liar
short_description: A host that says what a test wants it to
description: [It runs nothing.]
options:
  lies:
    description: The directory with what it says.
    vars: [{name: lies}]
extends_documentation_fragment: [connection_pipelining]
"""
import re
from pathlib import Path
from ansible.plugins.connection import ConnectionBase


class Connection(ConnectionBase):
    transport = "liar"
    has_pipelining = False

    def exec_command(self, cmd, in_data=None, sudoable=True):
        lies = Path(self.get_option("lies"))
        if "base64 -d" in cmd:
            said = (lies / "look").read_bytes()
        elif "AnsiballZ_xdp_filter" in cmd:
            said = (lies / "result").read_bytes()
        elif "AnsiballZ_xdp_" in cmd and (lies / "list").exists():
            said = (lies / "list").read_bytes()
        elif "mkdir" in cmd:
            said = (re.search(r"ansible-tmp-[\\d.-]+", cmd)[0] + "=/nowhere/tmp\\n").encode()
        else:
            said = b'{"changed": false, "stat": {"exists": false}}'
        return 0, said, b""

    def _connect(self):
        self._connected = True
        return self

    def put_file(self, in_path, out_path):
        pass

    def fetch_file(self, in_path, out_path):
        pass

    def close(self):
        pass
'''
PLAYBOOK = "- {hosts: all, gather_facts: false, roles: [pingkiller.fleet.pingkiller]}\n"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Run the role once on all hosts. Returns the message by host, the output, and whether code from a host was run."""
    directory = tmp_path_factory.mktemp("liars")
    pwned = directory / "pwned"
    told = lies(f"{{{{ lookup('pipe', 'touch {pwned}') }}}}")
    for host, (look, result, _) in told.items():
        (directory / host).mkdir()
        (directory / host / "look").write_text(look)
        (directory / host / "result").write_text(result)
        if host in LISTS:
            (directory / host / "list").write_text(json.dumps(LISTS[host]))
    common = {
        "ansible_connection": "liar",
        "ansible_python_interpreter": "/usr/bin/python3",
        "pingkiller_persist": False,
    }
    hosts = {host: {"lies": str(directory / host), **FACTS.get(host, {})} for host in told}
    (directory / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": common}}))
    (directory / "play.yml").write_text(PLAYBOOK)
    (directory / "liar.py").write_text(CONNECTION)
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_CONNECTION_PLUGINS": str(directory),
        "ANSIBLE_HOME": str(directory / "home"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PIPELINING": "0",  # the command then names the module that the plugin answers for
    }
    command = [
        sys.executable,
        "-m",
        "ansible",
        "playbook",
        "-D",
        "-i",
        directory / "inventory.json",
        directory / "play.yml",
    ]
    run = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
    )
    output = run.stdout + run.stderr
    failures = re.findall(r"^(?:fatal|failed): \[(\w+)\].* => (\{.*)$", output, re.MULTILINE)
    return {host: json.loads(result)["msg"] for host, result in failures}, output, pwned.exists()


def test_what_a_host_says_is_never_run(told):
    assert not told[2]


def test_what_a_host_says_is_shown_as_it_is_written(told):
    assert [each for each in told[1] if not each.isprintable() and each != "\n"] == []


def test_who_deploys_is_shown_no_traceback_and_no_riddle(told):
    assert not re.search(r"Traceback|has no attribute|not supported between|[Uu]nexpected|is undefined", told[1])


@pytest.mark.parametrize("host", lies(""))
def test_lie_is_answered_with_a_sentence_or_does_nothing(told, host):
    code = re.search(r"runs (\{\{.*?\}\}), but", told[0]["code_system"])[1]
    expected = lies(code)[host][2]
    assert expected in told[0].get(host, "") if expected else host not in told[0]


def test_no_sentence_is_longer_than_a_screen(told):
    assert {host: len(message) for host, message in told[0].items() if len(message) > errors.SCREEN} == {}


def test_name_of_a_fact_is_shown_as_it_is_written():
    # Ansible warns about such a name in an inventory, but a fact may have it.
    (fault,) = _variables.name_faults([f"pingkiller_{OBEYED}"], [], "alpha")
    assert _shown.shown(fault).startswith(
        "pingkiller_\\x1b]0;pwned\\x07\\x1b[31m\\r of alpha is no variable of this role"
    )


def test_what_a_module_says_keeps_its_lines_in_differences_and_the_facts_that_it_gathers():
    difference = {"before": f"one\n{OBEYED}\n", "after": "one\n"}
    answer = {"diff": [difference], "ansible_facts": {"pingkiller": {"a": "b"}, "ansible_connection": "local"}}
    assert _answers.result(answer, "alpha", ("pingkiller",)) == {
        "diff": [{"before": "one\n\\x1b]0;pwned\\x07\\x1b[31m\\r\n", "after": "one\n"}],
        "ansible_facts": {"pingkiller": {"a": "b"}},
    }
    assert "ansible_facts" not in _answers.result(answer, "alpha")


def test_answer_without_end_is_no_answer():
    answer: list = []
    for _level in range(100_000):
        answer = [answer]
    assert "The answer was not used" in _answers.result({"added": answer}, "alpha")["msg"]


# Random answers

PIECES = (
    "",
    " ",
    "\n",
    "=",
    "pingkiller_",
    "\x1b[0m",
    "\0",
    "\u2028",
    "\udcff",
    "{{ 7 * 7 }}",
    "9" * 5000,
    "6.1",
    "-1",
)


def garble(rng: random.Random, text: str) -> str:
    """Delete, double or replace pieces of a text."""
    for _ in range(rng.randint(1, 4)):
        begin = rng.randint(0, len(text))
        end = min(len(text), begin + rng.choice((0, 1, 10, 1000)))
        text = text[:begin] + rng.choice((*PIECES, text[begin:end] * 2)) + text[end:]
    return text


def anything(rng: random.Random, depth: int = 0) -> object:
    kinds = [None, True, -1, 1e308, rng.choice(PIECES), garble(rng, "eth0/tc_egress"), "eth0"]
    if depth < 3:
        kinds += [[anything(rng, depth + 1) for _ in range(rng.randint(0, 3))]]
        kinds += [{str(anything(rng, 3)): anything(rng, depth + 1) for _ in range(rng.randint(0, 3))}]
    return rng.choice(kinds)


@pytest.fixture
def rngs(request):
    """Return a random generator for each answer, with a name for it."""
    seed, count = (request.config.getoption(option) for option in ("--inputs-seed", "--inputs"))
    return [(random.Random(f"{seed}/{number}"), f"--inputs-seed={seed}, lie {number}") for number in range(count)]


def test_any_look_is_understood_or_says_what_is_wrong(rngs):
    understood = 0
    for rng, name in rngs:
        found = _look.look(garble(rng, looks()))
        assert all(each.isprintable() for pair in found.items() for each in pair), name
        if "fault" in found:
            assert len(found["fault"]) < 400, name
            continue
        understood += 1
        assert found.keys() >= HONEST_LOOK.keys(), name
        for version in ("kernel", "python", "system_python", "bcc_python"):
            assert version_compare(found[version] or "0", "5.10", ">=") in (True, False), name
    assert 0 < understood < len(rngs)


def test_any_result_is_one_of_the_module_or_one_sentence(rngs):
    believed = 0
    for rng, name in rngs:
        answer = {**HONEST_RESULT, rng.choice(("filters", "owned", "failed", "msg")): anything(rng)}
        result = _answers.filter_result(answer, ("filters", "owned"), "alpha")
        if result.get("failed"):
            assert all(line.isprintable() for line in str(result["msg"]).split("\n")), name
            assert len(str(result["msg"])) <= errors.SCREEN, name
            continue
        believed += 1
        for each in [*result["filters"], *result["owned"]]:
            assert re.fullmatch(r"[^\s/]+(/tc_ingress|/tc_egress)?", each), name
            assert each.isprintable(), name
    assert 0 < believed < len(rngs)
