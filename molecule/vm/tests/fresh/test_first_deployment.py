"""Machines on which PingKiller has never been."""

import json


def test_check_mode_touches_nothing_and_the_disk_is_remembered_for_the_removal(everywhere, disk, deploy, remembered):
    before = everywhere(disk)
    predicted = deploy("--check", "--diff")
    assert predicted.returncode == 0
    assert all(predicted.changed.values())
    assert everywhere(disk) == before
    remembered.write_text(json.dumps(before))


def test_no_kernel_headers_are_there(everywhere, on):
    found = everywhere(lambda host: on(host, "sh", "-c", "ls -d /lib/modules/*/build /usr/src/linux-* 2>/dev/null"))
    assert set(found.values()) == {""}
