# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is back after a boot: the modules note it, and the runtime, as the role installs it, restores it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time

import pytest
from machine import BPFFS, DEFAULT_BASE, held, ip, look, mount, ping, program, umount
from running import changed, facts, run, unchanged

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import durations

PLUGINS = "ansible_collections.pingkiller.fleet.plugins"
BLOCKED, OTHER, LISTED = "203.0.113.66", "203.0.113.67", "198.51.100.7"
FINE, ERROR, USAGE, NOT_AS_WANTED = 0, 1, 2, 3


@pytest.fixture(scope="session")
def runtime(tmp_path_factory):
    path = tmp_path_factory.mktemp("runtime") / "pingkiller"
    path.write_bytes(_as_the_controller("sys.stdout.buffer.write(build())"))
    path.chmod(0o755)
    return path


def _as_the_controller(statement: str) -> bytes:
    """What a statement writes that builds the runtime. It runs apart: code of the controller changes how modules run."""
    program = f"import sys; from {PLUGINS}.plugin_utils._runtime import build; {statement}"
    surroundings = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", program], env=surroundings, stdout=subprocess.PIPE, check=True).stdout


@pytest.fixture
def config(tmp_path):
    """A place for what is wanted, as /etc is one."""
    return tmp_path / "pingkiller"


@pytest.fixture
def command(runtime, config):
    """Run the command on the host: its status and what it said."""

    def call(name: str, *arguments: str):
        return subprocess.run(
            [runtime, name, "--config", config, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return call


@pytest.fixture
def restored(command):
    """Boot, and let the runtime do what the unit lets it do."""

    def call(*arguments: str, status: int = FINE):
        boot()
        done = command("apply", *arguments)
        assert done.returncode == status, done.stderr
        return done

    return call


@pytest.fixture
def deployed(config):
    """A host as the role leaves it: a filter on pk0 and a list of the inventory's."""
    source = config / "blocklist"
    changed("xdp_filter", interface="pk0", policy="drop", persist=True, config_dir=str(config), max_entries=1000)
    source.write_text(f"{LISTED}  # from the inventory\n")
    changed("xdp_blocklist", src=str(source), exclusive=True, owner="inventory", persist=True, config_dir=str(config))
    return config


def boot():
    """What a boot does to all of this: the kernel forgets it, and the interfaces are new."""
    umount(BPFFS)
    mount("bpf", BPFFS)
    ip("link", "del", "pk0")
    ip("link", "add", "pk0", "type", "veth", "peer", "name", "pk1")


def block(config, address=BLOCKED, **options) -> dict:
    return run("xdp_blocklist", **{"ip": address, "config_dir": str(config), **options})


def kept(config, owner="adhoc") -> dict:
    """What is noted of an owner's entries on the blocklist."""
    with contextlib.suppress(FileNotFoundError):
        return json.loads((config / f"entries/blocklist/{owner}.json").read_text())
    return {}


def expire(config, seconds: int, ttl: int = 3600):
    """Let the entries of ``adhoc`` have so many seconds left by the clock on the wall."""
    content = kept(config)
    for entry in content["entries"].values():
        entry.update(until=durations.iso(time.time() + seconds), ttl=ttl)
    (config / "entries/blocklist/adhoc.json").write_text(json.dumps(content))


def files(config) -> dict:
    return {str(path): path.read_bytes() for path in sorted(config.rglob("*")) if path.is_file()}


def entry(address: str) -> dict:
    return next(each for each in facts()["lists"]["blocklist"]["entries"] if each["ip"] == address)


# What comes back


def test_filter_and_lists_are_back_after_a_boot(deployed, restored):
    block(deployed)
    before, options = held(), facts()["filters"]["pk0"]["options"]
    restored()
    assert held() == before
    assert facts()["filters"]["pk0"]["options"] == options
    assert facts()["lists"]["blocklist"]["capacity"] == 1000
    assert ping("pk0", BLOCKED) == ping("pk0", LISTED) == "drop"


def test_modules_find_nothing_to_do_after_a_boot(deployed, restored):
    block(deployed)
    restored()
    config_dir = str(deployed)
    unchanged("xdp_filter", interface="pk0", policy="drop", persist=True, config_dir=config_dir, max_entries=1000)
    source = str(deployed / "blocklist")
    unchanged("xdp_blocklist", src=source, exclusive=True, owner="inventory", persist=True, config_dir=config_dir)
    unchanged("xdp_blocklist", ip=BLOCKED, config_dir=config_dir)


def test_second_apply_changes_nothing(deployed, restored, command):
    block(deployed, ttl="1h")
    restored()
    before = program("pk0"), held(), files(deployed)
    assert command("apply").stdout == "as wanted\n"
    assert (program("pk0"), held(), files(deployed)) == before


def test_counters_do_not_pretend_to_have_survived(deployed, restored):
    block(deployed)
    ping("pk0", BLOCKED, 5)
    restored()
    assert entry(BLOCKED)["packets"] == 0
    assert facts()["filters"]["pk0"]["counters"]["dropped"]["packets"] == 0


def test_filters_on_both_hooks_of_an_interface_are_back(deployed, restored):
    arguments = {"interface": "pk0", "hook": "tc_egress", "policy": "drop", "icmp_types": "time-exceeded"}
    changed("xdp_filter", persist=True, config_dir=str(deployed), **arguments)
    restored()
    assert sorted(facts()["filters"]) == ["pk0", "pk0/tc_egress"]


def test_entries_of_a_list_file_are_what_the_file_says_at_boot(deployed, restored):
    (deployed / "blocklist").write_text(f"{OTHER}\n")
    restored()
    assert [line.split()[0] for line in held()["blocklist"]] == [OTHER]
    assert kept(deployed, "inventory") == {"sources": {str(deployed / "blocklist"): {"direction": "src"}}}


# Time


def test_entry_comes_back_with_the_rest_of_its_time(deployed, restored):
    block(deployed, ttl="1h")
    began = time.monotonic()
    expire(deployed, 100)
    restored()
    left = entry(BLOCKED)["expires_in"]
    assert 98 - (time.monotonic() - began) <= left <= 101


def test_expired_entry_does_not_come_back(deployed, restored):
    block(deployed, ttl="1h")
    expire(deployed, -1)
    restored()
    assert ping("pk0", BLOCKED) == "drop"  # by policy
    assert BLOCKED not in str(held())


def test_clock_that_is_behind_gives_no_entry_more_time_than_it_was_given(deployed, restored):
    block(deployed, ttl="60s")
    expire(deployed, 10**8, ttl=60)
    restored()
    assert entry(BLOCKED)["expires_in"] <= 60


def test_entry_of_a_list_file_that_expires_comes_back_with_the_rest_of_its_time(deployed, restored):
    source = deployed / "blocklist"
    source.write_text(f"{LISTED}\n{OTHER} ttl=100s\n")
    run("xdp_blocklist", src=str(source), exclusive=True, owner="inventory", persist=True, config_dir=str(deployed))
    content = kept(deployed, "inventory")
    content["entries"][OTHER]["until"] = durations.iso(time.time() + 50)
    (deployed / "entries/blocklist/inventory.json").write_text(json.dumps(content))
    restored()
    assert entry(OTHER)["expires_in"] <= 51
    assert entry(LISTED)["expires_in"] is None


def test_all_entries_of_a_list_file_can_expire(deployed, restored):
    source = deployed / "feed"
    source.write_text(f"{BLOCKED}\n{OTHER}\n")
    run("xdp_blocklist", src=str(source), owner="feed", ttl="100s", config_dir=str(deployed))
    restored()
    assert entry(BLOCKED)["expires_in"] <= 100
    assert entry(OTHER)["expires_in"] <= 100


def test_entry_handed_over_comes_back_as_its_new_owners(deployed, restored):
    block(deployed)
    block(deployed, owner="oncall", from_owner="adhoc")
    assert (kept(deployed), sorted(kept(deployed, "oncall")["entries"])) == ({}, [BLOCKED])
    restored()
    assert entry(BLOCKED)["owners"] == ["oncall"]


# What does not come back


def test_entry_taken_off_does_not_come_back(deployed, restored):
    block(deployed)
    block(deployed, OTHER)
    assert block(deployed, state="absent")["changed"]
    restored()
    assert [line.split()[0] for line in held()["blocklist"]] == [LISTED, OTHER]


@pytest.mark.parametrize("seconds", [100, -1])
def test_taking_off_reaches_what_is_noted_of_an_entry_that_has_left_the_list(deployed, seconds):
    block(deployed, ttl="1h")
    block(deployed, state="absent", config_dir=str(deployed.parent / "another"))
    assert kept(deployed)
    expire(deployed, seconds)
    assert block(deployed, state="absent")["changed"] == (seconds > 0)
    assert kept(deployed) == {}


def test_entry_for_this_boot_only_does_not_come_back(deployed, restored):
    block(deployed)
    assert block(deployed, persist=False)["changed"]
    restored()
    assert BLOCKED not in str(held())


def test_host_that_restores_no_filter_is_left_without_a_file(filtered, config):
    assert block(config)["changed"]
    assert not config.exists()


def test_filter_set_by_hand_lasts_until_the_next_boot(deployed, restored):
    changed("xdp_filter", interface="pk0", policy="pass", config_dir=str(deployed))
    restored()
    assert facts()["filters"]["pk0"]["options"]["policy"] == "drop"


def test_filter_taken_off_does_not_come_back(deployed, restored):
    changed("xdp_filter", interface="pk1", persist=True, config_dir=str(deployed))
    changed("xdp_filter", interface="pk0", state="absent", config_dir=str(deployed))
    restored()
    assert list(facts()["filters"]) == ["pk1"]


def test_removal_of_everything_leaves_nothing_to_restore(deployed, restored):
    block(deployed)
    changed("xdp_filter", state="absent", config_dir=str(deployed))
    assert list(files(deployed)) == [str(deployed / "blocklist")]  # the role's own
    assert restored().stdout == "as wanted\n"
    assert (facts()["filters"], os.path.exists(DEFAULT_BASE)) == ({}, False)


def test_removal_after_a_boot_without_restoring_forgets_as_well(deployed):
    boot()
    changed("xdp_filter", state="absent", config_dir=str(deployed))
    assert list(files(deployed)) == [str(deployed / "blocklist")]
    unchanged("xdp_filter", state="absent", config_dir=str(deployed))


# Interfaces


def test_interface_that_is_not_there_yet_is_no_failure(deployed, restored, command):
    ip("link", "add", "pk-late.7", "type", "veth", "peer", "name", "pk2")
    changed("xdp_filter", interface="pk-late.7", persist=True, config_dir=str(deployed))
    ip("link", "del", "pk-late.7")
    assert "not there yet: the interface of the filter on pk-late.7" in restored().stdout
    assert command("check").returncode == NOT_AS_WANTED
    ip("link", "add", "pk-late.7", "type", "veth", "peer", "name", "pk2")
    # In the name of a unit a dash stands for a slash.
    assert command("apply", "--interface", "pk/late.7").returncode == FINE
    assert program("pk-late.7")
    assert command("check").returncode == FINE


def test_interface_that_no_filter_is_wanted_on_is_left_alone(deployed, restored, command):
    restored()
    before = look()
    assert command("apply", "--interface", "pk1").returncode == FINE
    assert look() == before


# Failures


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"xdp": {"policy": "perhaps"}}',
        '{"xdp": {"colour": 1}}',
        '{"xdp": {"monitor": "yes"}}',
        '{"xdp": 7}',
    ],
)
def test_broken_filter_is_told_and_keeps_nothing_else_away(deployed, restored, content):
    changed("xdp_filter", interface="pk1", persist=True, config_dir=str(deployed))
    (deployed / "filters/pk0.json").write_text(content)
    said = restored(status=ERROR).stderr
    assert "pk0.json" in said or "policy" in said
    assert "Traceback" not in said
    assert not program("pk0")
    assert ping("pk1", LISTED) == "drop"


@pytest.mark.parametrize(
    "content",
    [
        "{",
        '{"entries": {"300.1.1.1": {"direction": "src"}}}',
        '{"entries": 1}',
        '{"sources": {"/nowhere": {"direction": "src"}}}',
    ],
)
def test_broken_entries_are_told_and_keep_nothing_else_away(deployed, restored, content):
    block(deployed)
    (deployed / "entries/blocklist/adhoc.json").write_text(content)
    said = restored(status=ERROR).stderr
    assert "adhoc.json" in said or "/nowhere" in said
    assert "Traceback" not in said
    assert [line.split()[0] for line in held()["blocklist"]] == [LISTED]
    assert ping("pk0", LISTED) == "drop"


@pytest.mark.parametrize("name", ["host", "filters/pk0", "entries/blocklist/inventory"])
def test_broken_wanted_state_is_mended_by_the_next_deployment_and_by_removal(deployed, name):
    path, config_dir, source = deployed / f"{name}.json", str(deployed), str(deployed / "blocklist")
    deploy = [
        {"name": "xdp_filter", "interface": "pk0", "policy": "drop", "max_entries": 1000},
        {"name": "xdp_blocklist", "src": source, "exclusive": True, "owner": "inventory"},
    ]
    good = files(deployed)
    path.write_text("{")
    assert True in [run(persist=True, config_dir=config_dir, **each)["changed"] for each in deploy]
    assert files(deployed) == good
    path.write_text("{")
    changed("xdp_filter", state="absent", config_dir=config_dir)
    assert list(files(deployed)) == [source]


def test_filter_that_cannot_be_attached_leaves_no_half_of_it(deployed, restored):
    (deployed / "filters/lo.json").write_text((deployed / "filters/pk0.json").read_text().replace("auto", "native"))
    assert "lo" in restored(status=ERROR).stderr
    assert list(facts()["filters"]) == ["pk0"]


def test_write_that_was_interrupted_is_passed_over(deployed, restored):
    block(deployed)
    (deployed / "entries/blocklist/adhoc.json.new").write_text('{"entries": {')
    restored()
    assert block(deployed, OTHER)["changed"]
    assert sorted(kept(deployed)["entries"]) == [BLOCKED, OTHER]


@pytest.mark.parametrize("name", ["filters/pk0.json", "entries", "entries/blocklist/adhoc.json"])
def test_link_in_the_wanted_state_is_refused(deployed, restored, name):
    block(deployed)
    planted = deployed / name
    planted.rename(deployed / "elsewhere")
    planted.symlink_to(deployed / "elsewhere")
    said = restored(status=ERROR).stderr
    assert str(planted) in said
    assert planted.is_symlink()


def test_wanted_state_that_others_can_change_is_refused(deployed, restored):
    (deployed / "filters/pk0.json").chmod(0o666)
    assert "only root can change" in restored(status=ERROR).stderr
    assert not program("pk0")


# Modules


def test_what_is_noted_is_for_root_only_whatever_the_umask(config):
    before = os.umask(0)
    try:
        changed("xdp_filter", interface="pk0", persist=True, config_dir=str(config))
        block(config)
    finally:
        os.umask(before)
    for path in [config, *config.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_check_mode_predicts_what_is_noted_and_notes_nothing(deployed, config):
    for arguments in (
        {"name": "xdp_filter", "interface": "pk1", "persist": True},
        {"name": "xdp_filter", "interface": "pk0", "policy": "drop", "persist": False},
        {"name": "xdp_blocklist", "ip": BLOCKED, "ttl": "1h"},
        {"name": "xdp_blocklist", "ip": LISTED, "owner": "inventory", "persist": True},
        {"name": "xdp_blocklist", "ip": BLOCKED, "state": "absent"},
    ):
        name = arguments.pop("name")
        before = files(deployed)
        foretold = run(name, check=True, config_dir=str(config), **arguments)
        assert files(deployed) == before
        done = run(name, config_dir=str(config), **arguments)
        assert done["changed"] == foretold["changed"] is True
        assert done["diff"] == foretold["diff"]
        assert files(deployed) != before


def test_list_file_to_come_is_predicted_as_it_will_be(deployed):
    arguments = {"src": str(deployed / "feed"), "exclusive": True, "owner": "feed", "config_dir": str(deployed)}
    foretold = run("xdp_blocklist", check=True, content=f"{BLOCKED}\n", **arguments)
    (deployed / "feed").write_text(f"{BLOCKED}\n")
    done = run("xdp_blocklist", **arguments)
    assert (done["changed"], done["diff"]) == (foretold["changed"], foretold["diff"])
    assert run("xdp_blocklist", check=True, content=f"{BLOCKED}\n", **arguments)["changed"] is False


# The command


def test_check_tells_drift_and_changes_nothing(deployed, command):
    assert command("check").returncode == FINE
    boot()
    before = look()
    done = command("check", "--json")
    assert done.returncode == NOT_AS_WANTED
    assert json.loads(done.stdout)["changed"] == ["filter on pk0"]
    assert look() == before


def test_status_says_when_a_wanted_filter_is_missing(deployed, command):
    assert command("status").returncode == FINE
    boot()
    done = command("status", "--json")
    assert done.returncode == NOT_AS_WANTED
    assert json.loads(done.stdout)["filters"] == {"pk0": {"wanted": True, "mode": "none"}}


def test_stats_and_list_tell_what_the_facts_tell(deployed, command):
    ping("pk0", LISTED, 3)
    told = facts()
    stats = json.loads(command("stats", "--json").stdout)
    assert stats["filters"]["pk0"]["counters"] == told["filters"]["pk0"]["counters"]
    listed = json.loads(command("list", "blocklist", "--json").stdout)
    assert listed["blocklist"]["entries"] == told["lists"]["blocklist"]["entries"]
    assert f"{LISTED} direction=src  # inventory; 3 packets" in command("list").stdout
    assert "blocklist ipv4: 3 packets" in command("stats").stdout


def test_list_prints_lines_that_a_list_file_can_have(deployed, command):
    block(deployed, ttl="1h")
    text = command("list", "blocklist").stdout
    assert run("xdp_blocklist", content=text, owner="copy")["updated_count"] == 2


@pytest.mark.parametrize("name", ["status", "stats", "list", "apply", "check"])
def test_host_that_nothing_is_wanted_on_is_fine(command, name):
    before = look()
    assert command(name).returncode == FINE
    assert look() == before


def test_reader_that_has_seen_enough_is_no_failure(deployed, runtime, config):
    block(config, "198.18.0.0/24,198.18.1.0/24")
    line = f"{runtime} list --config {config} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (FINE, "")


def test_base_is_the_one_that_was_chosen(config, command):
    base = DEFAULT_BASE + "-other"
    changed("xdp_filter", interface="pk0", persist=True, config_dir=str(config), base=base)
    boot()
    assert command("apply").returncode == FINE
    assert os.path.isdir(base)
    assert "pk0" in command("status").stdout
