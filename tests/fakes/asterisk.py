"""An Asterisk for tests: speaks AMI on a real socket, holds the mailboxes of a voicemail.conf in memory, and misbehaves on demand.

Used by tests/box.py (scenarios) and tests/asterisk. It answers as 16 and 22 do, byte for byte where our client could care; tests/appliance
proves that against the real ones. It deliberately doesn't use our own parser: what it understands of a file is in `read_mailboxes`.
"""

import secrets
import socket
import threading
from pathlib import Path

from tests.fakes.voicemail import Broken, read_mailboxes

class FakeAsterisk:
    """A context manager; listens from the constructor on, so that `address` is known, and answers from entering on.

    actions: [(name, {header: value})], all received but Login. reloads: [module], those asked for.
    To script: hidden: {"100@default"} it doesn't tell of. shown: {(box, field): text} it tells instead. refusal: message of the next and
    all reloads. in_progress: so many reloads are answered "in progress" first. silent: names of actions it never answers. raw: {name of
    action: bytes it answers instead, its end included}; `@ID@` in it stands for the ActionID. dropped: so many entries of a list are lost.
    log_file and log_lines: what it appends there at each reload. booted: False keeps FullyBooted back until `boot()`.
    """

    def __init__(self, config_dir, *, user="pbx-agent", secret=None, log_file=None):
        self.config_dir, self.log_file = Path(config_dir), log_file
        self.user, self.secret = user, secret or secrets.token_hex(8)
        self.actions, self.reloads, self.logins = [], [], 0
        self.hidden, self.shown, self.silent, self.raw = set(), {}, set(), {}
        self.refusal, self.in_progress, self.dropped, self.log_lines, self.booted = None, 0, 0, [], True
        self._mailboxes, self._links, self._lock = {}, [], threading.Lock()
        self._listener, self._threads = None, []
        self.address = ("127.0.0.1", 0)
        self._listen()

    def __enter__(self):
        self._load()
        self._accepting()
        return self

    def __exit__(self, *exception):
        self.away()
        for thread in self._threads:
            thread.join(5)

    # ---- what tests call ----------------------------------------------------------------------------------------------------------------

    def script(self, what, *words):
        """The scenario files' words: hides BOX | shows | refuses REASON… | consents | is silent on ACTION | away | back."""
        if what == "hides":
            self.hidden.add(words[0])
        elif what == "shows":
            self.hidden.clear()
        elif what == "refuses":
            self.refusal = " ".join(words) or "An unknown error occurred"
        elif what == "consents":
            self.refusal = None
        elif what == "silent":
            self.silent.update(words)
        else:
            {"away": self.away, "back": self.back, "cut": self.cut}[what]()

    @property
    def listening(self):
        return self._listener is not None

    def away(self):
        """Stop as a process does: nobody listens, and every connection ends."""
        if self._listener is not None:
            _shut(self._listener)
            self._listener = None
        self.cut()

    def back(self):
        """Start again at the same address, with the files as they are now."""
        if self._listener is None:
            self._load()
            self._listen()
            self._accepting()

    def cut(self):
        """End every connection, and go on listening."""
        with self._lock:
            links, self._links = self._links, []
        for link in links:
            _shut(link)

    def boot(self):
        self.booted = True
        self.send(b"Event: FullyBooted\r\nPrivilege: system,all\r\nStatus: Fully Booted\r\n\r\n")

    def send(self, data):
        """Send bytes over every connection, whatever they are."""
        with self._lock:
            for link in self._links:
                link.sendall(data)

    def log(self, line):
        with open(self.log_file, "a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    # ---- the server ---------------------------------------------------------------------------------------------------------------------

    def _listen(self):
        self._listener = socket.create_server(self.address)
        self.address = self._listener.getsockname()

    def _accepting(self):
        self._run(self._accept, self._listener)

    def _run(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener):
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                if listener is not self._listener:
                    link.close()
                    return
                self._links.append(link)
            self._run(self._serve, link)

    def _serve(self, link):
        with link, link.makefile("rb") as stream:
            try:
                link.sendall(b"Asterisk Call Manager/11.0.0\r\n")
                if self._log_in(link, stream):
                    while headers := _headers(stream):
                        self._answer(link, headers)
            except OSError:
                return

    def _log_in(self, link, stream):
        headers = _headers(stream)
        if not headers:
            return False
        self.logins += 1
        if (headers.get("Username"), headers.get("Secret")) != (self.user, self.secret):
            link.sendall(_block(headers, Response="Error", Message="Authentication failed"))
            return False
        link.sendall(_block(headers, Response="Success", Message="Authentication accepted"))
        if self.booted:
            link.sendall(b"Event: FullyBooted\r\nPrivilege: system,all\r\nUptime: 1\r\nLastReload: 1\r\nStatus: Fully Booted\r\n\r\n")
        return True

    def _answer(self, link, headers):
        name = headers.get("Action", "")
        self.actions.append((name, {each: headers[each] for each in headers if each not in ("Action", "ActionID")}))
        answer = getattr(self, f"_do_{name.lower()}", self._do_unknown)
        data = answer(headers)
        if name in self.raw:
            data = self.raw[name].replace(b"@ID@", headers.get("ActionID", "").encode())
        if name not in self.silent:
            link.sendall(data)

    # ---- the actions --------------------------------------------------------------------------------------------------------------------

    def _do_unknown(self, headers):
        return _block(headers, Response="Error", Message=f"Invalid/unknown command: {headers.get('Action')}.")

    def _do_ping(self, headers):
        return _block(headers, Response="Success", Ping="Pong")

    def _do_reload(self, headers):
        if self.in_progress > 0:
            self.in_progress -= 1
            return _block(headers, Response="Error", Message="A reload is in progress")
        self.reloads.append(headers.get("Module", ""))
        for line in self.log_lines:
            self.log(line)
        if self.refusal is not None:
            return _block(headers, Response="Error", Message=self.refusal)
        self._load()
        return _block(headers, Response="Success", Message="Module Reloaded")

    def _do_voicemailuserslist(self, headers):
        entries = [self._told(box) for box in self._mailboxes if box not in self.hidden]
        return self._list(headers, "VoicemailUserEntry", "list", entries, "There are no voicemail users currently defined.")

    def _do_voicemailuserstatus(self, headers):
        box = f"{headers.get('Mailbox')}@{headers.get('Context')}"
        entries = [self._told(box)] if box in self._mailboxes and box not in self.hidden else []
        return self._list(headers, "VoicemailUserDetail", "detail", entries, "There is no voicemail user of the given info.")

    def _list(self, headers, event, word, entries, nothing):
        if not entries:
            return _block(headers, Response="Success", Message=nothing)
        kept = entries[self.dropped:]
        self.dropped = 0
        return b"".join([
            _block(headers, Response="Success", EventList="start", Message=f"Voicemail user {word} will follow"),
            *(_block(headers, Event=event, **entry) for entry in kept),
            _block(headers, Event=f"{event}Complete", EventList="Complete", ListItems=str(len(entries))),
        ])

    def _told(self, box):
        return {field: self.shown.get((box, field), text) for field, text in self._mailboxes[box].items()}

    def _load(self):
        """As app_voicemail does: a broken file changes nothing, says so in the log only; a missing one leaves no mailbox."""
        try:
            self._mailboxes = read_mailboxes(self.config_dir, "voicemail.conf")
        except FileNotFoundError:
            self._mailboxes = {}
        except Broken as error:
            if self.log_file is not None:
                self.log(f"[Nov 25 10:28:19] WARNING[1] config.c: {error}")
                self.log("[Nov 25 10:28:19] ERROR[1] app_voicemail.c: Config file voicemail.conf is in an invalid format.  Aborting.")


def _headers(stream):
    """One request as {name: value}, empty at the end of the stream."""
    headers = {}
    for line in iter(stream.readline, b""):
        if line == b"\r\n":
            return headers
        name, _, value = line.decode("utf-8", "surrogateescape").removesuffix("\r\n").partition(": ")
        headers[name] = value
    return {}


def _block(headers, **fields):
    """One block; the ActionID stands second, as Asterisk puts it."""
    (first, value), *others = fields.items()
    lines = [(first, value), *([("ActionID", headers["ActionID"])] if "ActionID" in headers else []), *others]
    return "".join(f"{name}: {value}\r\n" for name, value in lines).encode("utf-8", "surrogateescape") + b"\r\n"


def _shut(link):
    for end in (lambda: link.shutdown(socket.SHUT_RDWR), link.close):
        try:
            end()
        except OSError:
            pass
