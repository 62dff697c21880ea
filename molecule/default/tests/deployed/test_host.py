"""What is on a host that PingKiller is deployed to."""

import json

testinfra_hosts = ["ansible://fleet"]


def test_filter_is_attached_natively_to_the_interface_of_the_default_route(host, facts):
    (interface,) = facts()["filters"]
    assert interface == host.check_output("ip route show default | grep -o 'dev [^ ]*' | cut -d' ' -f2")
    link = json.loads(host.check_output(f"ip -j -d link show dev {interface}"))[0]
    assert facts()["filters"][interface]["mode"] == "native"
    assert facts()["filters"][interface]["program"]["id"] == link["xdp"]["prog"]["id"]


def test_pins_are_for_root_only(host):
    assert host.file("/sys/fs/bpf/pingkiller").mode == 0o700
    assert host.file("/sys/fs/bpf/pingkiller").user == "root"


def test_wanted_lists_are_for_root_only(host):
    assert host.file("/etc/pingkiller").mode == 0o700
    for name in ("blocklist", "allowlist"):
        assert host.file(f"/etc/pingkiller/{name}").mode == 0o600


def test_wanted_list_says_where_each_entry_comes_from(host, name):
    lines = host.file("/etc/pingkiller/blocklist").content_string
    assert "pingkiller_blocklist_host" in lines
    assert ("pingkiller_blocklist_web" in lines) == (name != "charlie")
    assert ("pingkiller_blocklist_db" in lines) == (name == "charlie")
    assert "scans everybody every night" in lines


def test_facts_list_what_the_inventory_says_and_who_owns_it(host, name, facts):
    number = {"alpha": 11, "bravo": 12, "charlie": 13}[name]
    group = "192.0.2.0/24" if name == "charlie" else "198.51.100.0/24"
    blocklist = facts()["lists"]["blocklist"]
    assert {entry["ip"] for entry in blocklist["entries"]} == {
        "203.0.113.66",
        "2001:db8:bad::/48",
        group,
        f"203.0.113.{number}",
    }
    assert all(entry["owners"] == ["inventory"] for entry in blocklist["entries"])
    assert blocklist["count"] == 4
    assert [entry["ip"] for entry in facts()["lists"]["allowlist"]["entries"]] == ["198.51.100.10"]


def test_facts_count_exactly_the_packets_that_were_sent(name, facts, ping):
    def dropped():
        (attached,) = facts()["filters"].values()
        return attached["counters"]["dropped"]["packets"]

    def entry():
        (found,) = (entry for entry in facts()["lists"]["blocklist"]["entries"] if entry["ip"] == "203.0.113.66")
        return found

    dropped_before, entry_before = dropped(), entry()
    ping("203.0.113.66", name, "-c", "20", "-i", "0.01")
    assert dropped() - dropped_before == 20
    assert entry()["packets"] - entry_before["packets"] == 20
    assert entry()["bytes"] - entry_before["bytes"] == 20 * (14 + 20 + 8 + 56)


def test_facts_are_the_same_in_check_mode(facts, module):
    in_check_mode = module("xdp_facts", check=True)["ansible_facts"]["pingkiller"]
    assert in_check_mode["lists"] == facts()["lists"]
    assert in_check_mode["filters"].keys() == facts()["filters"].keys()


def test_blocking_by_hand_works_at_once_and_is_undone_by_hand(name, module, ping):
    assert ping("203.0.113.99", name, patience=5)
    try:
        done = module("xdp_blocklist", ip="203.0.113.99", state="present")
        assert done["changed"]
        assert done["added"] == ["203.0.113.99"]
        assert not module("xdp_blocklist", ip="203.0.113.99", state="present")["changed"]
        assert not ping("203.0.113.99", name)
    finally:
        done = module("xdp_blocklist", ip="203.0.113.99", state="absent")
    assert done["removed"] == ["203.0.113.99"]
    assert ping("203.0.113.99", name, patience=5)


def test_check_mode_of_blocking_by_hand_predicts_and_blocks_nothing(name, module, ping):
    done = module("xdp_blocklist", check=True, ip="203.0.113.98")
    assert done["changed"]
    assert done["added"] == ["203.0.113.98"]
    assert ping("203.0.113.98", name, patience=5)


def test_bad_address_is_refused_by_name(module, facts):
    before = facts()["lists"]["blocklist"]["count"]
    done = module("xdp_blocklist", ip="203.0.113.97,300.1.1.1")
    assert done["failed"]
    assert "300.1.1.1" in done["msg"]
    assert facts()["lists"]["blocklist"]["count"] == before
