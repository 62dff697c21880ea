# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what the role does on the controller: the rendered lists and filters, and the messages of the preflight.

Starting Ansible takes longer than everything else here, so one run serves all tests. Each inventory to try is one host
of
this run, with a local connection. The output of the probe is given, too.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from looks import FIT

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.options import FilterOptions

CHECKOUT = Path(__file__).resolve().parents[2]
ROLE = CHECKOUT / "roles/pingkiller"


def found(**other: str) -> dict:
    """Return the variables of a host whose probe prints FIT, changed by ``other``."""
    lines = [f"pingkiller_{name}={value}" for name, value in {**FIT, **other}.items()]
    # Without pipelining there is a terminal: it adds carriage returns, and a login may print more text.
    return {"probe": "Welcome!\r\n" + "\r\n".join(lines) + "\r\n"}


HOSTS = {
    # Accepted
    "empty": {},
    "merged": {
        "pingkiller_blocklist": ["203.0.113.1", "2001:db8::/32"],
        "pingkiller_blocklist_web": ["198.51.100.0/24"],
        "pingkiller_blocklist_host": ["203.0.113.2"],
        "pingkiller_allowlist_web": ["192.0.2.1"],
        "my_pingkiller_blocklist": ["192.0.2.99"],
    },
    "templated": {
        "office": "203.0.113.5",
        "pingkiller_blocklist_x": ["{{ office }}"],
        "pingkiller_blocklist_y": "{{ ['203.0.113.6', office] }}",
    },
    "nothing_in_variable": {
        "pingkiller_blocklist": None,
        "pingkiller_blocklist_web": None,
        "pingkiller_interfaces": None,
    },
    "omitted": {
        "pingkiller_blocklist_partner": [
            "203.0.113.81",
            "{{ partner | default(omit) }}",
            {"ip": "203.0.113.82", "ttl": "{{ partner_ttl | default(omit) }}"},
        ],
    },
    # The host is fit
    "not_to_be_restored": found(init="") | {"pingkiller_persist": "false"},
    "rocky_with_bcc": found(distribution="rocky rhel centos fedora"),
    "unknown_with_package": found(distribution="plan9", bcc="False") | {"pingkiller_package": "bcc-for-python"},
    "removable": found(kernel="4.18.0", bcc="False", distribution="")
    | {"pingkiller_state": "absent", "pingkiller_blocklist": ["no address"]},
    "own_variables": {
        "pingkiller_hosts": "web",
        "pingkiller_report": "/srv/report.html",
        "pingkiller_dashboard": "https://example.org",
        "pingkiller_extra_variables": ["pingkiller_dashboard"],
    },
    "own_variables_of_an_ini_file": {"pingkiller_dashboard": "x", "pingkiller_extra_variables": "pingkiller_dashboard"},
    "interfaces_of_an_ini_file": found(interfaces="eth0 eth1 lo") | {"pingkiller_interfaces": "eth0, eth1"},
    "persisted_on_read_only_usr": found(unwritable="/usr/local/sbin") | {"pingkiller_persist": "false"},
    "two_names_in_one_filter": found(interfaces="eth0 lo", alternative_names="eth0:enp1s0 eth0:nic")
    | {"pingkiller_filters": [{"interfaces": ["eth0", "enp1s0", "eth0"]}, {"interfaces": "nic", "hook": "tc_egress"}]},
    "limited_in_one_filter": found(interfaces="eth0")
    | {
        "pingkiller_ratelimit_block_time": "30s",
        "pingkiller_ratelimit_sources": 100,
        "pingkiller_filters": [
            {"interfaces": ["eth0"], "ratelimit_pps": 5},
            {"interfaces": ["eth0"], "hook": "tc_egress", "ratelimit_sources": 50},
        ],
    },
    "limited_without_limit": {"pingkiller_ratelimit_block_time": "30s"},
    "generic_where_it_means_anything": {
        "pingkiller_mode": "generic",
        "pingkiller_events_per_second": 50,
        "pingkiller_filters": [{"events": "dropped"}, {"hook": "tc_egress"}, {"hook": "tc_ingress", "mode": "native"}],
    },
    "two_filters": found(interfaces="eth0 eth1")
    | {
        "pingkiller_monitor": "true",
        "pingkiller_policy": "drop",
        "pingkiller_ratelimit_pps": 5,
        "pingkiller_filters": [
            {"interfaces": ["eth0", "eth1"]},
            {"interfaces": "eth0", "hook": "tc_egress", "policy": "pass", "ratelimit_pps": 0},
        ],
    },
    "hidden": found(interfaces="eth0")
    | {
        "pingkiller_interfaces": ["eth0"],
        "pingkiller_policy": "drop",
        "pingkiller_monitor": True,
        "pingkiller_hide_from_traceroute": True,
    },
    # Refused because of the filters
    "filters_no_list": {"pingkiller_filters": {"hook": "xdp"}},
    "filter_no_mapping": {"pingkiller_filters": ["eth0"]},
    "filter_unknown_key": {"pingkiller_filters": [{"interface": "eth0"}]},
    "filter_mapped_interfaces": {"pingkiller_filters": [{"interfaces": {"eth0": None}}]},
    "filter_listed_hook": {"pingkiller_filters": [{"hook": ["xdp"]}, {"hook": "tc_egress"}]},
    "filter_bad_value": {"pingkiller_filters": [{"policy": "reject"}]},
    "filter_bad_kind": {"pingkiller_filters": [{"monitor": "perhaps"}]},
    "filters_same_place": found(interfaces="eth0 eth1 eth2")
    | {"pingkiller_filters": [{"interfaces": "eth0,eth1"}, {"interfaces": ["eth1", "eth2"]}]},
    "filters_same_place_by_two_names": found(interfaces="eth0 eth1", alternative_names="eth0:enp1s0 eth0:eth0:0")
    | {"pingkiller_filters": [{"interfaces": ["eth0", "eth1"]}, {"interfaces": ["enp1s0"]}]},
    "filters_same_place_by_alternative_names": found(interfaces="eth0", alternative_names="eth0:enp1s0 eth0:eth0:0")
    | {"pingkiller_filters": [{"interfaces": ["eth0:0"]}, {"interfaces": ["enp1s0"]}]},
    "only_loopback": found(interfaces="lo") | {"pingkiller_interfaces": "eth7"},
    "filters_unnamed": found(interfaces="eth0") | {"pingkiller_filters": [{}, {"interfaces": "eth0"}]},
    "filter_forwarded": {"pingkiller_forwarded": False},
    "filter_range": {"pingkiller_ratelimit_pps": "-1"},
    # Refused because of the host
    "mute": {"probe": ""},
    "babbling": {"probe": "\x1b[31mfish: Unknown command\r\npingkiller_system=Linux\r\n"},
    "absent_interfaces_of_an_ini_file": found(interfaces="eth0 lo") | {"pingkiller_interfaces": "eth0,eth7"},
    "darwin": found(system="Darwin", kernel="23.1.0"),
    "unknown_family": found(distribution="plan9", bcc="False"),
    "not_to_install": found(bcc="False") | {"pingkiller_manage_packages": "false"},
    "shared_directory": {"pingkiller_config_dir": "/etc"},
    "removal_from_read_only_usr": found(unwritable="/usr/local/sbin", command="0:0 755 f0  -")
    | {"pingkiller_state": "absent"},
    "coloured": found(interfaces="eth0 a\x1b[2Jb \u202eb") | {"pingkiller_interfaces": ["eth7\x07"]},
    "coloured_variable": {"pingkiller_\x1b[31mred": 1},
    "two_filters_on_one_hook": {"pingkiller_hide_from_traceroute": True, "pingkiller_hook": "tc_egress"},
    # Refused because of names of variables
    "misspelt": {
        "pingkiller_block_list": ["192.0.2.1"],
        "pingkiller_blacklist": ["192.0.2.1"],
        "pingkiller_blocklists": ["192.0.2.1"],
        "pingkiller_interface": "eth0",
        "pingkiller_blocklist_": ["192.0.2.1"],
        "pingkiller_xyz": 1,
    },
    "misspelt_removal": {"pingkiller_state": "absent", "pingkiller_bas": "/sys/fs/bpf/pingkiller_other"},
    # Refused because of the lists
    "bad_lists": {
        "pingkiller_allowlist_x": "203.0.113.1",
        "pingkiller_blocklist": [*range(10), {"ip": "192.0.2.1", "ttl": "{{ 'an hour' }}"}],
    },
}

PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - block:
        - include_role:
            name: pingkiller.fleet.pingkiller
            tasks_from: preflight.yml
            public: true
          vars:
            # An include's own variables win over what a task in it registers.
            _pingkiller_probe: {stdout: "{{ probe }}"}
        - set_fact:
            made: >-
              {{ made | default({'look': _pingkiller_look, 'filters': _pingkiller_filters})
                 | combine({pingkiller_list: lookup('template', role ~ '/templates/list.j2')}) }}
          loop: [allowlist, blocklist]
          loop_control:
            loop_var: pingkiller_list
      rescue:
        - set_fact:
            made: {refusal: "{{ ansible_failed_result.msg }}"}
    - copy:
        dest: "{{ result }}"
        content: "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, 'made'))) | to_json }}"
        mode: "0600"
      run_once: true
      vars:
        ansible_shell_executable: /bin/sh
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Run the role's templates once for all HOSTS. Returns for each host its lists and filters, or the refusal."""
    directory = tmp_path_factory.mktemp("role")
    common = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_shell_executable": "/bin/true",  # so that this machine is not probed for every host
        "result": str(directory / "made.json"),
        "role": str(ROLE),
    }
    hosts = {name: {**found(), **variables} for name, variables in HOSTS.items()}
    (directory / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": common}}))
    (directory / "play.yml").write_text(PLAYBOOK)
    (directory / "files").symlink_to(ROLE / "files")
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_HOME": str(directory / "home"),
    }
    command = [sys.executable, "-m", "ansible", "playbook", "-i", directory / "inventory.json", directory / "play.yml"]
    run = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads((directory / "made.json").read_text())


@pytest.fixture
def entries(made):
    """Return a function that reads a rendered list without its header."""

    def read(host: str, which: str = "blocklist") -> list[str]:
        return [line for line in made[host][which].splitlines() if not line.startswith("#")]

    return read


@pytest.fixture
def filters(made):
    return lambda host: made[host]["filters"]


@pytest.fixture
def refusal(made):
    return lambda host: made[host]["refusal"]


def test_empty_list_is_a_file_with_only_a_header(made):
    text = made["empty"]["blocklist"]
    assert text.endswith("\n")
    assert all(line.startswith("# ") for line in text.splitlines())
    assert "the blocklist of empty in the inventory" in text


def test_header_holds_no_time_that_would_change_every_run(made):
    assert not re.search(r"\d\d:\d\d|20\d\d", made["empty"]["blocklist"])


def test_variables_of_all_levels_add_up_in_order_of_their_names(entries):
    assert entries("merged") == [
        "203.0.113.1  # pingkiller_blocklist",
        "2001:db8::/32  # pingkiller_blocklist",
        "203.0.113.2  # pingkiller_blocklist_host",
        "198.51.100.0/24  # pingkiller_blocklist_web",
    ]


def test_allowlist_and_blocklist_do_not_mix(entries):
    assert entries("merged", "allowlist") == ["192.0.2.1  # pingkiller_allowlist_web"]


def test_items_and_lists_can_be_templates(entries):
    assert entries("templated") == [
        "203.0.113.5  # pingkiller_blocklist_x",
        "203.0.113.6  # pingkiller_blocklist_y",
        "203.0.113.5  # pingkiller_blocklist_y",
    ]


def test_variable_with_nothing_in_it_is_an_empty_list(entries):
    assert entries("nothing_in_variable") == []


@pytest.mark.parametrize(
    "host",
    [
        "not_to_be_restored",
        "rocky_with_bcc",
        "unknown_with_package",
        "removable",
        "own_variables",
        "own_variables_of_an_ini_file",
        "interfaces_of_an_ini_file",
        "persisted_on_read_only_usr",
        "two_names_in_one_filter",
    ],
)
def test_fit_host_is_not_refused(made, host):
    assert "refusal" not in made[host]


@pytest.mark.parametrize(
    ("host", "fault", "way_out"),
    [
        ("darwin", "darwin runs Darwin", "leave the host out of the play"),
        ("unknown_family", "distribution plan9", "set pingkiller_package"),
        (
            "not_to_install",
            "BCC is missing on not_to_install",
            "install python3-bpfcc, or set pingkiller_manage_packages",
        ),
        ("shared_directory", "pingkiller_config_dir is /etc", "as in /etc/pingkiller"),
        ("removal_from_read_only_usr", "/usr/local/sbin on removal_from_read_only_usr cannot be", "make it writable"),
        ("coloured", r"eth7\x07", r"name some of \u202eb, a\x1b[2Jb, eth0"),
        ("coloured_variable", r"pingkiller_\x1b[31mred of coloured_variable", "correct it"),
        ("mute", "The look at mute told nothing", 'is "": see to it'),
        ("babbling", "fish: Unknown command", "ansible babbling -b -m ansible.builtin.raw -a uname"),
        (
            "absent_interfaces_of_an_ini_file",
            "pingkiller_filters names eth7, which",
            "does not have: name some of eth0.",
        ),
        ("only_loopback", "names eth7, which", "it has none that a filter would be of use on"),
        ("misspelt_removal", "pingkiller_bas of misspelt_removal", "did you mean pingkiller_base?"),
        ("two_filters_on_one_hook", "takes the hook tc_egress, which another filter has", "choose another hook"),
    ],
)
def test_unfit_host_is_told_the_reason_and_the_way_out(refusal, host, fault, way_out):
    assert fault in refusal(host)
    assert way_out in refusal(host)
    assert refusal(host).isprintable()


def test_variables_of_a_host_make_one_filter_of_it(filters):
    (alone,) = filters("empty")
    assert alone.pop("interfaces") == []
    assert alone.pop("force") is False
    assert FilterOptions.checked(**{name: tuple(v) if isinstance(v, list) else v for name, v in alone.items()}) == (
        FilterOptions()
    )


def test_what_a_filter_does_not_say_for_itself_is_as_the_host_has_it(filters):
    arriving, leaving = filters("two_filters")
    assert (arriving["hook"], arriving["policy"], arriving["interfaces"]) == ("xdp", "drop", ["eth0", "eth1"])
    assert (leaving["hook"], leaving["policy"], leaving["interfaces"]) == ("tc_egress", "pass", ["eth0"])
    assert (arriving["ratelimit_pps"], leaving["ratelimit_pps"]) == (5, 0)
    assert arriving["monitor"] == leaving["monitor"] == "true"  # the module converts this text


def test_what_a_filter_without_a_rate_limit_would_have_of_one_it_does_not_take_from_the_host(filters):
    limited, other = filters("limited_in_one_filter")
    assert (limited["ratelimit_block_time"], limited["ratelimit_sources"]) == ("30s", 100)
    assert (other["ratelimit_block_time"], other["ratelimit_sources"]) == (
        60,
        50,
    )  # this filter sets it itself, and gets a warning
    (alone,) = filters("limited_without_limit")
    assert alone["ratelimit_block_time"] == "30s"


def test_what_means_nothing_on_a_hook_or_without_events_is_not_taken_from_the_host_either(filters):
    assert [(each["mode"], each["events_per_second"]) for each in filters("generic_where_it_means_anything")] == [
        ("generic", 50),
        ("auto", 1000),
        ("native", 1000),  # this filter sets it itself, and gets a warning
    ]


def test_hiding_from_traceroute_is_a_filter_more_on_what_leaves_by_the_same_interfaces(filters):
    shown, hiding = filters("hidden")
    assert hiding["interfaces"] == shown["interfaces"] == ["eth0"]
    assert (hiding["hook"], hiding["policy"], hiding["forwarded"]) == ("tc_egress", "drop", False)
    assert hiding["icmp_types"] == ["time-exceeded", "destination-unreachable/port"]
    assert hiding["monitor"] is True


@pytest.mark.parametrize(
    ("host", "fault"),
    [
        ("filters_no_list", 'pingkiller_filters of filters_no_list is {"hook": "xdp"}, not a list'),
        ("filter_no_mapping", '"eth0" is no mapping: write one like {interfaces'),
        ("filter_unknown_key", "has the key interface (did you mean interfaces?): the keys are"),
        ("filter_mapped_interfaces", "has interfaces that are no list: write [eth0]"),
        ("filter_listed_hook", "hook="),
        ("filter_bad_value", '{"policy": "reject"}: policy=\'reject\' does not exist: use one of pass, drop'),
        ("filter_bad_kind", "monitor='perhaps' is not of the right kind: write true or false"),
        ("filters_same_place", "has two filters with the hook xdp on eth1: an interface can have one"),
        (
            "filters_same_place_by_two_names",
            "filters_same_place_by_two_names has two filters with the hook xdp on eth0 (named enp1s0 and eth0): an interface can",
        ),
        (
            "filters_same_place_by_alternative_names",
            "the hook xdp on eth0 (named enp1s0 and eth0:0): an interface can have",
        ),
        ("filters_unnamed", "of which one names no interface"),
        ("filter_forwarded", "pingkiller_forwarded=false is for hook=tc_egress"),
        ("filter_range", "pingkiller_ratelimit_pps=-1 is out of range: give 0 to"),
    ],
)
def test_filters_that_cannot_be_are_refused_before_the_first_comes(refusal, host, fault):
    assert fault in refusal(host)


def test_item_that_a_template_omits_is_left_out(entries):
    assert entries("omitted") == [
        "203.0.113.81  # pingkiller_blocklist_partner",
        "203.0.113.82  # pingkiller_blocklist_partner",
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("pingkiller_block_list", "pingkiller_blocklist"),
        ("pingkiller_blacklist", "pingkiller_blocklist"),
        ("pingkiller_blocklists", "pingkiller_blocklist"),
        ("pingkiller_interface", "pingkiller_interfaces"),
        ("pingkiller_blocklist_", "pingkiller_blocklist"),
    ],
)
def test_variable_that_nobody_reads_is_refused_with_the_name_that_was_meant(refusal, name, meant):
    assert f"{name} of misspelt is no variable of this role (did you mean {meant}?)" in refusal("misspelt")


def test_variable_like_no_other_is_refused_with_the_way_to_keep_it(refusal):
    assert "pingkiller_xyz of misspelt is no variable of this role: correct it, or if it is" in refusal("misspelt")


def test_every_variable_of_the_role_has_a_default_and_is_documented():
    defaults, specification = (
        yaml.safe_load((ROLE / name).read_text()) for name in ("defaults/main.yml", "meta/argument_specs.yml")
    )
    options = specification["argument_specs"]["main"]["options"]
    assert defaults.keys() == options.keys()
    # A variable that may be blank has no default here. With a default, Ansible would refuse a blank value as one of the
    # wrong type.
    stated = {name: about["default"] for name, about in options.items() if "default" in about}
    assert {**stated, **{name: [] for name in options.keys() - stated.keys()}} == defaults
    documented = re.findall(r"(?m)^\| `(pingkiller_\w+)`", (ROLE / "README.md").read_text())
    assert set(documented) >= defaults.keys() - {"pingkiller_allowlist"}


def test_every_option_of_a_filter_is_a_variable_that_the_role_passes_on():
    attach = yaml.safe_load((ROLE / "tasks/attach.yml").read_text())[0]["pingkiller.fleet.xdp_filter"]
    assert {name: attach[name] for name in FilterOptions._fields} == {
        name: f"{{{{ _pingkiller_filter.{name} }}}}" for name in FilterOptions._fields
    }
    assert {f"pingkiller_{name}" for name in FilterOptions._fields} <= yaml.safe_load(
        (ROLE / "defaults/main.yml").read_text()
    ).keys()


def test_what_is_wrong_with_lists_is_told_at_once_with_variable_and_host(refusal):
    told = refusal("bad_lists")
    assert told.startswith('pingkiller_allowlist_x of bad_lists is "203.0.113.1", not a list: write a list, [] for an')
    assert "In pingkiller_blocklist of bad_lists, 0 is a number to YAML: put the address in quotes." in told
    assert told.endswith("And 2 more.")


#: As _pingkiller_look_text puts it together.
PROBE = "\n".join((ROLE / "files" / name).read_text() for name in ("marks.sh", "probe.sh"))


def probe(directory: Path, *before: str, **given: str) -> dict[str, str]:
    """Run the probe here, and return what it prints. With commands ``before`` it, all run in another network namespace."""
    script = "\n".join([*before, PROBE])
    environment = {**os.environ, "directory": str(directory), "python": "", "candidates": "python3", **given}
    command = [*(("unshare", "--net", "--mount") if before else ()), "sh", "-c", script]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return dict(re.findall(r"(?m)^pingkiller_(\w+)=(.*)$", run.stdout))


def test_probe_tells_what_the_host_is(tmp_path):
    told = probe(tmp_path, python=sys.executable)
    assert told["system"] == "Linux"
    assert told["kernel"] == os.uname().release
    assert told["uid"] == str(os.getuid())
    assert told["python"] == "{}.{}".format(*sys.version_info)
    assert told["bcc"] in ("True", "False")


def test_probe_tells_interfaces_and_the_own_name_of_each_alternative_one(tmp_path):
    told = probe(
        tmp_path,
        "set -e; mount -t sysfs none /sys",
        "ip link add eth0 type veth peer name eth1",
        "ip link property add dev eth0 altname enp1s0 altname a-name-that-is-longer-than-sixteen",
        "ip link property add dev lo altname eth0:0; set +e",
    )
    assert told["interfaces"].split() == ["eth0", "eth1", "lo"]
    assert sorted(told["alternative_names"].split()) == [
        "eth0:a-name-that-is-longer-than-sixteen",
        "eth0:enp1s0",
        "lo:eth0:0",
    ]


def test_probe_without_python_tells_none(tmp_path):
    assert probe(tmp_path, python="/nowhere/python3")["python"] == ""


def test_probe_takes_the_first_python_that_there_is(tmp_path):
    version = "{}.{}".format(*sys.version_info)
    assert probe(tmp_path, candidates=f"/nowhere/python3 {sys.executable}")["python"] == version


def test_probe_takes_an_interpreter_with_arguments(tmp_path):
    assert probe(tmp_path, python="/usr/bin/env python3")["python"]


@pytest.fixture
def read_only(tmp_path):
    """Make a directory in which even root cannot write."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "test", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_probe_tells_that_the_directory_of_what_is_wanted_cannot_be_made(read_only):
    assert probe(read_only / "below" / "pingkiller")["unwritable_config"] == str(read_only)


@pytest.mark.parametrize(
    ("line", "directory", "told"),
    [
        ("host:/srv /srv nfs4 defaults 0 0", "/srv/pingkiller", "nfs4 on /srv"),
        ("host:/srv /srv nfs4 noauto,x-systemd.automount 0 0", "/srv/below/pingkiller", "nfs4 on /srv"),
        ("/dev/sdx /srv ext4 defaults,_netdev 0 0", "/srv/pingkiller", "ext4 on /srv"),
        ("host: /srv fuse.sshfs defaults 0 0", "/srv/pingkiller", "fuse.sshfs on /srv"),
        ("//host/share /srv cifs ro 0 0\n/dev/sdx /srv/disk ext4 ro 0 0", "/srv/disk/pingkiller", "cifs on /srv"),
        ("share /srv 9p version=9p2000.L 0 0", "/srv/pingkiller", "9p on /srv"),
        ("share /srv 9p trans=virtio 0 0", "/srv/pingkiller", ""),
        ("/dev/sdx /srv ext4 defaults 0 0", "/srv/pingkiller", ""),
        ("host:/srv /srv nfs4 defaults 0 0", "/srv2/pingkiller", ""),
        ("host:/root / nfs4 defaults 0 0", "/etc/pingkiller", ""),
    ],
)
def test_probe_tells_of_a_file_system_that_comes_after_the_network(tmp_path, line, directory, told):
    (tmp_path / "fstab").write_text(f"{line}\n")
    assert probe(Path(directory), f"set -e; mount --bind {tmp_path}/fstab /etc/fstab; set +e")["network_mount"] == told


@pytest.mark.parametrize("name", ["far", "link"])
def test_probe_tells_of_what_is_mounted_now_also_where_a_link_leads_there(tmp_path, name):
    far = tmp_path / "far"
    far.mkdir()
    (tmp_path / "link").symlink_to("far")
    mounted = (
        "set -e; exec 3<>/dev/fuse",
        f"mount -i -t fuse.sshfs -o fd=3,rootmode=40000,user_id=0,group_id=0 host: {far}",
        "exec 3<&-; set +e",  # the file system then answers with an error and does not hang
    )
    assert probe(tmp_path / name / "pingkiller", *mounted)["network_mount"] == f"fuse.sshfs on {far}"


def test_probe_tells_of_no_directory_that_can_be_made(tmp_path):
    told = probe(tmp_path / "below" / "pingkiller")
    assert "unwritable_config" not in told
    assert told["unwritable"] == ""


def test_look_is_a_line_in_which_no_shell_finds_anything_of_its_own(made):
    # fish and tcsh treat line ends, quotes and dollar signs in their own way, and sudo -i loses some of them.
    assert re.fullmatch(r"printf %s [A-Za-z0-9+/=]+ \| base64 -d \| /bin/sh", made["templated"]["look"])


def test_look_tells_all_that_the_role_has_to_know(made, tmp_path):
    run = subprocess.run(["sh", "-c", made["templated"]["look"]], capture_output=True, text=True, check=True)
    told = dict(re.findall(r"(?m)^pingkiller_(\w+)=(.*)$", run.stdout))
    assert told.keys() >= FIT.keys()
    assert told["python"] == "{}.{}".format(*sys.version_info)


def test_probe_tells_mode_and_hash_of_what_is_there(tmp_path):
    (tmp_path / "blocklist").write_text("")
    (tmp_path / "blocklist").chmod(0o640)
    told = probe(tmp_path)
    owner = f"{os.getuid()}:{tmp_path.stat().st_gid}"
    assert told["directory"] == f"{owner} 700"
    assert told["allowlist"] == " "
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert told["blocklist"] == f"{owner} 640 {empty}  -"


def test_probe_runs_no_python_of_the_directory_or_of_the_environment_that_it_is_in(tmp_path):
    hostile = "open({!r}, 'w')\n".format(str(tmp_path / "was here"))
    for name in ("os.py", "sitecustomize.py", "importlib.py"):
        (tmp_path / name).write_text(hostile)
    before = probe(tmp_path, python=sys.executable)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "os.py")}
    environment.update(directory=str(tmp_path), python=sys.executable, candidates="")
    run = subprocess.run(["sh", "-c", PROBE], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    told = dict(re.findall(r"(?m)^pingkiller_(\w+)=(.*)$", run.stdout))
    assert {name: told[name] for name in ("python", "system_python", "bcc")} == {
        name: before[name] for name in ("python", "system_python", "bcc")
    }
    assert not (tmp_path / "was here").exists()


def test_probe_takes_another_bcc_for_none(tmp_path):
    (tmp_path / "bcc.py").write_text("")
    look = re.search(r"look='(.*?)'", (ROLE / "files/probe.sh").read_text(), re.DOTALL)[1]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", look], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split()[1] == "False"


def test_unit_of_an_interface_waits_longer_than_the_lock_so_that_the_journal_names_who_keeps_it():
    unit = (ROLE / "templates/pingkiller@.service.j2").read_text()
    lock, start = (float(re.search(rf"{name}[ =](\d+)", unit)[1]) for name in ("--lock-timeout", "TimeoutStartSec"))
    assert start >= 3 * lock  # the time for the lock counts anew with each run that comes before
