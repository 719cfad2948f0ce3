"""Makes Asterisk read changed files again, and proves by reading the objects back that it did.

Called by `apply`, once per write. It deliberately knows no file but Asterisk's log, changes nothing, and doesn't undo: it says what it
found. A reload's answer isn't proof: Asterisk says Success for a broken voicemail.conf, and keeps the old mailboxes.
"""

import time

from agent.asterisk.complaints import Log
from agent.asterisk.mailboxes import read_mailboxes
from agent.errors import Rejected, Unavailable

#: {kind of object: function(ami, keys) -> {key: {AMI field: text}}, without those that Asterisk doesn't have}.
#: A new kind is one entry here, and its actions in ami.ACTIONS.
READERS = {"mailbox": read_mailboxes}

SECRETS = ("password", "secret", "pin", "md5_cred")     # a property of such a name is compared, but never shown
IN_PROGRESS_S = 10          # how long somebody else's reload may hold Asterisk's reload lock
IN_PROGRESS_PAUSE_S = 0.1
REASONS = 20                # of each kind: differences, log lines


class Reload:
    """Reloading and reading back over one Ami; `log_file` is Asterisk's messages file, or None."""

    def __init__(self, ami, log_file=None):
        self._ami, self._log_file = ami, log_file

    @property
    def available(self):
        return self._ami.booted

    @property
    def state(self):
        """One phrase for a person: "connected", or "away: " and why."""
        return self._ami.state

    def apply(self, modules, expectations=()):
        """Given modules to reload and what must be seen afterwards, return when Asterisk shows it.

        modules: as Asterisk names them ("app_voicemail.so"), each is reloaded once, in this order. expectations: (kind, key, properties):
        kind one of READERS, key "100@default", properties {AMI field: text} compared exactly, other fields aren't looked at; None: absent.
        Raises: Unavailable if Asterisk is away or goes away, with which modules were reloaded by then; Rejected if it refused a module or
        an object isn't as meant, its reasons naming each difference and then Asterisk's own log lines of these moments, without passwords.
        Source: facts.md §3, measured on 16.28.0 and 22.10.1
        """
        if not self.available:
            raise Unavailable(f"nothing was reloaded: Asterisk's manager interface is {self.state}")
        modules = list(dict.fromkeys(modules))
        with Log(self._log_file) as log:
            reasons = self._reload(modules) or self._differences(expectations)
            if reasons:
                raise Rejected("Asterisk didn't take the change", reasons=[*reasons[:REASONS], *log.lines(modules, REASONS)])

    def _reload(self, modules):
        """Reload each module; return why Asterisk refused one, as a list, and then the rest was left."""
        for done, module in enumerate(modules):
            try:
                refusal = self._reload_one(module)
            except Unavailable as error:
                before = ", ".join(modules[:done]) or "nothing"
                raise Unavailable(f"reloaded before: {before}; {module} may or may not be: {error.message}") from error
            if refusal:
                return [f"reload of {module}: {refusal}"]
        return []

    def _reload_one(self, module):
        """Reload a module, waiting for somebody else's reload to end; return Asterisk's refusal, or None."""
        until = time.monotonic() + IN_PROGRESS_S
        while True:
            response = self._ami.action("Reload", [("Module", module)])
            if response.ok:
                return None
            # manager.c action_reload says Status 4 as this text: "A reload is in progress".
            if "in progress" not in response.message or time.monotonic() > until:
                return _shown(response.message) or "no reason given"
            time.sleep(IN_PROGRESS_PAUSE_S)

    def _differences(self, expectations):
        """Read back what is expected, each kind at once; return a line for each difference."""
        by_kind = {}
        for kind, key, properties in expectations:
            by_kind.setdefault(kind, {})[key] = properties
        lines = []
        for kind, wanted in by_kind.items():
            try:
                found = READERS[kind](self._ami, list(wanted))
            except Unavailable as error:
                raise Unavailable(f"reloaded, but not read back: {error.message}") from error
            for key, properties in wanted.items():
                lines += _compared(f"{kind} {key}", properties, found.get(key))
        return lines


def _compared(name, wanted, found):
    """Return a line for each property of an object that isn't as wanted."""
    if wanted is None:
        return [] if found is None else [f"{name}: should be gone, is still there"]
    if found is None:
        return [f"{name}: is missing"]
    return [_difference(name, each, text, found.get(each)) for each, text in wanted.items() if found.get(each) != text]


def _difference(name, field, wanted, got):
    if any(word in field.lower() for word in SECRETS):
        return f"{name}: {field} isn't as wanted"
    return f"{name}: {field} should be {_quoted(wanted)}, is {'missing' if got is None else _quoted(got)}"


def _quoted(text):
    return f'"{_shown(text)}"'


def _shown(text):
    """A text from outside, fit for one line of a log or an answer."""
    return "".join(each if each.isprintable() else "?" for each in text[:200])
