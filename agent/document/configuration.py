"""One main file and everything that it includes; the room's front door.

Called by resources and by the command line. It deliberately does nothing itself: reading.py reads, edits.py and category_edits.py edit,
inherit.py holds what came out.
"""

from collections import Counter

from . import category_edits, edits
from .document import Document
from .includes import Files
from .inherit import Category, Variable, encoded
from .reading import Reader, Snapshot


class Configuration:
    """One main file and everything it includes, as Asterisk reads it.

    name: the main file's path; documents: {path: Document}, each file read; folder: the configuration folder as Asterisk names it
    status: "ok" or "rejected"; rejection: Rejection or None; warnings: list of (Where, message), at most 1,000
    categories: list of Category, in Asterisk's order; of a rejected file those read before the fault
    """

    def __init__(self, name, files, folder):
        self.name = name
        self.folder = folder
        self._snapshot = Snapshot(files)
        self.take(self.read_anew())

    @classmethod
    def load(cls, name: str, files: Files, *, folder: str = "/etc/asterisk") -> "Configuration":
        """Given a main file's path and the files, return the Configuration; never raises because of content."""
        return cls(name, files, folder)

    def take(self, reader):
        """Given a Reader, let its findings be this Configuration's."""
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
        """Return a Reader that has read the documents as they now are; this Configuration stays as it is."""
        reader = Reader(self._snapshot, encoded(self.folder))
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
