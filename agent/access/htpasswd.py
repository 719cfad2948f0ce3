"""users.ht: names and hashed passwords, as Apache's `htpasswd` writes them.

Called by `accounts` for Basic. Knows the formats of httpd on Linux but plain text, and asks passlib (here is its only door) only about
a hash whose whole form it recognised first: a hash of unknown form is never compared with anything. An unknown name costs the work
of a known one. A missing file means nobody. It deliberately writes nothing: `pbx-agent passwd` and `htpasswd` do.
"""

import hashlib
import hmac
import logging
import os
import re
import secrets
import threading
import time
from collections import Counter, OrderedDict
from typing import NamedTuple

from passlib.hash import apr_md5_crypt, bcrypt, des_crypt, ldap_sha1, sha256_crypt, sha512_crypt

from agent.access.watched import Watched
from agent.errors import Unavailable

log = logging.getLogger("pbx_agent.access")

# passlib 1.7.4 asks bcrypt >= 4.1 for a version attribute that is gone, and warns with a traceback, though it goes on and works
# (Debian 13 ships this pair). Nothing that passlib warns of is for our administrator.
logging.getLogger("passlib").setLevel(logging.ERROR)

CRYPT = "[./0-9A-Za-z]"
# (form of the whole hash, passlib's handler, significant bytes of a password). Longer than that, httpd cuts; so do we, since bcrypt 5
# raises instead. The costs are bounded as in `htpasswd` itself: one line of the file must not take a minute of CPU for each request.
FORMATS = tuple(
    (re.compile(form), handler, significant)
    for form, handler, significant in (
        (rf"(?P<kind>\$apr1\$){CRYPT}{{0,8}}\${CRYPT}{{22}}", apr_md5_crypt, None),
        (r"(?P<kind>\{SHA\})[A-Za-z0-9+/]{27}=", ldap_sha1, None),
        (rf"(?P<kind>\$2[aby]\$(?:0[4-9]|1[0-7])\$){CRYPT}{{53}}", bcrypt, 72),
        (rf"(?P<kind>\$5\$(?:rounds=[1-9][0-9]{{3,5}}\$)?){CRYPT}{{0,16}}\${CRYPT}{{43}}", sha256_crypt, None),
        (rf"(?P<kind>\$6\$(?:rounds=[1-9][0-9]{{3,5}}\$)?){CRYPT}{{0,16}}\${CRYPT}{{86}}", sha512_crypt, None),
        (rf"(?P<kind>){CRYPT}{{13}}", des_crypt, 8),
    )
)
# `htpasswd` takes at most 255 bytes, and passlib refuses more than 4,096 with an exception.
MAX_PASSWORD_BYTES = 1024
GOOD_ENTRIES, GOOD_S = 256, 300
HASHES_AT_ONCE, HASH_WAIT_S = 2, 1


class Entries(NamedTuple):
    """hashes: {name: hash}, only first entries of known form; stand_in: a hash of the most usual form, or None in an empty file."""

    hashes: dict
    stand_in: str | None


class Passwords:
    """The accounts of one users.ht, as they stand in the file now; safe for threads."""

    def __init__(self, path, *, clock=time.monotonic, **watching):
        """Given the path of users.ht, read it. Raise Unavailable if it is there and can't be read."""
        self._entries = Watched(path, parse, absent=Entries({}, None), **watching)
        self._good = Good(clock)
        self._hashing = threading.BoundedSemaphore(HASHES_AT_ONCE)

    def verify(self, user, password):
        """Given a name and a password as they came, tell if they are an account's.

        password: bytes as sent, or str (its UTF-8 form). Not ASCII, it may be UTF-8 or latin-1 there and in the file: both are tried.
        Raises: Unavailable if too many other passwords are being checked.
        """
        password = password.encode("utf-8", "surrogatepass") if isinstance(password, str) else bytes(password)
        if b"\0" in password or len(password) > MAX_PASSWORD_BYTES:
            return False
        entries = self._entries.value()
        hashed = entries.hashes.get(user)
        if hashed is None:
            # Work as for a known name, and thrown away: otherwise the time would tell which names exist.
            self._matches_slowly(password, entries.stand_in)
            return False
        if self._good.knows(user, password, hashed):
            return True
        matched = self._matches_slowly(password, hashed)
        if matched:
            self._good.remember(user, password, hashed)
        return matched

    def __len__(self):
        return len(self._entries.value().hashes)

    def _matches_slowly(self, password, hashed):
        if hashed is None:
            return False
        if not self._hashing.acquire(timeout=HASH_WAIT_S):
            raise Unavailable("too many passwords are being checked; try again")
        try:
            return any([_matches(each, hashed) for each in _spellings(password)])
        finally:
            self._hashing.release()


class Good:
    """Credentials that were right a short while ago, so that not every request pays for bcrypt; holds no password, only MACs.

    The hash is part of what is remembered: when the file says something else, nothing old matches.
    """

    def __init__(self, clock):
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._until = OrderedDict()
        self._lock = threading.Lock()

    def knows(self, user, password, hashed):
        mac = self._mac(user, password, hashed)
        with self._lock:
            return self._until.get(mac, 0) > self._clock()

    def remember(self, user, password, hashed):
        mac = self._mac(user, password, hashed)
        with self._lock:
            self._until[mac] = self._clock() + GOOD_S
            self._until.move_to_end(mac)
            while len(self._until) > GOOD_ENTRIES:
                self._until.popitem(last=False)

    def _mac(self, user, password, hashed):
        mac = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in (user.encode("utf-8", "surrogatepass"), password, hashed.encode()):
            mac.update(len(part).to_bytes(4, "big") + part)
        return mac.digest()


def parse(data, path):
    """Given the bytes of a users.ht, return its Entries.

    As httpd does: blanks around a line don't count, nor lines that begin with `#`; of two entries for a name the first counts; what
    follows a second colon is a remark. A name whose hash isn't of a known form stays unknown.
    Source: httpd modules/aaa/mod_authn_file.c check_password
    """
    hashes, seen = {}, set()
    for number, line in enumerate(data.split(b"\n"), 1):
        line = line.strip()
        if not line or line.startswith(b"#"):
            continue
        name, _, rest = line.partition(b":")
        name, hashed = as_text(name), as_text(rest.partition(b":")[0])
        if name in seen:
            log.warning("%s:%d: a second entry for a name that has one above; the first counts", path, number)
        elif _format_of(hashed):
            hashes[name] = hashed
        else:
            log.warning("%s:%d: a hash of no known form; this account can't log in", path, number)
        seen.add(name)
    _look_at_owner(path)
    return Entries(hashes, _most_usual(hashes.values()))


def as_text(name):
    """Given a name's bytes, return it as text: UTF-8 if it is that, else latin-1; so one name compares equal however it was sent."""
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("latin-1")


def _format_of(hashed):
    """Return (what the work depends on, handler, significant bytes) for a hash of known form, else None."""
    for form, handler, significant in FORMATS:
        found = form.fullmatch(hashed)
        if found:
            return found["kind"], handler, significant
    return None


def _matches(password, hashed):
    known = _format_of(hashed)
    if known is None:
        return False
    _, handler, significant = known
    try:
        return handler.verify(password[:significant], hashed)
    except ValueError:
        # The form was right but not the value, as in a salt that this backend refuses: nobody's password.
        return False


def _most_usual(hashes):
    """Return a hash of the kind (format and cost) that most accounts have, or None if there is none."""
    by_kind = {_format_of(hashed)[0]: hashed for hashed in hashes}
    kinds = Counter(_format_of(hashed)[0] for hashed in hashes)
    return by_kind[kinds.most_common(1)[0][0]] if kinds else None


def _spellings(password):
    """Return the password's bytes as sent and, if not ASCII, the same letters in the other encoding."""
    if password.isascii():
        return [password]
    try:
        letters = password.decode("utf-8")
    except UnicodeDecodeError:
        return [password, password.decode("latin-1").encode("utf-8")]
    try:
        return [password, letters.encode("latin-1")]
    except UnicodeEncodeError:
        return [password]


def _look_at_owner(path):
    try:
        found = os.stat(path)
    except OSError:
        return
    if found.st_uid not in (0, os.geteuid()):
        log.warning("%s belongs to uid %d, who may let in anybody", path, found.st_uid)
    if found.st_mode & 0o002:
        log.warning("%s can be written by everybody", path)
    elif found.st_mode & 0o004:
        log.warning("%s can be read by everybody; the hashes in it can be guessed at", path)
