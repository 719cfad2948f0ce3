"""acl.conf: which addresses may connect at all.

Called by `server` at every accept, before a byte is read. One rule a line, `allow NETWORK` or `deny NETWORK` (IPv4, IPv6, CIDR);
`#` begins a comment; the first rule that holds decides; if none does, the address is denied. This machine's own loopback addresses
are allowed unless a rule denies one of them by a loopback network (`deny 127.0.0.0/8`): `deny 0.0.0.0/0` closes the LAN, not the
box. Without a file only this machine may connect. It deliberately looks at nothing but the peer's address: no header, no name.

A line not understood refuses the start. A bad edit while running keeps the last good rules and says so once: a half-typed line must
neither lock the administrator out nor open what was closed, and the stricter of two readings of a broken file is anybody's guess.
"""

import ipaddress
from typing import NamedTuple

from agent.access.watched import Watched
from agent.errors import Invalid

LOOPBACK = tuple(ipaddress.ip_network(network) for network in ("127.0.0.0/8", "::1/128"))


class Rule(NamedTuple):
    """`allows` tells allow from deny; `network` is an ipaddress network."""

    allows: bool
    network: object


class Addresses:
    """The rules of one acl.conf, as they stand in the file now."""

    def __init__(self, rules):
        """Given an object whose `value()` is the current tuple of Rule, in file order."""
        self._rules = rules

    @classmethod
    def load(cls, path, *, missing_ok=True, **watching):
        """Given the path of acl.conf, return its Addresses.

        missing_ok: False when the administrator named the file; then a missing one is a fault.
        Raises: Invalid naming file, line and reason if a line isn't understood or the file is missing; Unavailable if it can't be read.
        """
        rules = Watched(path, parse, absent=None, **watching)
        if rules.value() is None and not missing_ok:
            raise Invalid("there is no such file", where=str(path))
        return cls(rules)

    def allows(self, address):
        """Given a peer's address as the socket names it ("10.0.0.7", "::ffff:10.0.0.7", "fe80::1%eth0"), tell if it may connect."""
        peer = plain_address(address)
        if peer is None:
            return False
        matching = (rule for rule in self._rules.value() or () if _holds(rule, peer))
        return next((rule.allows for rule in matching), peer.is_loopback)


def plain_address(text):
    """Given an address as text, return it as an ipaddress object: IPv4-mapped as IPv4, without its zone; None if it is no address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if address.version == 4:
        return address
    return address.ipv4_mapped or ipaddress.IPv6Address(int(address))


def parse(data, path):
    """Given the bytes of acl.conf, return a tuple of Rule in file order. Raise Invalid at the first line not understood."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    rules = (_rule(line.partition("#")[0].split(), f"{path}:{number}") for number, line in enumerate(lines, 1))
    return tuple(rule for rule in rules if rule)


def _rule(words, where):
    if not words:
        return None
    if len(words) != 2 or words[0] not in ("allow", "deny"):
        raise Invalid("a rule is `allow NETWORK` or `deny NETWORK`", where=where)
    try:
        network = ipaddress.ip_network(words[1])
    except ValueError as error:
        raise Invalid(f"{words[1]!a} is no network: {_reason(words[1], error)}", where=where) from error
    return Rule(words[0] == "allow", _unmapped(network))


def _reason(text, error):
    """Name the network that was probably meant if only host bits are in the way."""
    try:
        return f"it has host bits set, did you mean {ipaddress.ip_network(text, strict=False)}?"
    except ValueError:
        return ascii(str(error)).strip("'\"")


def _unmapped(network):
    """Return ::ffff:10.0.0.0/104 as 10.0.0.0/8, since peers are compared as IPv4."""
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < 96:
        return network
    return ipaddress.ip_network((mapped, network.prefixlen - 96))


def _holds(rule, peer):
    """Tell if the rule speaks of the peer; a rule denies loopback only by a network of loopback's own."""
    if peer not in rule.network:
        return False
    return rule.allows or not peer.is_loopback or any(_within(rule.network, own) for own in LOOPBACK)


def _within(network, outer):
    return network.version == outer.version and network.subnet_of(outer)
