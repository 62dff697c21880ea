# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how addresses and networks are parsed and written."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses, list_files
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries.claims import Claim
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema

settings.register_profile("unit", deadline=None)  # a busy machine is not a failure
settings.load_profile("unit")

SOURCE = Claim((schema.SOURCE,))
MAPPED = ipaddress.ip_network("::ffff:0:0/96")


@st.composite
def networks(draw):
    """Draw an IPv4 or IPv6 network of any prefix length."""
    version, longest = draw(st.sampled_from([(4, 32), (6, 128)]))
    address = draw(st.ip_addresses(v=version))
    return ipaddress.ip_network(f"{address}/{draw(st.integers(0, longest))}", strict=False)


def canonical(network) -> str:
    """Return the text that should be shown for a network, computed with the standard library."""
    if network.version == 6 and network.subnet_of(MAPPED):
        four = ipaddress.ip_address(network.network_address.packed[12:])
        network = ipaddress.ip_network(f"{four}/{network.prefixlen - 96}")
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1/32", "192.0.2.1"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:0201", "192.0.2.1"),
        ("::ffff:192.0.2.1/128", "192.0.2.1"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("2001:DB8:0:0:0::1", "2001:db8::1"),
        ("2001:db8::1/128", "2001:db8::1"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::/0", "::/0"),
    ],
)
def test_an_entry_has_one_canonical_form(written, shown):
    assert addresses.display(addresses.parse(written)) == shown


@given(networks())
@example(ipaddress.ip_network("::/0"))
@example(ipaddress.ip_network("::ffff:0:0/95", strict=False))
def test_every_network_is_understood_as_the_standard_library_does(network):
    # Compare networks, not text: an IPv6 address can be written correctly in more than one way.
    shown = addresses.display(addresses.parse(str(network)))
    assert ipaddress.ip_network(shown) == ipaddress.ip_network(canonical(network))
    assert ("/" in shown) == ("/" in canonical(network))


@given(networks())
def test_what_is_shown_can_be_given_back(network):
    key = addresses.parse(str(network))
    assert addresses.parse(addresses.display(key)) == key


@given(networks())
def test_a_key_tells_its_kind_by_its_size(network):
    key = addresses.parse(str(network))
    kind = schema.KIND_OF_SIZE[len(key)]
    shown = ipaddress.ip_network(addresses.display(key))
    assert kind == ("exact" if shown.prefixlen == shown.max_prefixlen else "network") + str(shown.version)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("300.1.1.1", "is not an IPv4 or IPv6 address: write it like 192.0.2.1 or 2001:db8::1"),
        ("1.2.3", "is not an IPv4 or IPv6 address"),
        ("1.2.3.4.5", "is not an IPv4 or IPv6 address"),
        ("01.2.3.4", "is not an IPv4 or IPv6 address"),
        ("0x7f000001", "is not an IPv4 or IPv6 address"),
        ("2130706433", "is not an IPv4 or IPv6 address"),
        ("1.2.3.4\0", "is not an IPv4 or IPv6 address"),
        ("\uff11.2.3.4", "is not an IPv4 or IPv6 address"),
        ("host.example", "is not an IPv4 or IPv6 address"),
        ("2001:db8:::1", "is not an IPv4 or IPv6 address"),
        (
            "10.0.0.1/8",
            "has bits set behind its prefix: write 10.0.0.0/8 for the network or 10.0.0.1 for the one address",
        ),
        ("2001:db8::1/32", "write 2001:db8::/32 for the network or 2001:db8::1 for the one address"),
        ("0.0.0.1/0", "write 0.0.0.0/0 for the network or 0.0.0.1 for the one address"),
        ("300.0.0.0/8", "is not a network: '300.0.0.0' is not an IPv4 or IPv6 address"),
        ("fe80::1%eth0", "has a zone id: leave out the % and what follows; an entry holds on every interface"),
        ("fe80::%eth0/64", "has a zone id"),
        ("", "is empty: give an IPv4 or IPv6 address or network"),
        ("/24", "is empty"),
        ("10.0.0.0/33", "has no valid prefix length: write a number from 0 to 32 behind the slash"),
        ("2001:db8::/129", "write a number from 0 to 128"),
        ("10.0.0.0/-8", "has no valid prefix length"),
        ("10.0.0.0/+8", "has no valid prefix length"),
        ("10.0.0.0/", "has no valid prefix length"),
        ("10.0.0.0/ 8", "has no valid prefix length"),
        ("10.0.0.0/8/8", "has no valid prefix length"),
        ("10.0.0.0/255.0.0.0", "has no valid prefix length"),
        ("10.0.0.0/\u0668", "has no valid prefix length"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason_and_the_way_out(written, said):
    with pytest.raises(ValueError, match=".") as refusal:
        addresses.parse(written)
    assert said in str(refusal.value)


@given(st.ip_addresses(), st.integers(0, 127))
def test_bits_behind_the_prefix_are_refused_and_nothing_else(address, length):
    text = f"{address}/{length % address.max_prefixlen}"
    clean = ipaddress.ip_interface(text).network.network_address == address
    if clean:
        addresses.parse(text)
    else:
        with pytest.raises(ValueError, match="has bits set behind its prefix"):
            addresses.parse(text)


@given(st.text(alphabet=st.one_of(st.sampled_from("0123456789abcdef.:/% "), st.characters())))
def test_any_text_is_an_entry_or_refused(text):
    try:
        key = addresses.parse(text)
    except ValueError:
        return
    assert addresses.parse(addresses.display(key)) == key


def test_entries_are_shown_in_the_order_of_their_addresses():
    ordered = [
        "9.0.0.0",
        "10.0.0.0",
        "10.0.0.0/8",
        "10.0.0.1",
        "192.0.2.1",
        "::/0",
        "2001:db8::",
        "2001:db8::/32",
        "ff00::",
    ]
    keys = sorted((addresses.parse(text) for text in reversed(ordered)), key=addresses.sort_key)
    assert [addresses.display(key) for key in keys] == ordered


def covered(text):
    """Return the addresses in the networks that a range is converted to, as numbers."""
    found = set()
    for key in addresses.parse_entry(text):
        network = ipaddress.ip_network(addresses.display(key))
        found |= set(range(int(network.network_address), int(network.broadcast_address) + 1))
    return found


@given(st.ip_addresses(), st.integers(0, 300))
def test_a_range_is_covered_by_networks_that_hold_it_and_nothing_else(first, length):
    last = type(first)(min(int(first) + length, 2**first.max_prefixlen - 1))
    assume(not any(first.version == 6 and address.ipv4_mapped for address in (first, last)))
    assert covered(f"{first}-{last}") == set(range(int(first), int(last) + 1))


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("192.0.2.7-192.0.2.7", ["192.0.2.7"]),
        ("0.0.0.0-255.255.255.255", ["0.0.0.0/0"]),
        ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ["::/0"]),
        ("::ffff:192.0.2.0-::ffff:192.0.2.3", ["192.0.2.0/30"]),
        ("10.0.0.255-10.0.1.0", ["10.0.0.255", "10.0.1.0"]),
    ],
)
def test_a_range_is_as_few_networks_as_can_be(text, entries):
    assert list(map(addresses.display, addresses.parse_entry(text))) == entries


@given(st.ip_addresses(), st.ip_addresses())
def test_a_range_is_at_most_254_networks(one, other):
    first, last = sorted((one, type(one)(int(other) % 2**one.max_prefixlen)))
    assume(not any(first.version == 6 and address.ipv4_mapped for address in (first, last)))
    assert len(addresses.parse_entry(f"{first}-{last}")) <= (62 if one.version == 4 else 254)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("192.0.2.9-192.0.2.1", "is a range that ends before it begins: write the lower address first"),
        ("192.0.2.1-9", "is a range to '9', which is not an IPv4 or IPv6 address: write both ends whole"),
        ("192.0.2.1-", "is a range to '', which is not"),
        ("192.0.2.1-2001:db8::1", "is a range from one family of addresses into the other: write one range for each"),
        ("192.0.2.0/24-192.0.3.0/24", "has no valid prefix length"),
        ("my-host.example", "is not an IPv4 or IPv6 address"),
        ("fe80::1%eth0-fe80::2%eth0", "has a zone id"),
    ],
)
def test_what_is_no_range_is_refused_with_the_reason_and_the_way_out(text, said):
    with pytest.raises(ValueError, match=".") as refusal:
        addresses.parse_entry(text)
    assert said in str(refusal.value)


@given(networks(), st.integers(0, 2**128 - 1))
def test_masking_makes_of_any_bits_behind_a_prefix_the_network(network, bits):
    host = network[bits % min(network.num_addresses, 2**64)]
    text = f"{host}/{network.prefixlen}"
    assert addresses.parse(text, mask=True) == addresses.parse(str(network))


@given(networks())
def test_a_key_can_be_taken_apart_and_put_together(network):
    address, length = addresses.split(addresses.parse(str(network)))
    assert addresses.network(address, length) == addresses.parse(str(network))
    assert addresses.network(address, 0) == addresses.parse("0.0.0.0/0" if len(address) == 4 else "::/0")


def test_doubles_collapse():
    texts = ["192.0.2.1", "192.0.2.1/32", "::ffff:192.0.2.1", "2001:db8::1", "2001:DB8:0::1"]
    assert list_files.parse_all(texts, SOURCE).by_key() == {
        socket.inet_pton(socket.AF_INET, "192.0.2.1"): SOURCE,
        socket.inet_pton(socket.AF_INET6, "2001:db8::1"): SOURCE,
    }


def test_every_bad_address_of_a_task_is_named_at_once_up_to_ten():
    texts = ["192.0.2.1"] + [f"300.0.0.{number}" for number in range(12)]
    with pytest.raises(PingKillerError) as refusal:
        list_files.parse_all(texts, SOURCE)
    said = str(refusal.value)
    assert said.startswith("ip='300.0.0.0' is not an IPv4 or IPv6 address: ")
    assert "ip='300.0.0.9'" in said
    assert "300.0.0.10" not in said
    assert said.endswith("; and 2 more")


def test_no_address_at_all_is_refused():
    with pytest.raises(PingKillerError, match="^ip is empty: give at least one"):
        list_files.parse_all([], SOURCE)
