"""The brake on guesses: after a few wrong ones, an address must wait, and each further one doubles the wait.

Called by `accounts` around every check of credentials. Two counts: one for an address and an account together, a looser one for the
address alone. An account is never locked for others: whoever guesses from elsewhere delays only himself. Memory is bounded: the
entries longest unused go first. It deliberately writes no log and no file: after a restart everybody starts anew.
"""

import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from agent.access.addresses import plain_address
from agent.errors import Throttled

FORGET_S = 900
PAIR_FREE, PAIR_MAX_S = 3, 60
ADDRESS_FREE, ADDRESS_MAX_S = 20, 60
MAX_ENTRIES = 4096
NAME_LENGTH = 64


@dataclass
class Count:
    """Wrong guesses so far, when the last one was, and until when (monotonic seconds) no other is looked at."""

    failures: int = 0
    last: float = 0.0
    until: float = 0.0


class Throttle:
    """Counts wrong guesses by (address, account) and by address; safe for threads."""

    def __init__(self, *, clock=time.monotonic, max_entries=MAX_ENTRIES):
        """Given a clock (seconds, never going back) and the most entries to remember of each kind, start with none."""
        self._clock = clock
        self._max_entries = max_entries
        self._pairs, self._addresses = OrderedDict(), OrderedDict()
        self._lock = threading.Lock()

    def check(self, address, user):
        """Given a caller's address and claimed name, return if it may try now. Raise Throttled with the seconds left if not."""
        host = _host(address)
        with self._lock:
            now = self._clock()
            until = max(_until(self._pairs, (host, user[:NAME_LENGTH])), _until(self._addresses, host))
        if until > now:
            raise Throttled("too many wrong credentials from this address; wait and try again", retry_after_s=math.ceil(until - now))

    def failed(self, address, user):
        """Given a caller whose credentials were wrong, make its next wait longer."""
        host = _host(address)
        with self._lock:
            self._count(self._pairs, (host, user[:NAME_LENGTH]), PAIR_FREE, PAIR_MAX_S)
            self._count(self._addresses, host, ADDRESS_FREE, ADDRESS_MAX_S)

    def succeeded(self, address, user):
        """Given a caller whose credentials were right, forget its wrong ones.

        Wrong guesses at other accounts stay counted, or one good account would be a licence to guess at the rest.
        """
        host = _host(address)
        with self._lock:
            forgiven = self._pairs.pop((host, user[:NAME_LENGTH]), None)
            if forgiven and host in self._addresses:
                count = self._addresses[host]
                count.failures = max(0, count.failures - forgiven.failures)

    def _count(self, counts, key, free, max_s):
        now = self._clock()
        count = counts.pop(key, None) or Count()
        if now - count.last > FORGET_S:
            count = Count()
        count.failures += 1
        count.last = now
        if count.failures >= free:
            # The exponent is bounded too: 2 ** 100000 would be a number of its own weight.
            count.until = now + min(max_s, 2.0 ** min(count.failures - free, 10))
        counts[key] = count
        while len(counts) > self._max_entries:
            counts.popitem(last=False)


def _until(counts, key):
    count = counts.get(key)
    return count.until if count else 0.0


def _host(address):
    """Return what one machine can't change at will: an IPv4 address, the /64 of an IPv6 one."""
    plain = plain_address(address)
    if plain is None or plain.version == 4:
        return str(plain)
    return str(plain) if plain.is_loopback or plain.is_link_local else plain.packed[:8].hex()
