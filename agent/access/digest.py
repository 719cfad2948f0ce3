"""Digest authentication against an htdigest file, for the clients of 2013 that know nothing else.

Called by `accounts`. MD5 only, since those clients know no other and the file holds MD5 (RFC 2617; RFC 7616 keeps it so). Nonces carry
their own time and a MAC, so none is stored before somebody used it rightly; then its counters are kept, so that no answer is taken
twice. The form of RFC 2069, without `qop`, is refused: it has no counter, so it could be replayed while its nonce lives, and every
known client (httplib2, requests, curl, PHP, urllib) sends `qop=auth` when offered. It deliberately counts no guesses.
"""

import base64
import hashlib
import hmac
import re
import secrets
import threading
import time
from collections import OrderedDict
from typing import NamedTuple

from agent.access.htpasswd import as_text
from agent.access.watched import Watched
from agent.errors import Unauthenticated

NONCE_S = 300
MAX_NONCES = 4096
# A client with several connections may send its counters slightly out of order; older ones than this are refused.
WINDOW = 64

# RFC 7235 auth-param = token BWS "=" BWS ( token / quoted-string ), separated by commas
PARAMETER = re.compile(
    r"""
    [ \t,]* (?P<name> [!#$%&'*+.^_`|~0-9A-Za-z-]+ )
    [ \t]* = [ \t]*
    (?: " (?P<quoted> (?: [^"\\] | \\. )* ) " | (?P<token> [^\s",]+ ) )
    [ \t]* (?: , | $ )
    """,
    re.VERBOSE,
)
NEEDED = ("username", "realm", "nonce", "uri", "response", "qop", "nc", "cnonce")


class Stale(Unauthenticated):
    """The right password for a nonce that is too old, or from before our start: no guess, the client just has to answer a new one."""

    reason = "stale"


class Replayed(Stale):
    """The right answer, but one that came before; a client that never counts gets on with the new nonce, a thief doesn't."""

    reason = "replay"


class Digest:
    """One realm of one htdigest file (lines `user:realm:HA1`); safe for threads."""

    def __init__(self, path, realm="XivoRealm", *, now=time.time, **watching):
        """Given the path of an htdigest file, or None if none is configured, read it. Raise Unavailable if it is there but unreadable."""
        self.configured = bool(path)
        self.realm = realm
        self._now = now
        self._key = secrets.token_bytes(32)
        self._stand_in = secrets.token_hex(16)
        self._counters = Counters()
        self._accounts = Watched(path or "", self._parse, absent={}, now=now, **watching)

    def __len__(self):
        return len(self._accounts.value())

    def challenge(self, *, stale=False):
        """Return a value for WWW-Authenticate with a fresh nonce."""
        nonce = self._signed(int(self._now()).to_bytes(6, "big") + secrets.token_bytes(10))
        return f'Digest realm="{self.realm}", nonce="{nonce}", qop="auth", algorithm=MD5' + (", stale=true" if stale else "")

    def verify(self, header, method, uri):
        """Given the Authorization header's value, the request's method and its target as sent, return the user's name.

        Raises: Stale if only the nonce is at fault, Replayed if only the counter; Unauthenticated if the header is malformed, meant for
            something else, or wrong. Each carries a fresh challenge.
        """
        try:
            return self._verify(parse(header), method, uri)
        except Stale as stale:
            raise type(stale)(stale.message, challenges=[self.challenge(stale=True)]) from stale
        except Unauthenticated as refusal:
            raise Unauthenticated(refusal.message, challenges=[self.challenge()]) from refusal

    def _verify(self, sent, method, uri):
        if sent["realm"] != self.realm or sent["qop"] != "auth" or sent.get("algorithm", "MD5").upper() != "MD5":
            raise Unauthenticated("Digest for another realm or in a form that wasn't offered")
        if not re.fullmatch("[0-9a-f]{8}", sent["nc"]):
            raise Unauthenticated("Digest with a counter that is none")
        if _target(sent["uri"]) != _target(uri):
            raise Unauthenticated("Digest for another request")
        user = as_text(sent["username"].encode("latin-1", "replace"))
        known = self._accounts.value().get(user)
        expected = _response(known or self._stand_in, method, sent)
        if not hmac.compare_digest(expected, sent["response"].lower().encode("latin-1", "replace")) or known is None:
            raise Unauthenticated("wrong name or password")
        self._spend(sent["nonce"], int(sent["nc"], 16))
        return user

    def _spend(self, nonce, count):
        made = self._made(nonce)
        if made is None or not 0 <= self._now() - made <= NONCE_S or made < self._counters.oldest_known:
            raise Stale("the nonce is too old")
        if not self._counters.take(nonce, made, count):
            raise Replayed("this Digest was sent before")

    def _made(self, nonce):
        """Return when we made the nonce (whole seconds, Unix time), or None if it isn't ours."""
        try:
            body = base64.b64decode(nonce, altchars=b"-_", validate=True)[:16]
        except ValueError:
            return None
        ours = hmac.compare_digest(self._signed(body).encode(), nonce.encode("latin-1", "replace"))
        return int.from_bytes(body[:6], "big") if ours else None

    def _signed(self, body):
        return base64.urlsafe_b64encode(body + hmac.digest(self._key, body, "sha256")[:17]).decode()

    def _parse(self, data, path):
        accounts = {}
        for line in data.split(b"\n"):
            name, _, rest = line.strip().partition(b":")
            realm, _, secret = rest.rpartition(b":")
            if as_text(realm) == self.realm and re.fullmatch(b"[0-9a-fA-F]{32}", secret):
                accounts.setdefault(as_text(name), secret.decode().lower())
        return accounts


class Spent(NamedTuple):
    """made: when the nonce was made; highest: the highest counter seen; recent: bit n is set if highest - n was seen."""

    made: int
    highest: int
    recent: int


class Counters:
    """Which counters of which nonces were used; bounded. A nonce older than one that had to be forgotten counts as too old."""

    def __init__(self):
        self._spent = OrderedDict()
        self._lock = threading.Lock()
        self.oldest_known = 0

    def take(self, nonce, made, count):
        """Given a nonce, when it was made, and a counter, note it and return True; False if it was used before or is too far behind."""
        with self._lock:
            before = self._spent.get(nonce) or Spent(made, 0, 1)
            ahead = count - before.highest
            if ahead <= -WINDOW or (ahead <= 0 and before.recent >> -ahead & 1):
                return False
            if ahead > 0:
                recent = (before.recent << ahead if ahead < WINDOW else 0) | 1
                after = Spent(made, count, recent & ((1 << WINDOW) - 1))
            else:
                after = before._replace(recent=before.recent | 1 << -ahead)
            self._spent[nonce] = after
            self._forget()
            return True

    def _forget(self):
        while len(self._spent) > MAX_NONCES:
            _, spent = self._spent.popitem(last=False)
            self.oldest_known = max(self.oldest_known, spent.made + 1)


def parse(header):
    """Given the value of an Authorization header, return its parameters as {name: value}.

    Raises: Unauthenticated if it isn't Digest, a parameter is malformed, given twice or missing.
    """
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "digest":
        raise Unauthenticated("not Digest")
    sent, place = {}, 0
    while place < len(rest):
        found = PARAMETER.match(rest, place)
        if not found or found["name"].lower() in sent:
            raise Unauthenticated("malformed Digest header")
        value = found["token"] if found["quoted"] is None else re.sub(r"\\(.)", r"\1", found["quoted"])
        sent[found["name"].lower()] = value
        place = found.end()
    if any(name not in sent for name in NEEDED):
        raise Unauthenticated("incomplete Digest header")
    return sent


def _target(uri):
    """Return an absolute uri as the path and query that stand in the request line."""
    return re.sub(r"\Ahttps?://[^/?#]*", "", uri, flags=re.IGNORECASE) or "/"


def _response(secret, method, sent):
    """Return the right `response` for what was sent. Source: RFC 2617 3.2.2.1"""
    asked = _md5(f"{method}:{sent['uri']}")
    return _md5(f"{secret}:{sent['nonce']}:{sent['nc']}:{sent['cnonce']}:{sent['qop']}:{asked}").encode()


def _md5(text):
    return hashlib.md5(text.encode("latin-1", "replace"), usedforsecurity=False).hexdigest()
