"""Who is calling: one answer, a Caller or a refusal, from the Authorization header and the address.

Called by `web` once for each request, before routing. Every refusal is one log line of the logger `pbx_agent.access`, in a form that
fail2ban's filter and people rely on:

  refused address=192.0.2.1 user="bob" reason=password path=/1.0/users

`address` stands first, and what the client chose is escaped (JSON's escapes, ASCII only; the path percent-encoded, without its query),
so nobody can forge a line. `reason` is `missing` (no credentials; level INFO, since every Digest client begins so), `malformed`,
`scheme`, `password` (also for an unknown name, and a wrong Digest), `stale` or `replay` (the right Digest, but of an old nonce or sent
before; level INFO), `throttled` or `busy`; `server` adds `address` for peers that acl.conf doesn't allow. It deliberately never says a
password, nor whether a name exists.
"""

import base64
import binascii
import json
import logging
import re
from dataclasses import dataclass
from urllib.parse import quote

from agent.access.digest import Stale
from agent.access.digest import parse as parse_digest
from agent.access.htpasswd import as_text
from agent.errors import Throttled, Unauthenticated, Unavailable

log = logging.getLogger("pbx_agent.access")

MAX_NAME = 255
EVERYTHING = ("#",)
MESSAGE = "name and password are needed"


@dataclass(frozen=True)
class Caller:
    """The person or program that calls.

    how: "loopback", "basic", "digest" or "token"; rights: tuple of str, the patterns that `rights.Rights` reads.
    """

    name: str
    address: str
    how: str
    rights: tuple


class Refused(Exception):
    """Why credentials weren't taken, for the log; `challenge` is Digest's own fresh one, if it made one."""

    def __init__(self, reason, *, level=logging.WARNING, challenge=None):
        super().__init__(reason)
        self.reason = reason
        self.level = level
        self.challenge = challenge


class Accounts:
    """The one place that decides who a caller is."""

    def __init__(self, passwords, digest, throttle, *, users_rights=("#",), realm="XivoRealm"):
        """Given Passwords, a Digest or None, a Throttle, and the patterns that an account of either file has, hold them."""
        self._passwords = passwords
        self._digest = digest if digest is not None and digest.configured else None
        self._throttle = throttle
        self._rights = tuple(users_rights)
        self._realm = realm

    def authenticate(self, *, authorization, method, uri, address):
        """Given a request's Authorization header (None without one), method, target as sent and peer address, return its Caller.

        Raises: Unauthenticated with the challenges to answer if the header is missing, malformed or wrong; Throttled if this address
            guessed wrong too often; Unavailable if too many passwords are being checked.
        """
        user = ""
        try:
            scheme, check, user = self._claim(authorization, method, uri)
            self._throttle.check(address, user)
            check()
        except Refused as refused:
            if refused.reason == "password":
                self._throttle.failed(address, user)
            _refuse(refused.level, address, user, refused.reason, uri)
            raise Unauthenticated(MESSAGE, challenges=self._challenges(refused.challenge)) from None
        except Throttled:
            _refuse(logging.WARNING, address, user, "throttled", uri)
            raise
        except Unavailable:
            _refuse(logging.WARNING, address, user, "busy", uri)
            raise
        self._throttle.succeeded(address, user)
        return Caller(user, address, scheme, self._rights)

    def trusted(self, address):
        """Given the address of a peer that needs no password, return its Caller, who may do everything."""
        return Caller("loopback", address, "loopback", EVERYTHING)

    def _claim(self, authorization, method, uri):
        """Return (scheme, a check that raises Refused, the claimed name); raise Refused if the header claims nothing."""
        if not authorization:
            raise Refused("missing", level=logging.INFO)
        scheme = authorization.partition(" ")[0].lower()
        if scheme == "basic":
            user, password = _basic(authorization)
            return scheme, lambda: self._check_basic(user, password), user
        if scheme == "digest" and self._digest is not None:
            user = _digest_name(authorization)
            return scheme, lambda: self._check_digest(authorization, method, uri), user
        raise Refused("scheme")

    def _check_basic(self, user, password):
        if not self._passwords.verify(user, password):
            raise Refused("password")

    def _check_digest(self, authorization, method, uri):
        try:
            self._digest.verify(authorization, method, uri)
        except Stale as stale:
            raise Refused(stale.reason, level=logging.INFO, challenge=stale.challenges[0]) from stale
        except Unauthenticated as wrong:
            raise Refused("password", challenge=wrong.challenges[0]) from wrong

    def _challenges(self, digest_challenge=None):
        """Return the values for WWW-Authenticate. Digest stands first: Python 2's urllib looks at no other."""
        basic = f'Basic realm="{self._realm}", charset="UTF-8"'
        return [basic] if self._digest is None else [digest_challenge or self._digest.challenge(), basic]


def refused_line(address, reason, *, user="", path=""):
    """Given what is known of a refused caller, return the log line of this module's docstring."""
    path = quote(path.partition("?")[0][:MAX_NAME].encode("utf-8", "replace"), safe="/%:@!$&'()*+,;=~") or "-"
    return f"refused address={address} user={json.dumps(user[:MAX_NAME])} reason={reason} path={path}"


def _refuse(level, address, user, reason, uri):
    log.log(level, "%s", refused_line(address, reason, user=user, path=uri))


def _basic(authorization):
    """Return (name, password bytes) of a Basic header; raise Refused if it isn't one. Source: RFC 7617"""
    try:
        pair = base64.b64decode(authorization[6:].strip(" \t").encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise Refused("malformed") from None
    name, colon, password = pair.partition(b":")
    if not colon or not name or len(name) > MAX_NAME or re.search(rb"[\x00-\x1f\x7f]", name) or b"\0" in password:
        raise Refused("malformed")
    return as_text(name), password


def _digest_name(authorization):
    try:
        name = parse_digest(authorization)["username"]
    except Unauthenticated:
        raise Refused("malformed") from None
    if not name or len(name) > MAX_NAME:
        raise Refused("malformed")
    return as_text(name.encode("latin-1", "replace"))
