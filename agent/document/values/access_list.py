"""Access lists: the `permit` and `deny` lines of acl.conf, manager.conf, pjsip.conf and others, one by one and as a list.

Called by resources. The last rule that matches an address decides, none allows; a rule of the other address family matches nothing.
One entry that isn't understood, even a blank after a comma, and Asterisk refuses the whole: of acl.conf every list, in manager.conf that
user (log: "Deleting user"). Proved on 16.28.0 and 22.10.1, which agree: generated lists against `acl show`, and logins from several
addresses (tests/appliance/test_real_values.py). It deliberately resolves no names, as Asterisk doesn't, and no named lists (`acl=`).
Source: main/acl.c ast_append_ha, parse_cidr_mask, ast_apply_ha; main/netsock2.c ast_sockaddr_split_hostport, ast_sockaddr_parse.
"""

import ipaddress
import re
import socket
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from .interpretation import Listed
from .strings import number

_CIDR_DIGITS = 30


class AccessEntry(NamedTuple):
    """One entry as typed, `[!]address[/mask]`: is_negated, address, mask (None without `/`; what follows a second `/` doesn't count)."""

    is_negated: bool
    address: str
    mask: str | None


class AccessRule(NamedTuple):
    """One entry as Asterisk applies it: permits (bool), address and mask as ipaddress objects of one version, the mask applied.

    A mask may have holes (255.0.255.0), so it isn't always a network.
    """

    permits: bool
    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    mask: ipaddress.IPv4Address | ipaddress.IPv6Address

    def matches(self, address):
        """Return whether it says something about this address (an ipaddress object, IPv4 never inside IPv6)."""
        return address.version == self.address.version and int(address) & int(self.mask) == int(self.address)


@dataclass(frozen=True)
class AccessLine(Listed):
    """The value of one `permit` or `deny`, whose name is `sense`: a name beginning with `p` in any case permits, any other denies."""

    sense: str = "permit"

    @classmethod
    def parse(cls, value, sense="permit"):
        """Given a variable's value and name, return its entries; never raises."""
        return cls(value, sense)

    @property
    def entries(self):
        """tuple of AccessEntry, one for each of `pieces`."""
        return tuple(map(_entry, self.pieces))

    @cached_property
    def rules(self):
        """tuple of AccessRule: up to the first entry that Asterisk doesn't take."""
        return tuple(self._read[0])

    @property
    def problem(self):
        return self._read[1]

    @cached_property
    def _read(self):
        rules = []
        for piece, entry in zip(self.pieces, self.entries):
            try:
                address, mask = _network(entry)
            except ValueError as error:
                return rules, f"{piece!r}: {error}"
            rules.append(AccessRule((self.sense[:1].lower() == "p") != entry.is_negated, address, mask))
        return rules, None

    def _reread(self, text):
        return AccessLine(text, self.sense)


class AccessList(NamedTuple):
    """Several lines in their order. rules: tuple of AccessRule; problem: why Asterisk would refuse it all, or None."""

    rules: tuple
    problem: str | None

    @classmethod
    def parse(cls, variables):
        """Given variables as (name, value), return the list that their `permit` and `deny` lines give; others are passed over."""
        lines = [AccessLine(value, name) for name, value in variables if name.lower() in ("permit", "deny")]
        problem = next((line.problem for line in lines if line.problem), None)
        return cls(tuple(rule for line in lines for rule in line.rules), problem)

    @property
    def understood(self):
        return self.problem is None

    def permits(self, address):
        """Given an address (str or ipaddress object), return whether it passes; nobody does if the list has a problem."""
        address = _unmapped(ipaddress.ip_address(address))
        permitted = True
        for rule in self.rules:
            if rule.matches(address):
                permitted = rule.permits
        return permitted and self.understood


def _entry(piece):
    address, slash, rest = piece.partition("/")
    return AccessEntry(address.startswith("!"), address.removeprefix("!"), rest.partition("/")[0] if slash else None)


def _network(entry):
    """Return address and mask. Raise ValueError with the reason."""
    address = _address(entry.address)
    mask = _mask(entry.mask, address)
    return type(address)(int(address) & int(mask)), mask


def _mask(text, address):
    bits = address.max_prefixlen
    if text is None:
        return type(address)((1 << bits) - 1)
    if ":" in text or "." in text:
        mask = _address(text)
        if mask.version != address.version:
            raise ValueError("address and mask are of two families")
        return mask
    length = number(text, _CIDR_DIGITS)
    if length is None or not 0 <= length <= bits:
        raise ValueError(f"the mask isn't a number from 0 to {bits}")
    return type(address)((1 << bits) - (1 << bits - length))


def _address(text):
    """Return an ipaddress object, IPv4 out of IPv6 taken out. Raise ValueError."""
    host = _host(text)
    try:
        if ":" not in host:
            if re.search(r"[^0-9A-Fa-fxX.]", host):
                raise OSError  # inet_aton would pass over what follows a blank
            return ipaddress.IPv4Address(socket.inet_aton(host))  # the old spellings too: 10.1 is 10.0.0.1, 010.1 is 8.0.0.1
        return _unmapped(ipaddress.IPv6Address(socket.inet_pton(socket.AF_INET6, _without_zone(host))))
    except (OSError, ValueError) as error:
        raise ValueError("this is no address") from error


def _host(text):
    """Return what is looked at: of `[::1]junk` the inside of the brackets. A port isn't allowed. Raise ValueError."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        if rest.startswith(":"):
            raise ValueError("a port isn't allowed")
        return host
    if text.count(":") == 1:
        raise ValueError("a port isn't allowed")
    return text


def _without_zone(host):
    """A zone doesn't count when addresses are compared; one that isn't a number must be an interface of that machine: we can't know."""
    host, percent, zone = host.partition("%")
    if percent and not re.fullmatch("[0-9]{1,9}", zone):
        raise ValueError("only that machine knows whether it has this zone")
    return host


def _unmapped(address):
    return getattr(address, "ipv4_mapped", None) or address
