"""Asterisk's manager interface (AMI): one connection, kept up by one thread, over which any thread may ask.

Called by `reload`, and by `build`, which makes and starts it. It deliberately knows no meaning of an action, never believes the other
side (every wait, block and answer has a limit), and sends nothing that could hold a second line.
"""

import logging
import random
import re
import secrets
import socket
import threading
import time
from dataclasses import dataclass

from agent.errors import Fault, Invalid, Unavailable

log = logging.getLogger(__name__)

#: All it will ever send. Nothing of it can originate a call, run a command or write a file.
ACTIONS = frozenset({"Login", "Logoff", "Ping", "Reload", "CoreSettings", "CoreStatus", "VoicemailUsersList", "VoicemailUserStatus"})

LINE_BYTES = 1_000          # Asterisk refuses a header line above 1,024 bytes, its end included, and more than 128 of them
HEADERS = 100
BLOCK_BYTES = 1 << 20       # one response or event
ANSWER_BYTES = 64 << 20     # all blocks of one answer; 20,000 mailboxes are 11 MB
ANSWER_BLOCKS = 200_000
RECEIVE_BYTES = 1 << 18

CONNECT_S = 5
LOGIN_S = 10
TICK_S = 5                  # the longest a send or a receive may stand still
QUIET_TICKS = 6             # silence until we ask whether anybody is there; so many again + 2 and it is cut
RETRY_S = (0.25, 15)        # first and longest pause between two attempts to connect

END = b"\r\n\r\n"
NAME = re.compile(r"(?!action(id)?$)[a-z][a-z0-9_-]*", re.IGNORECASE)      # Action and ActionID are ours to say
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
ID = re.compile(rb"^ActionID: ([^\r\n]*)\r?$", re.MULTILINE)


@dataclass(frozen=True)
class Response:
    """An answer: the fields of the response itself, the events of a list, and the fields of the event that ended the list."""

    fields: dict
    events: list
    summary: dict

    @property
    def ok(self):
        """Whether Asterisk says it did it; a refusal is an answer too, and the caller's to judge."""
        return self.fields.get("Response") == "Success"

    @property
    def message(self):
        return self.fields.get("Message", "")


class Ami:
    """A connection to one Asterisk, made anew whenever it's lost, until closed.

    address: (host, port). secret: str, or a function called at each login. timeout_s: the longest wait for an answer, unless told.
    on_event(fields): each event that isn't an answer, in the reader's thread: it must be quick, and asking from there is refused.
    on_booted(): Asterisk is (again) there and fully booted; in the reader's thread too.
    """

    def __init__(self, address, user, secret, *, on_event=None, on_booted=None, timeout_s=5.0):
        self.timeout_s = timeout_s
        self.on_event, self.on_booted = on_event, on_booted
        self._address, self._user = tuple(address), user
        self._secret = secret if callable(secret) else lambda: secret
        self._lock = threading.Lock()       # guards what follows
        self._link = None                   # the socket while Asterisk is booted
        self._pending = {}                  # {ActionID: _Answer}
        self._number = 0
        self._why_away = "not connected yet"
        self._booted, self._closing = threading.Event(), threading.Event()
        self._socket = None                 # the socket from connecting on, for the reader's thread and close()
        self._token, self._logged_in = "", False
        self._reader = threading.Thread(target=self._keep_up, name="ami-reader", daemon=True)

    def start(self):
        self._reader.start()

    def close(self):
        """End the connection and the thread; every waiting caller gets Unavailable."""
        self._closing.set()
        link = self._socket
        if link is not None:
            _shut(link)
        if self._reader.is_alive():
            self._reader.join(CONNECT_S + 1)

    @property
    def booted(self):
        """Whether Asterisk is connected, has accepted our login and is fully booted."""
        return self._booted.is_set()

    @property
    def state(self):
        """One phrase for a person: "connected", or "away: " and why."""
        return "connected" if self.booted else f"away: {self._why_away}"

    def wait_booted(self, timeout_s):
        """Wait until `booted`, or for a number of seconds; return whether it is."""
        return self._booted.wait(timeout_s)

    def action(self, name, headers=(), *, timeout_s=None):
        """Given an action and its headers, send it and return its Response, also when Asterisk answers Error.

        name: one of ACTIONS. headers: pairs of str, in the order to send; a name may repeat.
        Raises: Invalid if anything could be read as more than one header, and then nothing was sent; Unavailable if Asterisk is away
        (at once), goes away, or doesn't answer within timeout_s seconds: then it may or may not have acted.
        """
        if threading.current_thread() is self._reader:
            raise RuntimeError("an action from on_event or on_booted would wait for its own thread")
        timeout_s = self.timeout_s if timeout_s is None else timeout_s
        lines = _lines(name, headers)
        action_id, answer = self._send(name, lines)
        try:
            if not answer.done.wait(timeout_s):
                raise Unavailable(f"Asterisk's manager interface didn't answer {name} within {timeout_s:g} s")
        finally:
            with self._lock:
                self._pending.pop(action_id, None)
        return answer.response(name)

    def _send(self, name, lines):
        with self._lock:
            if self._link is None:
                raise Unavailable(f"Asterisk's manager interface is away: {self._why_away}")
            self._number += 1
            action_id = f"{self._token}-{self._number}"
            answer = self._pending[action_id] = _Answer()
            try:
                self._link.sendall(_request(name, lines, action_id))
            except OSError as error:
                del self._pending[action_id]
                _shut(self._link)       # half a request may be out: the reader sees the end, and starts anew
                raise Unavailable(f"Asterisk's manager interface didn't take {name}: {error}") from error
        return action_id, answer

    # ---- the reader's thread ------------------------------------------------------------------------------------------------------------

    def _keep_up(self):
        pause_s = RETRY_S[0]
        while not self._closing.is_set():
            try:
                self._session()
            except (OSError, Fault, UnicodeError) as error:
                reason = str(error)
            except Exception:       # without this thread nothing would ever be reloaded again
                log.exception("reading from Asterisk's manager interface failed")
                reason = "a bug in this program; see its log"
            if self._away(reason):
                pause_s = RETRY_S[0]
            self._closing.wait(pause_s * random.uniform(0.5, 1))
            pause_s = min(pause_s * 2, RETRY_S[1])
        self._away("closed")

    def _session(self):
        """Connect, log in, and hand out what comes until it ends, which always raises."""
        with socket.create_connection(self._address, timeout=CONNECT_S) as link:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket, self._logged_in = link, False
            if self._closing.is_set():
                raise ConnectionError("closed")
            link.settimeout(TICK_S)
            overdue = time.monotonic() + LOGIN_S
            blocks = _blocks(link, lambda: not self._logged_in and time.monotonic() > overdue)
            self._log_in(link, blocks)
            for block in blocks:
                self._take(link, block)

    def _log_in(self, link, blocks):
        """Send the credentials, and wait for the word on them; FullyBooted comes later, when Asterisk is up."""
        self._token = secrets.token_hex(8)      # nobody can name an answer of ours in an event
        events = "system" if self.on_event is None else "on"
        lines = [_line(*each) for each in (("Username", self._user), ("Secret", self._secret()), ("Events", events))]
        link.sendall(_request("Login", lines, f"{self._token}-login"))
        answer = next(filter(None, map(_fields, blocks)))
        if answer.get("Response") != "Success":
            raise ConnectionError("the login was refused")
        self._logged_in = True
        self._why_away = f"logged in as {self._user}, but not told FullyBooted (Asterisk still starts, or the account can't read system)"

    def _take(self, link, block):
        found = ID.search(block)
        action_id = found[1].decode("ascii", "replace") if found else ""
        with self._lock:
            answer = self._pending.get(action_id)
        if answer is not None:
            answer.take(block)
        elif block.startswith(b"Event: FullyBooted"):
            self._arrived(link)
        elif block.startswith(b"Event:") and self.on_event is not None and not action_id.startswith(self._token):
            self._call(self.on_event, _fields(block))

    def _arrived(self, link):
        with self._lock:
            self._link = link
        self._booted.set()
        log.info("Asterisk at %s:%s is connected and fully booted", *self._address[:2])
        if self.on_booted is not None:
            self._call(self.on_booted)

    def _away(self, reason):
        """Let go of what waits, and remember why; return whether Asterisk was there before."""
        with self._lock:
            was_there, self._link, self._socket = self._link is not None, None, None
            changed, self._why_away = reason != self._why_away, reason
            pending, self._pending = self._pending, {}
        self._booted.clear()
        for answer in pending.values():
            answer.fail(reason)
        if changed and not self._closing.is_set():
            log.warning("Asterisk's manager interface is away: %s", reason)
        return was_there

    def _call(self, function, *arguments):
        try:
            function(*arguments)
        except Exception:       # the caller's function: a bug there must not end the only thread that reads
            log.exception("a function that was to be told of Asterisk's news failed")


class _Answer:
    """The blocks of one answer as they come; the reader only stores them, whoever asked takes them apart."""

    def __init__(self):
        self.done = threading.Event()
        self._blocks, self._bytes, self._failure = [], 0, None

    def take(self, block):
        self._blocks.append(block)
        self._bytes += len(block)
        if self._bytes > ANSWER_BYTES or len(self._blocks) > ANSWER_BLOCKS:
            self._blocks.clear()
            self.fail("its answer is too long")
            raise ConnectionError("an answer was too long")
        if self._is_last(block):
            self.done.set()

    def fail(self, reason):
        if not self.done.is_set():
            self._failure = reason
            self.done.set()

    def _is_last(self, block):
        if len(self._blocks) > 1:
            return b"\r\nEventList: Complete" in block
        fields = _fields(block)
        # A list without entries isn't begun: Asterisk 16 and 22 answer "There are no voicemail users currently defined." and no more.
        return fields.get("Response") != "Success" or fields.get("EventList", "").lower() != "start"

    def response(self, name):
        if self._failure is not None:
            raise Unavailable(f"Asterisk's manager interface went away during {name}: {self._failure}")
        first, *events = map(_fields, self._blocks)
        return Response(first, events[:-1], events[-1] if events else {})


def _blocks(link, is_overdue):
    """Yield each block as it comes, without its end. Raise OSError at its end, for silence, for an endless block, or when it's overdue.

    Cutting at blank lines is all that's done with it here: if the reader is slow, Asterisk 16 drops events of a list and then hangs up
    (its `writetimeout` is 100 ms).
    """
    buffer, quiet = bytearray(), 0
    while not is_overdue():
        try:
            chunk = link.recv(RECEIVE_BYTES)
        except TimeoutError:
            quiet = _still_there(link, quiet + 1)
            continue
        if not chunk:
            raise ConnectionError("Asterisk closed the connection")
        quiet = 0
        buffer += chunk
        if END in buffer[-len(chunk) - len(END):]:
            *whole, rest = bytes(buffer).split(END)
            buffer = bytearray(rest)
            yield from whole
        if len(buffer) > BLOCK_BYTES:
            raise ConnectionError("Asterisk sent a block without an end")
    raise ConnectionError("Asterisk didn't answer the login")


def _still_there(link, quiet):
    if quiet == QUIET_TICKS:
        link.sendall(_request("Ping", [], "still-there"))
    elif quiet > QUIET_TICKS + 2:
        raise ConnectionError("Asterisk has fallen silent")
    return quiet


def _fields(block):
    """Given a block, return {name: value}: one blank after the colon is dropped, no other; of a repeated name the first counts."""
    fields = {}
    for line in block.split(b"\r\n"):
        name, colon, value = line.decode("utf-8", "surrogateescape").partition(":")
        if colon:
            fields.setdefault(name, value.removeprefix(" "))
    return fields


def _lines(name, headers):
    if name not in ACTIONS:
        raise Invalid(f"the action {name!r} isn't one that is ever sent")
    if len(headers) > HEADERS:
        raise Invalid(f"an action can have {HEADERS} headers")
    return [_line(*each) for each in headers]


def _line(name, value):
    if not NAME.fullmatch(name):
        raise Invalid("an AMI header can't have that name")
    if CONTROL.search(value):
        raise Invalid(f"the AMI header {name} can't hold a control character")
    try:
        line = f"{name}: {value}".encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise Invalid(f"the AMI header {name} holds what isn't text") from error
    if len(line) > LINE_BYTES:
        raise Invalid(f"the AMI header {name} is longer than {LINE_BYTES} bytes")
    return line


def _request(name, lines, action_id):
    return b"\r\n".join([f"Action: {name}".encode(), *lines, f"ActionID: {action_id}".encode()]) + END


def _shut(link):
    try:
        link.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass        # it had ended already
