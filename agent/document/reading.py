"""Reads a main file and what it includes, line by line in Asterisk's order; facts.md 1.3 "Directive", 1.4 and the deadly rows of 1.2, 1.3.

Called by configuration.py, once to load and again to check an edit. The files come from the Files that are handed in, each asked for once:
a Snapshot. It deliberately never runs `#exec`, never raises because of what stands in a file, and always comes to an end.
"""

import gc
import posixpath
from contextlib import contextmanager
from typing import NamedTuple

from .document import Document
from .includes import paths, unquoted
from .inherit import Broken, Deadly, View, decoded, encoded
from .lines import KILLS, REJECTS, WARNS, Assignment, Directive, Header, Unparsed, Where

DEEPEST_INCLUDE = 10
# From about this length on Asterisk's name for a second copy (`NAME~~1`, cut to 255 bytes) can name an existing file for ever.
LONGEST_REPEATED_INCLUDE = 252
MOST_LINES, MOST_READINGS = 2_000_000, 50_000  # a file that includes itself in ten places would be read 10^10 times
MOST_WARNINGS = 1_000

READ, MISSING = "read", "missing"


class Rejection(NamedTuple):
    """Why Asterisk has no answer for a file; `is_deadly`: it would hang or die rather than refuse."""

    where: Where
    reason: str
    is_deadly: bool = False


class Snapshot:
    """The files as they were when first asked for, and their Documents."""

    def __init__(self, files):
        self.documents = {}  # path → Document, as first read
        self._otherwise = {}  # (path, depth, first) → the same file read in another state
        self._files = files
        self._data = {}
        self._entries = {}

    def entries(self, folder):
        if folder not in self._entries:
            self._entries[folder] = self._files.entries(folder)
        return self._entries[folder]

    def document(self, path, depth, first):
        """Given a path and the state that the reader is in, return its Document, or None if there is no such file."""
        name = posixpath.normpath(path) if path else path
        if path not in self._data:
            self._data[path] = self._files.read(path)
        data = self._data[path]
        if data is None:
            return None
        if name not in self.documents:
            self.documents[name] = Document.parse(data, name, depth=depth, first=first)
        known = self.documents[name]
        if (known.depth, known.first) == (depth, first):
            return known
        state = name, depth, first
        if state not in self._otherwise:
            self._otherwise[state] = Document.parse(data, name, depth=depth, first=first)
        return self._otherwise[state]


class Reader:
    """One reading of everything, in Asterisk's order."""

    def __init__(self, snapshot, folder):
        self.view = View()
        self.warnings = []
        self.rejection = None
        self.readings = []  # each Document as often as it was read
        self._snapshot = snapshot
        self._folder = folder
        self._level = 0
        self._included = set()
        self._lines = 0

    def read_main(self, name):
        """Given the main file's path, read it; what comes out are `view`, `warnings`, `rejection` and `readings`."""
        try:
            with _collector_at_rest():
                result = self._load(encoded(name))
        except _Stop as stop:
            self.rejection = stop.args[0]
            return
        if result == MISSING:
            self.rejection = Rejection(Where(name, 1), "the file doesn't exist or can't be read")
        elif result is not READ:
            self.rejection = result

    def _load(self, name):
        """Given a name as an include gives it, read its files; return READ, MISSING or a Rejection.

        Source: ast_config_internal_load; a rejected file keeps its level, so the 11th of them leaves none
        """
        if self._level > DEEPEST_INCLUDE:
            return MISSING
        self._level += 1
        result = self._read_files(paths(name, self._folder, self._snapshot))
        if result in (READ, MISSING):
            self._level -= 1
        return result

    def _read_files(self, names):
        category = self.view.current
        depth = 0
        result = MISSING
        for path in names:
            document = self._snapshot.document(path, depth, result == MISSING)
            if document is None:
                continue
            result = READ
            self.readings.append(document)
            category, rejection = self._read(document, category)
            if rejection:
                return rejection
            depth = document.depth_after
            self._warn_of_open_block(document)
        return result

    def _read(self, document, category):
        """Given a Document and the category it begins in, let each line take effect; return the last category, and a Rejection or None."""
        line = None
        self._count(document)
        try:
            for line in document.lines:
                kind = type(line)
                if kind is Assignment:
                    if category is None:
                        raise Broken("a setting before any category")
                    self.view.assign(category, line, document)
                elif kind is Header:
                    category = self.view.open(line, document)
                elif kind is Directive:
                    self._direct(line, document)
                elif kind is Unparsed:
                    self._stumble(line, document, category)
        except Broken as broken:
            return category, Rejection(document.where(line), str(broken))
        except Deadly as deadly:
            raise _Stop(Rejection(document.where(line), str(deadly), is_deadly=True)) from deadly
        return category, None

    def _direct(self, line, document):
        if line.word == b"exec":
            self._warn(document, line, "#exec is never run here: what it would give can't be seen")
            return
        name = unquoted(line.argument)
        if name in self._included:
            if len(name) > LONGEST_REPEATED_INCLUDE:
                raise Deadly("so long an include text twice can make Asterisk loop forever")
            self._warn(document, line, "the same file is included more than once")
        self._included.add(name)
        result = self._load(name)
        if result is MISSING and line.word == b"include":
            raise Broken(f"#include of {decoded(name)} finds nothing")
        if result is MISSING:
            self._warn(document, line, f"#tryinclude of {decoded(name)} finds nothing")
        elif result is not READ:
            self._warn_at(result.where, f"{result.reason}; the rest of this included file is ignored")

    def _stumble(self, line, document, category):
        if line.effect == KILLS:
            raise Deadly(line.reason)
        if line.effect == REJECTS or (line.effect != WARNS and category is None):
            raise Broken(line.reason)
        self._warn(document, line, f"{line.reason}; the line is ignored")

    def _count(self, document):
        self._lines += len(document.lines)
        if self._lines > MOST_LINES or len(self.readings) > MOST_READINGS:
            raise _Stop(Rejection(Where(document.name, 1), "the includes multiply until Asterisk hangs", is_deadly=True))

    def _warn_of_open_block(self, document):
        if not document.depth_after:
            return
        opening = next((line for line in reversed(document.lines) if not line.depth), document.lines[0])
        what = "a block comment is never closed" if document.depth_after > 0 else "a stray `--;` closes what was never open"
        self._warn(document, opening, f"{what}; the rest of the file is ignored")

    def _warn(self, document, line, message):
        self._warn_at(document.where(line), message)

    def _warn_at(self, where, message):
        if len(self.warnings) < MOST_WARNINGS:
            self.warnings.append((where, message))


class _Stop(Exception):
    """Asterisk would hang or die here; the argument is the Rejection of the whole."""


@contextmanager
def _collector_at_rest():
    """Reading makes objects by the ten thousand and no garbage: looking for some, again and again, would take a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
