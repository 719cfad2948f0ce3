"""How names, values and headers are written into lines: escapes, what can't be written, and the neighbours' style.

Called by edits.py. It deliberately changes no Document: it returns bytes, which `Document.reread` then proves to mean what was asked.
"""

import re

from agent.errors import Invalid, TooLarge

from .inherit import NAME_LIMIT, encoded
from .lines import Assignment, ByteOrderMark
from .parse import BLANKS, LINE_LIMIT, live_spans

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # TAB may stand inside
_ESCAPED_FIRST = b"[#\\="  # as a name's first byte they would decide what the line is

# indent name blanks operator blanks … (line feed)
_STYLE = re.compile(rb"(?P<indent>[ \t]*)(?P<name>[^=;]*?)(?P<before>[ \t]*)(?P<operator>\+?=>?)(?P<after>[ \t]*)")


# ---- what can be written ----------------------------------------------------------------------------------------------------------

def value_text(value: str) -> bytes:
    """Given a value, return its bytes as they stand in a line. Raise Invalid if Asterisk couldn't read it back."""
    text = _checked(value, "value")
    return text.replace(b";", b"\\;")  # the only escape that Asterisk knows


def name_text(name: str) -> bytes:
    """Given a variable's name, return its bytes as they stand in a line. Raise Invalid if Asterisk couldn't read it back."""
    text = _checked(name, "name")
    if not text:
        raise Invalid("a name can't be empty")
    if b"=" in text[1:]:
        raise Invalid(f"the name {name!r} holds a `=`, which ends a name")
    if text[0] in _ESCAPED_FIRST:
        text = b"\\" + text
    return text.replace(b";", b"\\;")


def category_text(name: str) -> bytes:
    """Given a category's name, return its bytes as they stand between `[` and `]`. Raise Invalid if it couldn't be referred to."""
    text = _checked(name, "name")
    if not text:
        raise Invalid("a category without a name would be found under every name")
    if len(text) > NAME_LIMIT:
        raise TooLarge(f"the name {name!r} has more than {NAME_LIMIT} bytes")
    if b"]" in text:
        raise Invalid(f"the name {name!r} holds a `]`, which ends a name")
    return text.replace(b";", b"\\;")


def header_text(name: str, bases, is_template: bool) -> bytes:
    """Given name, names of parents and template flag, return the header's bytes without line end."""
    options = [b"!"] if is_template else []
    for base in bases:
        text = category_text(base)
        if b"," in text or b")" in text or text == b"!" or text.startswith(b"+"):
            raise Invalid(f"the name {base!r} can't be written as a parent")
        options.append(text)
    return b"[" + category_text(name) + b"]" + (b"(" + b",".join(options) + b")" if options else b"")


def _checked(text, what):
    """Only what would come back as it was given: no control characters, no blanks at the ends."""
    data = encoded(text)
    if _CONTROL.search(data):
        raise Invalid(f"the {what} holds a control character")
    if data != data.strip(BLANKS):
        raise Invalid(f"the {what} begins or ends with a blank, which Asterisk drops")
    if len(data) > LINE_LIMIT:
        raise TooLarge(f"the {what} is longer than Asterisk's lines ({LINE_LIMIT} bytes)")
    return data


def checked_line(raw: bytes) -> bytes:
    """Given a line, return it. Raise TooLarge if Asterisk would skip it."""
    if len(raw.removesuffix(b"\n")) > LINE_LIMIT:
        raise TooLarge(f"the line would have more than {LINE_LIMIT} bytes")
    return raw


# ---- a part of an existing line ---------------------------------------------------------------------------------------------------

def with_value(line: Assignment, value: str) -> bytes:
    """Given a line and a new value, return the line's bytes with only the value's bytes changed."""
    start, stop = _value_range(line)
    text = value_text(value)
    if text.startswith(b">") and line.operator == b"=":
        text = b" " + text  # else it would read as `=>`
    return checked_line(_replaced(line, start, stop, text))


def with_name(line: Assignment, name: str) -> bytes:
    """Given a line and a new name, return the line's bytes with only the name's bytes changed."""
    text, _ = _live(line)
    start = len(text) - len(text.lstrip(BLANKS))
    stop = _equals(text) - (line.operator == b"+=")
    stop = start + len(text[start:stop].rstrip(BLANKS))
    new = name_text(name)
    if new.endswith(b"+") and text[stop:stop + 1] == b"=":
        new += b" "  # else it would read as `+=`
    return checked_line(_replaced(line, start, stop, new))


def with_category_name(line, name: str) -> bytes:
    """Given a Header and a new name, return the line's bytes with only the name's bytes changed."""
    text, _ = _live(line)
    start = text.index(b"[") + 1
    return checked_line(_replaced(line, start, text.index(b"]"), category_text(name)))


def without_live_text(line) -> bytes:
    """Given a line, return what must stay when its setting goes: b"", or its comments, if a block comment begins or ends in it."""
    _, depth, _ = live_spans(line.raw, line.depth)
    if depth == line.depth == 0:
        return b""
    kept, at = [], 0
    for start, stop in _runs(line, 0, len(_live(line)[0])):
        kept.append(line.raw[at:start])
        at = stop
    rest = b"".join(kept) + line.raw[at:]
    return rest if rest.endswith(b"\n") or not line.raw.endswith(b"\n") else rest + b"\n"


def _live(line):
    """Return a line's live text and for each of its bytes the offset in `raw`."""
    spans, _, _ = live_spans(line.raw, line.depth)
    offsets = [offset for start, stop in spans for offset in range(start, stop)]
    return bytes([line.raw[offset] for offset in offsets]), offsets


def _equals(text):
    """Where in the live text of an assignment its `=` is."""
    start = len(text) - len(text.lstrip(BLANKS))
    return text.index(b"=", start + 2 if text[start] == 0x5C else start)


def _value_range(line):
    """Where in the live text the value is, blanks excluded; an empty one is placed as the blanks around suggest."""
    text, _ = _live(line)
    start = _equals(text) + len(line.operator.removeprefix(b"+"))
    value = text[start:].strip(BLANKS)
    if value:
        start = text.index(value, start)
        return start, start + len(value)
    if text[start:start + 1] == b" ":
        start += 1
    return start, start


def _replaced(line, start, stop, new):
    """Return `raw` with the live bytes from `start` up to `stop` replaced; comments between them stay."""
    raw = line.raw
    runs = _runs(line, start, stop)
    first_start, first_stop = runs[0]
    tail = b""
    for (_, gap_start), (gap_stop, run_stop) in zip(runs, runs[1:]):
        run = raw[gap_stop:run_stop]
        tail += raw[gap_start:gap_stop] + run[:len(run) - len(run.lstrip(BLANKS))]
    if len(runs) > 1:
        run = raw[first_start:first_stop]
        tail = run[len(run.rstrip(BLANKS)):] + tail
    tail += raw[runs[-1][1]:]
    if tail.startswith(b";") and new.endswith((b"\\", b"--")):
        tail = b" " + tail  # else the comment would turn into data, or into the end of a block
    return raw[:first_start] + new + tail


def _runs(line, start, stop):
    """Return the pieces of `raw` that hold the live bytes from `start` up to `stop`: [(start, stop), …], escapes included."""
    text, offsets = _live(line)
    if start == stop:
        at = offsets[start - 1] + 1
        return [(at, at)]
    live = set(offsets)
    runs = []
    for offset in offsets[start:stop]:
        begin = offset
        if line.raw[offset:offset + 1] == b";" and line.raw[offset - 1:offset] == b"\\" and offset - 1 not in live:
            begin = offset - 1
        if runs and runs[-1][1] == begin:
            runs[-1] = runs[-1][0], offset + 1
        else:
            runs.append((begin, offset + 1))
    return runs


# ---- new lines --------------------------------------------------------------------------------------------------------------------

def new_assignment(name: str, value: str, *, like: Assignment | None, is_object: bool | None) -> bytes:
    """Given a name and a value, return the bytes of a line without its end, in the style of the line `like`.

    like: an Assignment whose indent, blanks and operator are taken over, or None
    is_object: whether to write `=>`; None: as `like` does
    """
    style = _STYLE.match(like.raw) if like is not None and not like.depth else None
    indent, before, after = (style["indent"], style["before"], style["after"]) if style else (b"", b" ", b" ")
    if is_object is None:
        is_object = like is not None and like.operator == b"=>"
    written = name_text(name)
    if len(before) > 1:  # a column of operators
        before = before[:1] * max(1, len(style["name"]) + len(before) - len(written))
    if written.endswith(b"+"):
        before = before or b" "
    text = value_text(value)
    if not is_object and text.startswith(b">"):
        after = after or b" "
    if style and not text and like.value:
        after = b""
    return checked_line(indent + written + before + (b"=>" if is_object else b"=") + after + text)


def line_end(lines) -> bytes:
    """Given lines, return the line end that the first of them shows; LF without one."""
    for line in lines:
        if line.raw.endswith(b"\n"):
            return b"\r\n" if line.raw.endswith(b"\r\n") else b"\n"
    return b"\n"


def inserted(document, at, texts):
    """Given texts without line ends for new lines at an index, return which lines to replace, and by what: (start, stop, raws).

    They end as the line before does. If that is the file's last and has no line feed, it gets one, and the new last one has none.
    """
    before = document.lines[at - 1:at] if at else []
    end = line_end(before or document.lines)
    if before and at == len(document.lines) and not before[0].raw.endswith(b"\n") and not isinstance(before[0], ByteOrderMark):
        end = line_end(document.lines)
        texts = [before[0].raw, *texts]
        return at - 1, at, [text + end for text in texts[:-1]] + texts[-1:]
    return at, at, [text + end for text in texts]
