"""The lines of one context in extensions.conf read together: what `n`, `s` and labels stand for, and which lines Asterisk drops.

Called by resources and by `check`. It reads one context alone: a label that Asterisk would find by a pattern or in an included context
isn't resolved here, and an extension's variables stay as typed. Proved on 16.28.0 and 22.10.1, which agree, by generated contexts
(tests/appliance/test_real_values.py; once 47,600 of six lines each, without a difference).
Source: pbx/pbx_config.c pbx_load_config; main/pbx.c ast_add_extension2, add_priority, ext_strncpy; main/callerid.c
ast_shrink_phone_number.
"""

import re
from typing import NamedTuple

from .extension import MOST_BYTES, ExtensionLine

PRIORITY_HINT = -1
_NOTHING_YET = -2
_DEADLY = "a label as priority, beside an extension with a dash or a pattern spelled in two ways: Asterisk may die at a later reload"
_CLASSES = str.maketrans("xzn", "XZN")


class Step(NamedTuple):
    """One line as the dialplan has it.

    index: int, which of the variables it was made from
    extension, cidmatch: as Asterisk keeps them; cidmatch None if any CallerID will do. `1-00` and `100` are the same extension, and
        `dialplan show` gives both the name of the one with the lowest priority
    priority: int; PRIORITY_HINT for the hint
    label: str or None; application, arguments: str, "" where there is nothing
    """

    index: int
    extension: str
    cidmatch: str | None
    priority: int
    label: str | None
    application: str
    arguments: str


class _Dropped(Exception):
    """The line gives no step; the argument says why."""


class Context:
    """Given a context's variables as (name, value) in their order, what Asterisk makes of them.

    steps: list of Step, in the order of the lines
    dropped: {index: reason in words} of the `exten` and `same` lines that give no step; Asterisk warns of each but the silent ones
    unlabelled: {index: reason} of those that keep their place and lose their label
    deadly: {index: reason} of those that can make Asterisk die at a later reload. Looking for a label, found or not, builds a search
        tree of the context (read off the effects, not in the source); a line after it can then go astray if its extension holds a dash,
        or is a pattern that is spelled in two ways.
        `5-5,hint,…`, `100,1(top),…`, `top+5,…`, `5-5,1,…` is enough on 16.28.0 and 22.10.1. Not all that is named here kills;
        none of 16,302 generated contexts without such a line did
    """

    def __init__(self, variables):
        self.steps, self.dropped, self.unlabelled, self.deadly = [], {}, {}, {}
        self._spelled, self._seeking = {}, []
        self._last_extension, self._last_priority = "", _NOTHING_YET
        self._taken = {}  # (extension as matched, cidmatch): {priority: label}
        for index, (name, value) in enumerate(variables):
            if name.lower() == "exten" or name[:4].lower() == "same":
                try:
                    self.steps.append(self._step(index, ExtensionLine.parse(value, name)))
                except _Dropped as reason:
                    self.dropped[index] = str(reason)
        if any("-" in "".join(spelled) or len(spelled) > 1 for spelled in self._spelled.values()):
            self.deadly = dict.fromkeys(self._seeking, _DEADLY)

    def of(self, extension):
        """Return the steps of an extension, named as Asterisk shows it, by priority; its hint first."""
        return sorted((step for step in self.steps if step.extension == extension), key=lambda step: step.priority)

    def _step(self, index, line):
        extension, cidmatch = self._extension(line)
        key = _key(extension, cidmatch)
        self._spelled.setdefault(key[0], set()).add(extension)
        if not line.label_is_closed:
            raise _Dropped("the label lacks its `)`")
        if line.kind == "label":
            self._seeking.append(index)
        priority = self._priority(line, key) + line.offset
        self._last_priority = priority  # also if it isn't added after all
        if not extension:
            raise _Dropped("there is no extension")
        taken = self._taken.setdefault(key, {})
        if priority in taken:
            raise _Dropped(f"{_shown(priority)} is there already")
        label = self._label(index, line, taken, priority)
        taken[priority] = label
        return Step(index, extension, cidmatch, priority, label, line.application or "", line.arguments or "")

    def _extension(self, line):
        if line.is_same:
            if not self._last_extension:
                raise _Dropped("there is no extension before it")
        else:
            self._last_extension = _cut(line.text[slice(*line.head)])
        extension, slash, cidmatch = self._last_extension.partition("/")
        return _kept(extension, " "), _shrunk(cidmatch) if slash else None

    def _priority(self, line, key):
        """The number before anything is added to it."""
        if line.kind == "hint":
            return PRIORITY_HINT
        if line.kind in ("next", "same"):
            if self._last_priority == _NOTHING_YET:
                raise _Dropped(f"`{line.priority}` needs a line before it")
            found = self._last_priority + (line.kind == "next")
        elif line.kind == "number":
            found = line.number
        else:
            found = self._place_of(line.priority or "", key)
        if line.kind in ("next", "same") and found == 0:
            raise _Dropped(f"`{line.priority}` comes to 0 here, as `n` after a hint does, and Asterisk drops it without a word")
        if line.kind in ("number", "label") and found < 1:
            raise _Dropped("a priority is 1 or more")
        return found

    def _place_of(self, label, key):
        typed = self._last_extension.partition("/")[0]
        if typed != _kept(typed, " "):
            raise _Dropped("a label isn't found where the extension is typed with blanks")
        extension, cidmatch = key
        for each in ((extension, cidmatch or ""), (extension, None)):  # a line without CallerID finds the empty one's first
            for priority, name in self._taken.get(each, {}).items():  # of two alike the one that was first in the file
                if name == label and label:
                    return priority
        raise _Dropped(f"there is no label {label!r} before it in this extension")

    def _label(self, index, line, taken, priority):
        """A label that stands at another priority already is lost."""
        label = line.label or None
        for other in sorted(taken) if label else ():
            if taken[other] == label:
                self.unlabelled[index] = f"the label {label!r} is at {_shown(other)} already"
                return None
            if other >= priority:
                break  # as far as Asterisk looks
        return label


def _cut(extension):
    return extension.encode("utf-8", "surrogateescape")[:MOST_BYTES].decode("utf-8", "surrogateescape")


def _key(extension, cidmatch):
    matched = _kept(extension, " -")
    if matched.startswith("_"):
        matched = _folded_pattern(matched)
    return matched, cidmatch


def _kept(extension, dropped):
    """Return the extension without these characters; in a pattern, brackets protect them."""
    kept, in_set = [], False
    for character in extension:
        if character == "[" and extension.startswith("_"):
            in_set = True
        elif character == "]":
            in_set = False
        elif character in dropped and not in_set:
            continue
        kept.append(character)
    return "".join(kept)


def _folded_pattern(pattern):
    """Return the pattern so that two which Asterisk takes for one are equal: `_1xx` and `_1XX`, `_[12]` and `_[1-2]`."""
    pieces = re.split(r"(\[[^]]*\])", pattern)
    return "".join(_folded_set(piece) if at % 2 else piece.translate(_CLASSES) for at, piece in enumerate(pieces))


def _folded_set(text):
    members = set()
    for first, last, single in re.findall(r"(.)-(?=(.))|(.)", text[1:-1], re.DOTALL):
        members |= set(map(chr, range(ord(first), ord(last) + 1))) if first else {single}
    return "[" + "".join(sorted(members)) + "]"


def _shrunk(number):
    """Return a CallerID as ast_shrink_phone_number leaves it: no `(`, `)`, blank, `-` outside brackets, or `.` but at the end."""
    shrunk, depth = [], 0
    for at, character in enumerate(number):
        depth += (character == "[") - (character == "]")
        if character in "( )" or character == "-" and not depth or character == "." and at + 1 < len(number):
            continue
        shrunk.append(character)
    return "".join(shrunk)


def _shown(priority):
    return "the hint" if priority == PRIORITY_HINT else f"priority {priority}"
