"""acl.conf: the first rule that holds decides; what isn't understood is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.access.addresses import Addresses, parse, plain_address
from agent.errors import Invalid


class Fixed:
    def __init__(self, text):
        self.rules = parse(text.encode(), "acl.conf")

    def value(self):
        return self.rules


def addresses(text):
    return Addresses(Fixed(text))


LOOPBACK = ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"]
GARBAGE = ["", "localhost", "10.0.0.1\n", " 10.0.0.1", "10.0.0.1/32", "10.0.0", "010.0.0.1", "1.2.3.4%eth0", "::ffff:10.0.0.256", "unix:",
    "١٠.0.0.1"]


@pytest.mark.parametrize("address", LOOPBACK)
def test_without_a_file_this_machine_may_connect(tmp_path, address):
    assert Addresses.load(tmp_path / "acl.conf").allows(address)


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.2", "fe80::1", "2001:db8::1", "0.0.0.0", "::", "128.0.0.1", "126.255.255.255"])
def test_without_a_file_nobody_else_may(tmp_path, address):
    assert not Addresses.load(tmp_path / "acl.conf").allows(address)


def test_a_file_that_was_asked_for_must_be_there(tmp_path):
    with pytest.raises(Invalid, match="acl.conf"):
        Addresses.load(tmp_path / "acl.conf", missing_ok=False)


@pytest.mark.parametrize("address", GARBAGE)
def test_garbage_is_denied_even_where_everybody_is_allowed(address):
    assert not addresses("allow 0.0.0.0/0\nallow ::/0\n").allows(address)


def test_no_match_is_denied():
    rules = addresses("allow 10.0.0.0/8\n")
    assert rules.allows("10.255.255.255")
    assert not rules.allows("11.0.0.0")


def test_the_first_match_wins_not_the_narrowest():
    assert addresses("allow 10.0.0.0/8\ndeny 10.1.0.0/16\n").allows("10.1.2.3")
    assert not addresses("deny 10.1.0.0/16\nallow 10.0.0.0/8\n").allows("10.1.2.3")


def test_a_lone_address_is_a_network_of_one():
    rules = addresses("allow 10.0.0.7\nallow fd00::7\n")
    assert rules.allows("10.0.0.7") and rules.allows("fd00::7")
    assert not rules.allows("10.0.0.8") and not rules.allows("fd00::8")


def test_mapped_addresses_and_zones_are_what_they_stand_for():
    rules = addresses("allow 10.0.0.0/8\nallow fe80::/10\n")
    assert rules.allows("::ffff:10.0.0.1")
    assert rules.allows("fe80::1%eth0")
    assert not rules.allows("::ffff:11.0.0.1")


def test_a_mapped_network_in_a_rule_is_the_ipv4_one():
    rules = addresses("deny ::ffff:10.1.0.0/112\nallow 10.0.0.0/8\n")
    assert not rules.allows("10.1.2.3") and not rules.allows("::ffff:10.1.2.3")
    assert rules.allows("10.2.0.1")


def test_slash_zero_means_everybody_of_its_own_family_only():
    """CVE-2010-1224 was about an ACL that took /0 for something else."""
    assert addresses("allow 0.0.0.0/0\n").allows("8.8.8.8")
    assert not addresses("allow 0.0.0.0/0\n").allows("2001:db8::1")
    assert not addresses("deny 0.0.0.0/0\nallow 8.8.8.8\n").allows("8.8.8.8")


@pytest.mark.parametrize("address", LOOPBACK)
def test_loopback_is_denied_only_by_a_network_of_its_own(address):
    assert addresses("deny 0.0.0.0/0\ndeny ::/0\n").allows(address)
    assert not addresses("deny 127.0.0.0/8\ndeny ::1\n").allows(address)


def test_comments_blanks_and_crlf_are_no_rules():
    rules = addresses("# allow 1.2.3.4\r\n\r\n  allow   10.0.0.0/8  # the LAN\r\n\t\n")
    assert rules.allows("10.0.0.1") and not rules.allows("1.2.3.4")


@pytest.mark.parametrize("line", [
    "allow", "permit 10.0.0.0/8", "Allow 10.0.0.0/8", "allow 10.0.0.0/8 10.1.0.0/16", "allow all", "allow 10.0.0.0/33", "allow ::/129",
    "allow 10.0.0.1/8", "allow 10.0.0.0/255.0.255.0", "allow 10.0.0.0/-1", "allow 10.0.0", "allow 300.1.1.1", "allow /8",
    "allow=10.0.0.0/8",
    "allow fe80::1%eth0/64", "allow \udcff", "10.0.0.0/8", "allow 192.168.000.0/16",
])
def test_a_line_not_understood_names_file_line_and_reason(line):
    with pytest.raises(Invalid) as refused:
        parse(f"allow 10.0.0.0/8\n# fine\n{line}\n".encode("utf-8", "surrogateescape"), "dir/acl.conf")
    assert str(refused.value).startswith("dir/acl.conf:3: ")
    assert len(refused.value.message) > 10


def test_host_bits_are_pointed_out_with_what_was_probably_meant():
    with pytest.raises(Invalid, match="did you mean 192.168.1.0/24"):
        parse(b"allow 192.168.1.7/24\n", "acl.conf")


def test_a_bad_line_refuses_the_start_and_a_bad_edit_keeps_the_last_rules(tmp_path, caplog):
    path = tmp_path / "acl.conf"
    path.write_text("nonsense\n")
    with pytest.raises(Invalid, match="acl.conf:1"):
        Addresses.load(path)
    path.write_text("allow 10.0.0.0/8\n")
    rules = Addresses.load(path, settle_s=0)
    path.write_text("deny 10.0.0.0/8\nallo\n")
    assert rules.allows("10.0.0.1")
    assert "acl.conf:2" in caplog.text
    path.write_text("deny 10.0.0.0/8\n")
    assert not rules.allows("10.0.0.1")


@given(st.ip_addresses(v=4))
def test_a_mapped_address_gets_the_answer_of_the_plain_one(address):
    rules = addresses("deny 10.128.0.0/9\nallow 0.0.0.0/1\ndeny 200.0.0.0/8\nallow 192.0.0.0/2\n")
    assert rules.allows(f"::ffff:{address}") == rules.allows(str(address))


@given(st.text(max_size=40))
def test_no_text_at_all_makes_it_raise(text):
    addresses("allow 10.0.0.0/8\n").allows(text)
    plain_address(text)
