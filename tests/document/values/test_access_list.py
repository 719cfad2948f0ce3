"""access_list.py: permit and deny lines; that Asterisk reads them so is proved in tests/appliance/test_real_values.py."""

import ipaddress

import pytest

from agent.document.values import AccessLine, AccessList
from agent.errors import Invalid


def rules(value, sense="permit"):
    return [(rule.permits, str(rule.address), str(rule.mask)) for rule in AccessLine.parse(value, sense).rules]


@pytest.mark.parametrize("value, network", [
    ("10.1.2.3", ("10.1.2.3", "255.255.255.255")), ("10.1.2.3/8", ("10.0.0.0", "255.0.0.0")),
    ("10.1.2.3/255.0.255.0", ("10.0.2.0", "255.0.255.0")),
    ("10.1.2.3/0", ("0.0.0.0", "0.0.0.0")), ("10.1", ("10.0.0.1", "255.255.255.255")), ("010.1.1.1", ("8.1.1.1", "255.255.255.255")),
    ("10.1.2.3/24x", ("10.1.2.0", "255.255.255.0")), ("10.1.2.3/ 24", ("10.1.2.0", "255.255.255.0")),
    ("10.1.2.3/8/9", ("10.0.0.0", "255.0.0.0")),
    ("::1", ("::1", "ffff:" * 7 + "ffff")), ("2001:db8::1/32", ("2001:db8::", "ffff:ffff::")),
    ("[::1]x/64", ("::", "ffff:ffff:ffff:ffff::")),
    ("::ffff:10.1.2.3/8", ("10.0.0.0", "255.0.0.0")), ("fe80::1%1/10", ("fe80::", "ffc0::")),
    ("[10.1.2.3]", ("10.1.2.3", "255.255.255.255")),
])
def test_an_address_and_its_mask_are_read_as_asterisk_does(value, network):
    assert [(address, str(ipaddress.ip_address(mask))) for _, address,
            mask in rules(value)] == [(network[0], str(ipaddress.ip_address(network[1])))]


@pytest.mark.parametrize("value",
                         ["", "!", "x", "localhost", "10.0.0.1:80", "[::1]:80", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/x",
                          "::1/129",
                                   "10.0.0.0/ffff::", " 10.0.0.1", "10.0.0.1 /8", "10.0.0.1.", "!!10.0.0.1", "fe80::1%eth0",
                          "10.0.0.1\x00", "１0.0.0.1", "\udcff"])
def test_an_entry_that_is_not_understood_ends_the_line_and_says_why(value):
    line = AccessLine.parse(f"10.0.0.1,{value},10.0.0.2")
    assert not line.understood and line.problem and len(line.rules) == 1


@pytest.mark.parametrize("sense, value, permits",
                         [("permit", "1.2.3.4", True), ("Permit", "1.2.3.4", True), ("deny", "1.2.3.4", False), ("DENY", "!1.2.3.4", True),
                                                   ("permit", "!1.2.3.4", False)])
def test_the_sense_and_its_negation(sense, value, permits):
    assert [rule[0] for rule in rules(value, sense)] == [permits]


def test_a_blank_after_a_comma_spoils_the_list():
    assert AccessLine.parse("10.0.0.0/8, 192.168.0.0/16").problem == "' 192.168.0.0/16': this is no address"


@pytest.mark.parametrize("variables, address, permitted", [
    ([], "1.2.3.4", True),
    ([("deny", "0.0.0.0/0"), ("permit", "10.0.0.0/8")], "10.1.2.3", True),
    ([("permit", "10.0.0.0/8"), ("deny", "0.0.0.0/0")], "10.1.2.3", False),
    ([("deny", "::/0")], "10.1.2.3", True),
    ([("deny", "0.0.0.0/0")], "::1", True),
    ([("deny", "0.0.0.0/0")], "::ffff:10.1.2.3", False),
    ([("secret", "x"), ("deny", "10.0.0.0/8,!10.1.0.0/16")], "10.1.2.3", True),
    ([("permit", "10.0.0.0/8, 1.1.1.1")], "10.1.2.3", False),
])
def test_the_last_rule_that_matches_decides(variables, address, permitted):
    assert AccessList.parse(variables).permits(address) is permitted
    assert AccessList.parse(variables).permits(ipaddress.ip_address(address)) is permitted


def test_entries_are_changed_in_place():
    line = AccessLine.parse("10.0.0.0/8, !10.1.0.0/16 ,x", "deny")
    assert str(line.with_piece(1, "10.2.0.0/16")) == "10.0.0.0/8, 10.2.0.0/16 ,x"
    assert str(line.without_piece(0)) == " !10.1.0.0/16 ,x" and str(line.without_piece(2)) == "10.0.0.0/8, !10.1.0.0/16 "
    assert str(line.adding("::1")) == "10.0.0.0/8, !10.1.0.0/16 ,x,::1" and line.adding("::1").sense == "deny"
    assert str(AccessLine.parse("").adding("::1")) == "::1"
    assert line.entries[1].address == " !10.1.0.0"
    with pytest.raises(Invalid):
        line.adding("::1,::2")
