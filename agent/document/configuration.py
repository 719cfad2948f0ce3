"""One main file and everything that it includes, read in Asterisk's order; the room's front door.

Called by resources and by apply's reading side. The files come from the Files that are handed in, each asked for once: a Configuration
is a snapshot. It deliberately never runs `#exec` and never raises because of what stands in a file.
"""

import gc
import posixpath
from collections import Counter
from contextlib import contextmanager
from typing import NamedTuple

from . import category_edits, edits
from .document import Document
from .includes import Files, paths, unquoted
from .inherit import Broken, Category, Deadly, Variable, View, decoded, encoded
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


class Configuration:
    """One main file and everything it includes, as Asterisk reads it.

    name: the main file's path; documents: {path: Document}, each file read; folder: the configuration folder as Asterisk names it
    status: "ok" or "rejected"; rejection: Rejection or None; warnings: list of (Where, message), at most 1,000
    categories: list of Category, in Asterisk's order; of a rejected file those read before the fault
    """

    def __init__(self, name, files, folder):
        self.name = name
        self.folder = folder
        self._snapshot = _Snapshot(files)
        self.reread()

    @classmethod
    def load(cls, name: str, files: Files, *, folder: str = "/etc/asterisk") -> "Configuration":
        """Given a main file's path and the files, return the Configuration; never raises because of content."""
        return cls(name, files, folder)

    def reread(self):
        """Read the documents as they now are; what Files gave before is kept."""
        self.take(self.read_anew())

    def take(self, reader):
        """Given a _Reader, let its findings be this Configuration's."""
        self.view, self.warnings, self.rejection = reader.view, reader.warnings, reader.rejection
        self._readings = Counter(document.name for document in reader.readings)

    @property
    def reading_count(self) -> int:
        """How many times Asterisk reads a file of it, each one counted as often as it is included."""
        return sum(self._readings.values())

    def reads_once(self, document):
        """Given a Document, tell whether Asterisk reads its file just once."""
        return self._readings[document.name] == 1

    def read_anew(self):
        """Return a _Reader that has read the documents as they now are; this Configuration stays as it is."""
        reader = _Reader(self._snapshot, encoded(self.folder))
        with _collector_at_rest():
            reader.read_main(self.name)
        return reader

    @property
    def documents(self) -> dict[str, Document]:
        """Each file read, by path."""
        return self._snapshot.documents

    @property
    def categories(self) -> list[Category]:
        """The effective view: what GetConfig with `Filter: TEMPLATES=include` shows."""
        return self.view.categories

    @property
    def status(self) -> str:
        """Whether Asterisk takes the file: "ok" or "rejected"."""
        return "ok" if self.rejection is None else "rejected"

    def category(self, name: str, *, template: bool = False) -> Category | None:
        """Given a name, return the first category (or template) of that name, ASCII case ignored, or None."""
        wanted = encoded(name)
        return next((each for each in self.view.named(wanted) if wanted and each.is_template == template), None)

    def find(self, category_name: str, variable_name: str) -> Variable | None:
        """Given two names, return the last such variable in the first category of that name that has one; templates are not looked at."""
        wanted = encoded(category_name)
        for category in self.view.named(wanted) if wanted else ():
            found = None if category.is_template else category.find(variable_name)
            if found is not None:
                return found
        return None

    def changed(self) -> dict[str, bytes]:
        """Return the files whose bytes differ from what was loaded."""
        now = {path: (document.loaded, document.to_bytes()) for path, document in self.documents.items()}
        return {path: data for path, (loaded, data) in now.items() if data != loaded}

    # ---- edits: each raises errors.Invalid, Conflict or NotFound and then leaves everything as it was -------------------------------

    def set(self, variable: Variable, value: str, *, shared: bool = False) -> Variable:
        """Given a variable, change its value's bytes; an inherited one gets an own line instead. See edits.set_value."""
        return edits.set_value(self, variable, value, shared=shared)

    def add(self, category: Category, name: str, value: str, *, is_object: bool | None = None,
            after: Variable | None = None, shared: bool = False) -> Variable:
        """Given a category, add a variable after its like, in the neighbours' style. See edits.add_variable."""
        return edits.add_variable(self, category, name, value, is_object=is_object, after=after, shared=shared)

    def remove(self, variable: Variable, *, shared: bool = False) -> None:
        """Given an own variable, remove its line. See edits.remove_variable."""
        edits.remove_variable(self, variable, shared=shared)

    def rename(self, variable: Variable, name: str, *, shared: bool = False) -> None:
        """Given an own variable, change its name's bytes. See edits.rename_variable."""
        edits.rename_variable(self, variable, name, shared=shared)

    def move(self, variable: Variable, *, before: Variable | None = None, after: Variable | None = None, shared: bool = False) -> None:
        """Given an own variable, put its line before or after another own one of its category. See edits.move_variable."""
        edits.move_variable(self, variable, before=before, after=after, shared=shared)

    def add_category(self, name: str, *, bases=(), is_template: bool = False,
                     after: Category | None = None, file: str | None = None) -> Category:
        """Given a name, add an empty category after another, or at the end of a file. See category_edits.add_category."""
        return category_edits.add_category(self, name, bases=bases, is_template=is_template, after=after, file=file)

    def remove_category(self, category: Category) -> None:
        """Given a category that nothing else needs, remove it with its variables. See category_edits.remove_category."""
        category_edits.remove_category(self, category)

    def rename_category(self, category: Category, name: str) -> None:
        """Given a category that nothing refers to, change its name's bytes. See category_edits.rename_category."""
        category_edits.rename_category(self, category, name)


class _Snapshot:
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
        known = self.documents.setdefault(name, None) or Document.parse(data, name, depth=depth, first=first)
        self.documents[name] = known
        if (known.depth, known.first) == (depth, first):
            return known
        state = name, depth, first
        if state not in self._otherwise:
            self._otherwise[state] = Document.parse(data, name, depth=depth, first=first)
        return self._otherwise[state]


class _Reader:
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
        try:
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
        """Given a Document and the category that it begins in, let each line take effect; return the last category and None, or a Rejection."""
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
