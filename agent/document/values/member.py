"""A queue's member in queues.conf: `member => interface[,penalty[,membername[,state_interface[,ringinuse[,wrapuptime[,paused]]]]]]`.

Called by resources; facts.md 1.8. Proved on 16.28.0 and 22.10.1 by generated lines (tests/appliance/test_real_values.py). They differ
in one thing: 16.28.0 has no `paused`, so wrapuptime is the last argument there (`has_paused=False`). It deliberately knows one line
only: of two lines whose interfaces differ in case at most, the queue keeps the last.
Source: apps/app_queue.c reload_single_member; main/app.c __ast_app_separate_args.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from agent.errors import Invalid

from .flags import is_false, is_true
from .interpretation import Interpretation
from .strings import BLANKS, atoi

MOST_BYTES = 79  # of an interface, a member's name and a state interface; what is longer is cut


@dataclass(frozen=True)
class QueueMember(Interpretation):
    """One member; each part is a str as Asterisk takes it from the line, or None if the line ends before it.

    Commas inside `()`, `[]` and `"…"` don't separate; quotes and backslashes are taken off, but not in the last argument, which is all
    the rest of the line. Trailing blanks of a part are dropped, leading ones are not (a bug of Asterisk's: its ast_strip goes unused),
    so ` yes` is no flag; the interface keeps both. `replace` writes what must be quoted with backslashes.
    """

    has_paused: bool = True

    PARTS = ("interface", "penalty", "membername", "state_interface", "ringinuse", "wrapuptime", "paused")

    @classmethod
    def parse(cls, value, has_paused=True):
        """Given a `member`'s value, and whether that Asterisk knows `paused`, return its parts; never raises."""
        return cls(value, has_paused)

    interface = property(lambda self: self._read("interface"))
    penalty = property(lambda self: self._read("penalty"))
    membername = property(lambda self: self._read("membername"))
    state_interface = property(lambda self: self._read("state_interface"))
    ringinuse = property(lambda self: self._read("ringinuse"))
    wrapuptime = property(lambda self: self._read("wrapuptime"))
    paused = property(lambda self: self._read("paused"))

    def replace(self, **parts):
        """As for every interpretation; a part set to "" that isn't there stays away, and what must come before a new part is left empty."""
        return super().replace(**{name: text for name, text in parts.items() if text != (getattr(self, name) or "") or text is None})

    # ---- what they mean ---------------------------------------------------------------------------------------------------------

    @property
    def shown_name(self):
        """The name that queue_log and AMI show: the interface, if there is no membername."""
        return self.membername or self.interface or ""

    @property
    def watched_interface(self):
        """The device whose state counts: the interface, if there is no state_interface."""
        return self.state_interface or self.interface or ""

    @property
    def penalty_number(self):
        """int, 0 or more."""
        return max(0, atoi(self.penalty or ""))

    @property
    def wrapuptime_s(self):
        """int, 0 or more; 0 means the queue's own."""
        return max(0, atoi(self.wrapuptime or ""))

    @property
    def rings_in_use(self):
        """bool, or None: as the queue's own ringinuse says."""
        return _flag(self.ringinuse)

    @property
    def is_paused(self):
        """Whether it begins paused; a pause that was changed while running outlives a reload."""
        return _flag(self.paused) is True

    @property
    def problem(self):
        if not self.interface:
            return "there is no interface"
        for name in ("interface", "membername", "state_interface"):
            if len((getattr(self, name) or "").encode("utf-8", "surrogateescape")) > MOST_BYTES:
                return f"{name} is longer than {MOST_BYTES} bytes and will be cut"
        for name in ("penalty", "wrapuptime"):
            text = getattr(self, name)
            if text and not re.fullmatch("[0-9]{1,9}", text.strip(BLANKS)):
                return f"{name} isn't a number: {text!r}"
        for name in ("ringinuse", "paused"):
            text = getattr(self, name)
            if text and _flag(text) is None:
                return f"{name} is neither yes nor no: {text!r}"
        return None

    # ---- how they stand in the line ---------------------------------------------------------------------------------------------

    @property
    def _names(self):
        return self.PARTS if self.has_paused else self.PARTS[:-1]

    @cached_property
    def _spans(self):
        """Where each argument is, untrimmed and quoted as it stands."""
        return dict(zip(self._names, _arguments(self.text, len(self._names))))

    def _read(self, name):
        raw = self.part(name)
        if raw is None:
            return None
        text = raw if name == self._names[-1] else _unquoted(raw)
        if name == "interface" or not text.strip(BLANKS):
            return text
        return text.rstrip(BLANKS)

    def _is_same(self, part, before):
        return (part or "") == (before or "")

    def _reread(self, text):
        return QueueMember(text, self.has_paused)

    def _spelled(self, name, wanted):
        names = list(self._names)
        at = names.index(name) if name in names else len(names)
        if wanted is None:
            if name == "interface":
                raise Invalid("a member without an interface is none")
            return self.text[:max(0, self._start(at) - 1)]
        spelled = wanted if at >= len(names) - 1 else _quoted(wanted)
        if name in self._spans:
            start, stop = self._spans[name]
            raw = self.text[start:stop]
            blanks = raw[len(raw.rstrip(BLANKS)):] if name != "interface" and raw.strip(BLANKS) else ""
            return self._between(start, stop, spelled + blanks)
        missing = at - len(self._spans) + (1 if self._spans else 0)
        return self.text + "," * missing + spelled

    def _start(self, at):
        spans = list(self._spans.values())
        return spans[at][0] if at < len(spans) else len(self.text) + 1


def _flag(text):
    return True if is_true(text) else False if is_false(text) else None


def _arguments(text, most):
    """Return [(start, stop), …] of at most that many arguments; the last one has all the rest."""
    spans, start, at = [], 0, 0
    depth, in_quotes = {"(": 0, "[": 0}, False
    while at < len(text) and len(spans) < most - 1:
        character = text[at]
        if character in "([":
            depth[character] += 1
        elif character in ")]":
            opening = "(" if character == ")" else "["
            depth[opening] = max(0, depth[opening] - 1)
        elif character == '"':
            in_quotes = not in_quotes
        elif character == "\\":
            at += 1
        elif character == "," and not in_quotes and not any(depth.values()):
            spans.append((start, at))
            start = at + 1
        at += 1
    if start < len(text) or spans:
        spans.append((start, len(text)))
    return spans


def _unquoted(raw):
    text, at = [], 0
    while at < len(raw):
        if raw[at] == "\\":
            at += 1
            text.append(raw[at:at + 1])
        elif raw[at] != '"':
            text.append(raw[at])
        at += 1
    return "".join(text)


def _quoted(text):
    return "".join("\\" + character if character in ',()[]"\\' else character for character in text)
