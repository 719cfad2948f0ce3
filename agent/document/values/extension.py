"""One line of a context in extensions.conf: `exten => EXT[/CID],PRIO[+N][(label)],App(args)` or `same => PRIO…`; facts.md 1.6.

Called by resources and by context.py, which reads a context's lines together. It deliberately resolves nothing that needs other lines:
which number `n` or a label stands for is context.py's business. Proved on 16.28.0 and 22.10.1, which agree, by generated contexts
(tests/appliance/test_real_values.py). Source: pbx/pbx_config.c pbx_load_config, pbx_strsep; main/pbx.c ast_add_extension2.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from agent.errors import Invalid

from .interpretation import Interpretation
from .strings import BLANKS, atoi, number

MOST_BYTES = 255  # of an extension with its CallerID; the rest is cut off
PRIORITY_DIGITS = 30

# PRIO, its blanks outside: `n+2(label)`. A label ends at its first `)`, what follows is ignored, so `n(x)+2` adds nothing.
_PRIORITY = re.compile(r"(?P<priority>[^(+]*)(?:\+(?P<plus>[^(]*))?(?:\((?P<label>[^)]*)(?P<closed>\).*)?)?", re.DOTALL)
_KEYWORDS = {"n": "next", "next": "next", "s": "same", "same": "same", "hint": "hint"}  # in this case only


@dataclass(frozen=True)
class ExtensionLine(Interpretation):
    """One priority of an extension, or its hint.

    extension: as typed (Asterisk drops blanks inside it), None in a `same` line
    cidmatch: the CallerID that must match, as typed, or None; "" is a CallerID too: the empty one
    priority: "1", "n", "next", "s", "same", "hint" or a label; plus: what is added to it, as typed, or None
    label: its name for Goto, or None
    application: the text before the first `(`, leading blanks dropped. In a hint: the devices, and after the last comma the presence
    arguments: the text between that and the last `)`, nothing trimmed or unquoted; None without parentheses
    """

    is_same: bool = False

    PARTS = ("extension", "cidmatch", "priority", "plus", "label", "application", "arguments")

    @classmethod
    def parse(cls, value, name="exten"):
        """Given a variable's value and name, return its line; `same…` in any case continues the extension before, as Asterisk reads it."""
        return cls(value, name[:4].lower() == "same")

    extension = property(lambda self: self.part("extension"))
    cidmatch = property(lambda self: self.part("cidmatch"))
    priority = property(lambda self: self.part("priority"))
    plus = property(lambda self: self.part("plus"))
    label = property(lambda self: self.part("label"))
    application = property(lambda self: self.part("application"))
    arguments = property(lambda self: self.part("arguments"))

    @property
    def kind(self):
        """How the priority is meant: "hint", "next", "same", "number" or "label" (a place that must exist already)."""
        text = self.priority or ""
        return _KEYWORDS.get(text) or ("label" if number(text, PRIORITY_DIGITS) is None else "number")

    @property
    def number(self):
        """The priority as an int, without `plus`, where it is one; otherwise None."""
        return number(self.priority, PRIORITY_DIGITS) if self.kind == "number" else None

    @property
    def offset(self):
        """What `plus` adds, int."""
        return atoi(self.plus or "")

    @property
    def devices(self):
        """Of a hint: its devices, list of str, untrimmed as Asterisk takes them. A blank around `&` makes a device unknown."""
        devices, comma, last = self._hint.rpartition(",")
        return (devices if comma else last).split("&") if self._hint else []

    @property
    def presence(self):
        """Of a hint: its presence provider, untrimmed, or None. What is before the *last* comma are devices, other commas included."""
        return self._hint.rpartition(",")[2] if "," in self._hint else None

    @property
    def _hint(self):
        return self.application or "" if self.kind == "hint" else ""

    @cached_property
    def problem(self):
        """Why Asterisk drops the line or complains, as far as the line alone tells; or what only Asterisk can know."""
        if self._holds_variables:
            return "the extension holds variables, which Asterisk replaces when it loads the file"
        if self._ends_in_backslash:
            return "a backslash at the end of the extension lets Asterisk read beyond it"
        if not self.is_same and not self.extension:
            return "there is no extension"
        if len(self.text[slice(*self.head)].encode("utf-8", "surrogateescape")) > MOST_BYTES:
            return f"the extension is longer than {MOST_BYTES} bytes"
        return self._priority_problem or self._application_problem

    @property
    def _priority_problem(self):
        if self.label is not None and not self.label_is_closed:
            return "the label lacks its `)`"
        if not self.priority:
            return "there is no priority"
        if self.kind == "number" and self.number < 1:
            return "a priority is 1 or more"
        return None

    @property
    def _application_problem(self):
        if not self.application:
            return "there is no application"
        if "${" in self._hint:
            return "the hint holds variables, which Asterisk replaces when it loads the file, or in a pattern's when somebody subscribes"
        if "unclosed_arguments" in self._spans:
            return "the arguments lack their `)`"
        return None

    @property
    def label_is_closed(self):
        """Whether there is no label, or one that ends in `)`; a line with another one is dropped."""
        return "unclosed_label" not in self._spans

    # ---- where the parts are ----------------------------------------------------------------------------------------------------

    @cached_property
    def head(self):
        """Where EXT is: (start, stop); (0, 0) in a `same` line."""
        return (0, 0) if self.is_same else (0, _comma_outside_brackets(self.text))

    @property
    def _holds_variables(self):
        head = self.text[slice(*self.head)]
        return "${" in head or "$[" in head

    @property
    def _ends_in_backslash(self):
        head = self.text[slice(*self.head)]
        return self.head[1] == len(self.text) and (len(head) - len(head.rstrip("\\"))) % 2 == 1

    @cached_property
    def _spans(self):
        spans, at = {}, 0
        if not self.is_same:
            self._find_extension(spans)
            at = self.head[1] + 1
        if at > len(self.text):
            return spans
        comma = self.text.find(",", at)
        stop = len(self.text) if comma < 0 else comma
        self._find_priority(spans, *_trimmed(self.text, at, stop))
        if comma >= 0:
            self._find_application(spans, comma + 1)
        return spans

    def _find_extension(self, spans):
        start, stop = self.head
        slash = self.text.find("/", start, stop)
        spans["extension"] = _trimmed(self.text, start, stop if slash < 0 else slash, " ")
        if slash >= 0:
            spans["cidmatch"] = slash + 1, stop

    def _find_priority(self, spans, start, stop):
        match = _PRIORITY.fullmatch(self.text, start, stop)
        for name in ("priority", "plus", "label"):
            if match[name] is not None:
                spans[name] = match.span(name)
        if match["label"] is not None and match["closed"] is None:
            spans["unclosed_label"] = match.span("label")

    def _find_application(self, spans, start):
        stop = len(self.text)
        start = stop - len(self.text[start:].lstrip(BLANKS))
        opening = self.text.find("(", start)
        if opening < 0 or "${" in self.text[start:opening] or "$[" in self.text[start:opening]:
            spans["application"] = start, stop  # `hint,PJSIP/${GLOBAL(x)}` isn't an application with arguments
            return
        closing = self.text.rfind(")", opening + 1)
        spans["application"] = start, opening
        spans["arguments"] = opening + 1, stop if closing < 0 else closing
        if closing < 0:
            spans["unclosed_arguments"] = opening, stop

    # ---- how a changed part is written ------------------------------------------------------------------------------------------

    def _reread(self, text):
        return ExtensionLine(text, self.is_same)

    def _spelled(self, name, wanted):
        span = self._spans.get(name)
        if wanted is None:
            return self._without(name)
        if span is not None:
            return self._between(*span, wanted)
        if self.is_same and name in ("extension", "cidmatch"):
            raise Invalid(f"a `same` line has no {name} of its own")
        before, opening, closing = _ADDED[name]
        if before not in self._spans:
            raise Invalid(f"{name} needs a line with {before} before it")
        at = self._spans["plus" if name == "label" and "plus" in self._spans else before][1]
        if name in ("priority", "application"):
            return f"{self.text},{wanted}"
        return self._between(at, at, opening + wanted + closing)

    def _without(self, name):
        start, stop = self._spans[name]
        if name not in ("cidmatch", "plus", "label", "arguments"):
            raise Invalid(f"a line without {name} is no line of a context")
        closing = name in ("label", "arguments") and f"unclosed_{name}" not in self._spans
        return self._between(start - 1, stop + closing, "")


#: part that isn't there yet: the part it follows, and what it is put between
_ADDED = {
    "cidmatch": ("extension", "/", ""),
    "priority": ("extension", ",", ""),
    "plus": ("priority", "+", ""),
    "label": ("priority", "(", ")"),
    "application": ("priority", ",", ""),
    "arguments": ("application", "(", ")"),
}


def _comma_outside_brackets(text):
    """Return where the extension ends: at the first comma outside `[ ]`; a backslash skips the character after it, and both stay."""
    depth, at = 0, 0
    while at < len(text):
        character = text[at]
        if character == "[":
            depth += 1
        elif character == "]":
            depth = max(0, depth - 1)
        elif character == "\\":
            at += 1
        elif character == "," and not depth:
            return at
        at += 1
    return len(text)


def _trimmed(text, start, stop, blanks=BLANKS):
    """Return the range without the blanks at its ends."""
    inner = text[start:stop]
    start += len(inner) - len(inner.lstrip(blanks))
    return start, start + len(inner.strip(blanks))
