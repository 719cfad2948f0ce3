"""What lines mean to each other: categories, templates, inheritance, `(+)` and `+=`; facts.md 1.3 "Header" and "Assignment".

Called by configuration.py, line by line in Asterisk's order; its View is what GetConfig with `Filter: TEMPLATES=include` shows, and for
each value also where it stands. It deliberately doesn't know files: who included what is configuration.py's business.
"""

from agent.errors import Invalid

from .filters import Filter
from .lines import Where
from .parse import BLANKS

NAME_LIMIT = 79  # bytes of a category's name that are kept
# Each header can double what is there; Asterisk would take about 100 bytes for each copy.
MOST_COPIES = 2_000_000


class Broken(Exception):
    """Asterisk rejects the file that is being read; the argument says why."""


class Deadly(Exception):
    """Asterisk would hang or die; the argument says why."""


def decoded(text):
    """Given bytes of a file, return str that `encoded` turns back into the same bytes."""
    return text.decode("utf-8", "surrogateescape")


def encoded(text):
    """Given str from `decoded` or from a person, return bytes. Raise Invalid if UTF-8 can't hold it."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise Invalid(f"{text!r} can't be written as UTF-8") from error


class Variable:
    """One `name = value` as a module sees it in `category`; held and found by identity.

    line, document: where it stands; an inherited one stands in its parent's text
    joined: (document, line) of the last `+=` that added to its value, or None
    """

    __slots__ = ("category", "line", "document", "name_bytes", "value_bytes", "inherited", "joined")

    def __init__(self, category, line, document, name_bytes, value_bytes, inherited=False, joined=None):
        self.category = category
        self.line = line
        self.document = document
        self.name_bytes = name_bytes
        self.value_bytes = value_bytes
        self.inherited = inherited
        self.joined = joined

    @property
    def name(self):
        """Its name, str."""
        return decoded(self.name_bytes)

    @property
    def value(self):
        """Its value, str."""
        return decoded(self.value_bytes)

    @property
    def is_object(self):
        """Whether it is written with `=>`."""
        return self.line.operator == b"=>"

    @property
    def where(self):
        """The place of its line."""
        return Where(self.document.name, self.document.number_of(self.line))

    def copied_to(self, category):
        """Given a category that inherits, return the copy for it."""
        return Variable(category, self.line, self.document, self.name_bytes, self.value_bytes, True, self.joined)

    def __repr__(self):
        return f"Variable({self.name!r}, {self.value!r})"


class Category:
    """One `[name]` as modules see it, with what it inherited in front of its own; held and found by identity."""

    __slots__ = ("name_bytes", "is_template", "variables", "line", "document", "parents", "is_parent", "appended", "_index")

    def __init__(self, name_bytes, line, document):
        self.name_bytes = name_bytes
        self.is_template = False
        self.variables = []
        self.line = line
        self.document = document
        self.parents = []
        self.is_parent = False
        self.appended = []  # (document, line) of the `(+)` headers that continue it
        self._index = None

    @property
    def name(self):
        """Its name, str, at most 79 bytes."""
        return decoded(self.name_bytes)

    @property
    def bases(self):
        """The names of its direct parents, in order."""
        return [parent.name for parent in self.parents]

    @property
    def where(self):
        """The place of its header."""
        return Where(self.document.name, self.document.number_of(self.line))

    def find(self, name):
        """Given a variable's name, return the last Variable of that name, ASCII case ignored, or None."""
        if self._index is None:
            self._index = {each.name_bytes.lower(): each for each in self.variables}
        return self._index.get(encoded(name).lower())

    def get(self, name, default=None, *, first=False):
        """Given a variable's name, return its value: the last, or the first one if asked; `default` without one."""
        if first:
            found = next(iter(self.all(name)), None)
        else:
            found = self.find(name)
        return default if found is None else found.value

    def all(self, name):
        """Given a variable's name, return all Variables of that name, in order."""
        wanted = encoded(name).lower()
        return [each for each in self.variables if each.name_bytes.lower() == wanted]

    def own(self):
        """Return the variables that stand in its own text, in order."""
        return [each for each in self.variables if not each.inherited]

    def insert(self, at, variable):
        """Given an index and a new variable, let it stand there."""
        self.variables.insert(at, variable)
        if self._index is not None and self._index.setdefault(variable.name_bytes.lower(), variable) is not variable:
            self._index = None

    def discard(self, variable):
        """Given one of its variables, forget it."""
        self.variables.remove(variable)  # defines no equality: by identity
        self._index = None

    def forget_index(self):
        """A name has changed."""
        self._index = None

    def __repr__(self):
        return f"Category({self.name!r})"


class View:
    """All categories in Asterisk's order, built by one call per line."""

    def __init__(self):
        self.categories = []
        self.current = None  # the category most recently created or appended to, in any file
        self.has_joins = False
        self.has_filters = False
        self._by_name = {}
        self._copies = 0

    def named(self, name):
        """Given a name (bytes), return the categories that it refers to; an empty one refers to all."""
        return self._by_name.get(name.lower(), []) if name else self.categories

    def can_inherit(self, names):
        """Given names (str), tell whether a category could have these parents without being too much."""
        more = sum(len(self.named(encoded(name))[0].variables) for name in names)
        return self._copies + more <= MOST_COPIES

    def remove(self, category):
        """Given a category that no other one refers to, forget it."""
        self.categories.remove(category)
        self._by_name[category.name_bytes.lower()].remove(category)
        if self.current is category:
            self.current = self.categories[-1] if self.categories else None

    def replace_categories(self, heirs):
        """Given {id of a Category: the one that stands for it from now on}, refer to the latter everywhere; `categories` does already."""
        self._by_name = {}
        for category in self.categories:
            category.parents = [heirs.get(id(parent), parent) for parent in category.parents]
            self._by_name.setdefault(category.name_bytes.lower(), []).append(category)
        self.current = heirs.get(id(self.current), self.current)

    def open(self, line, document):
        """Given a Header, return the category that following lines belong to. Raise Broken or Deadly."""
        new = category = Category(line.name[:NAME_LIMIT], line, document)
        for option in line.options or ():
            if option == b"!":
                category.is_template = True
            elif option.startswith(b"+"):
                category = self._appended(line, option[1:])
                category.appended.append((document, line))
                if new is not None:
                    self._continue(category, new)
                    new = None
            else:
                self._inherit(category, option)
        if new is not None:
            self.categories.append(new)
            self._by_name.setdefault(new.name_bytes.lower(), []).append(new)
            self.current = new
        return category

    def _appended(self, line, text):
        try:
            condition = Filter(text)
        except ValueError as error:
            raise Deadly(str(error)) from error
        self.has_filters = self.has_filters or bool(text)
        for category in self.named(line.name):
            if condition.matches(category):
                return category
        raise Broken(f"there is no category [{decoded(line.name)}] to append to")

    def _continue(self, category, new):
        """`new` turned out to be the continuation of `category`: what it inherited or was so far goes there."""
        category.is_template = category.is_template or new.is_template
        for variable in new.variables:
            variable.category = category
        category.variables.extend(new.variables)
        self.current = category

    def _inherit(self, category, name):
        found = self.named(name)
        if not found:
            raise Broken(f"the parent [{decoded(name)}] doesn't exist (above)")
        parent = found[0]
        if parent is category and parent.variables:
            raise Deadly("a category that appends itself makes Asterisk copy until memory is gone")
        self._copies += len(parent.variables)
        if self._copies > MOST_COPIES:
            raise Deadly("so much inheriting takes more memory than there is")
        parent.is_parent = True
        category.parents.append(parent)
        category.variables.extend([each.copied_to(category) for each in parent.variables])

    def assign(self, category, line, document):
        """Given an Assignment, let it take effect in the category."""
        if line.operator == b"+=":
            self._join(category, line, document)
        else:
            category.variables.append(Variable(category, line, document, line.name, line.value))

    def _join(self, category, line, document):
        self.has_joins = True  # also where there is nothing to join: an edit could change that
        last = next((each for each in reversed(category.variables) if each.name_bytes == line.name), None)
        if last is None:
            category.variables.append(Variable(category, line, document, line.name, line.value.strip(BLANKS)))
            return
        # Changed is the *first* variable that looks like the last one (facts.md 1.3, `+=`; from 23.0 on the last).
        at = next(i for i, each in enumerate(category.variables) if _looks_like(each, last))
        changed = category.variables[at]
        value = (last.value_bytes + line.value).strip(BLANKS)
        category.variables[at] = Variable(
            category, changed.line, changed.document, last.name_bytes, value, changed.inherited, (document, line))


def _looks_like(variable, other):
    return (variable.name_bytes.lower() == other.name_bytes.lower()
            and (not other.value_bytes or variable.value_bytes.lower() == other.value_bytes.lower()))
