"""The kinds of lines that an Asterisk configuration file consists of; each owns its exact bytes.

Called by parse.py, which makes them, and by everything that reads or edits a Document. Lines in order give the same file byte for byte:
every byte of a file belongs to exactly one line. A line knows nothing about its neighbours or its place: places are found by identity,
never by equality, since files are full of identical lines.
"""

from typing import NamedTuple


class Where(NamedTuple):
    """A place: file (as the configuration names it) and line (from 1, counted by line feeds)."""

    file: str
    line: int

    def __str__(self):
        return f"{self.file}:{self.line}"


class Line:
    """`raw`: its bytes, line end included. `depth`: how many block comments are open where it begins (below 0 after stray `--;`)."""

    __slots__ = ("raw", "depth")

    def __init__(self, raw, depth):
        self.raw = raw
        self.depth = depth

    def __repr__(self):
        return f"{type(self).__name__}({self.raw!r})"


class ByteOrderMark(Line):
    """The three bytes that Asterisk drops at the beginning of a file."""

    __slots__ = ()


class Blank(Line):
    """Nothing but bytes up to 32."""

    __slots__ = ()


class Comment(Line):
    """Nothing live: a `;` line, or one that lies in a block comment."""

    __slots__ = ()


class Header(Line):
    """`[name]` or `[name](option,option…)`: `options` are the untrimmed texts between the commas, or None without parentheses."""

    __slots__ = ("name", "options")

    def __init__(self, raw, depth, name, options):
        self.raw = raw
        self.depth = depth
        self.name = name
        self.options = options


class Assignment(Line):
    """`name = value`: `operator` is b"=", b"=>" or b"+="; for the last, `value` keeps its leading blanks, as Asterisk appends them."""

    __slots__ = ("name", "value", "operator")

    def __init__(self, raw, depth, name, value, operator):
        self.raw = raw
        self.depth = depth
        self.name = name
        self.value = value
        self.operator = operator


class Directive(Line):
    """`#word argument`: `word` is b"include", b"tryinclude" or b"exec"."""

    __slots__ = ("word", "argument")

    def __init__(self, raw, depth, word, argument):
        self.raw = raw
        self.depth = depth
        self.word = word
        self.argument = argument


# What Asterisk does at a line that it doesn't understand.
WARNS = "warns"
WARNS_IN_CATEGORY = "warns in a category"  # and rejects the file before the first one
REJECTS = "rejects"
KILLS = "kills"


class Unparsed(Line):
    """A line that Asterisk doesn't understand: `reason` says why, `effect` what then happens (one of the four above)."""

    __slots__ = ("reason", "effect")

    def __init__(self, raw, depth, reason, effect):
        self.raw = raw
        self.depth = depth
        self.reason = reason
        self.effect = effect
