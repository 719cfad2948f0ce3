"""Edits of variables: set, add, remove, rename, move. Each changes lines in one place, proves that nothing else changed, or undoes itself.

Called through Configuration's methods. It deliberately never reformats: of an existing line only the bytes that were asked for change,
and a new line looks like its neighbours. Where a rule of facts.md makes an edit mean more than it says, it is refused with the reason.

Most settings can't mean anything to another line (`_is_alone` says when). Then the changed lines are re-read, in the state that the reader
is in there, and the view is corrected in place; else everything is re-read and compared (verify.py).
"""

from agent.errors import Conflict, Invalid

from .inherit import Variable, encoded
from .lines import Assignment, Blank, Comment
from .refusals import (
    check_category, check_children, check_document, check_line, check_neighbour, check_override, check_own, check_variable, is_generated,
)
from .spelling import inserted, line_end, name_text, new_assignment, value_text, with_name, with_value, without_live_text
from .verify import Meaning, carry_out, respelled


def set_value(configuration, variable, value, *, shared):
    """Given a variable, change its value's bytes and return it; for an inherited one add an own line and return the new Variable.

    shared: whether categories that inherit from this one may change too (a template's always may: it was asked for by name)
    Keeps: spacing, operator, same-line comment, indent, line end
    Raises: Invalid if the value can't be written; Conflict if it would change something else; NotFound if the variable is gone
    """
    check_variable(configuration, variable)
    if variable.inherited:
        check_override(variable)
        return add_variable(configuration, variable.category, variable.name, value, is_object=variable.is_object, after=None, shared=shared)
    if variable.value == value:
        return variable
    check_line(configuration, variable, shared=shared)
    _respell(configuration, variable, with_value(variable.line, value), value=encoded(value))
    return variable


def rename_variable(configuration, variable, name, *, shared):
    """Given an own variable, change its name's bytes.

    Keeps: all other bytes. Raises: as set_value; Conflict for an inherited one
    """
    check_variable(configuration, variable)
    check_own(variable)
    if variable.name == name:
        return
    check_line(configuration, variable, shared=shared)
    _respell(configuration, variable, with_name(variable.line, name), name=encoded(name))
    variable.category.forget_index()


def _respell(configuration, variable, raw, *, name=None, value=None):
    document, old = variable.document, variable.line
    at = document.index_of(old)
    new, = document.reread(at, at + 1, [raw])
    _check_reads(new, variable.name_bytes if name is None else name, variable.value_bytes if value is None else value, variable)
    if not _is_alone(configuration, variable.category):
        carry_out(configuration, document, at, at + 1, [new], Meaning(changed={id(old): (id(new), name, value)}))
        return
    document.replace(at, at + 1, [new])
    variable.line, variable.name_bytes = new, new.name
    variable.value_bytes = variable.value_bytes if value is None else value


def add_variable(configuration, category, name, value, *, is_object, after, shared):
    """Given a category, add a variable after its like (the last own one of that name, else the last own one) and return it.

    is_object: whether to write `=>`; None: as the neighbours do
    after: an own Variable of this category, to stand elsewhere
    Keeps: all bytes; the new line has its neighbours' indent, spacing, operator and line end, in the file where the category's text stands
    Raises: as set_value
    """
    check_category(configuration, category)
    if after is not None:
        check_neighbour(configuration, category, after)
    check_children(category, shared=shared)
    name_text(name)
    value_text(value)
    neighbour = after or _like(category, name)
    document, line = (neighbour or category).document, (neighbour or category).line
    check_document(configuration, document)
    raw = new_assignment(name, value, like=neighbour.line if neighbour else _any_assignment(document, line), is_object=is_object)
    start, stop, raws = inserted(document, document.index_of(line) + 1, [raw])
    lines = document.reread(start, stop, raws)
    _check_reads(lines[-1], encoded(name), encoded(value), category)
    if start == stop and _is_alone(configuration, category) and (neighbour or not (category.appended or category.own())):
        document.replace(start, stop, lines)
        return _placed(category, Variable(category, lines[-1], document, lines[-1].name, lines[-1].value), neighbour)
    meaning = respelled(document.lines[start:stop], lines, come=frozenset({id(lines[-1])}))
    carry_out(configuration, document, start, stop, lines, meaning)
    return next(each for each in category.variables if each.line is lines[-1])


def _placed(category, variable, neighbour):
    """Put a new variable into the view of its category: after its neighbour, or, as the first own one, after all inherited ones."""
    at = category.variables.index(neighbour) + 1 if neighbour else len(category.variables)
    category.insert(at, variable)
    return variable


def remove_variable(configuration, variable, *, shared):
    """Given an own variable, remove its line with its same-line comment.

    Keeps: all other bytes, the parts of a block comment that begins or ends in the line included
    Raises: as set_value; Conflict for an inherited one
    """
    check_variable(configuration, variable)
    check_own(variable)
    check_line(configuration, variable, shared=shared)
    document, old = variable.document, variable.line
    at = document.index_of(old)
    rest = without_live_text(old)
    lines = document.reread(at, at + 1, [rest] if rest else [])
    if not all(isinstance(each, (Blank, Comment)) for each in lines):
        raise Conflict("what would be left of the line means something", where=variable.where)
    if not _is_alone(configuration, variable.category):
        carry_out(configuration, document, at, at + 1, lines, Meaning(gone=frozenset({id(old)})))
        return
    document.replace(at, at + 1, lines)
    variable.category.discard(variable)


def move_variable(configuration, variable, *, before, after, shared):
    """Given an own variable, put its line directly before or after another own one of the same category and file.

    Keeps: all other bytes; comments above stay where they are. Raises: as set_value
    """
    check_variable(configuration, variable)
    check_own(variable)
    target = before or after
    if target is None or (before is not None and after is not None):
        raise Invalid("a variable is moved either before or after another one")
    if target is variable:
        return
    check_neighbour(configuration, variable.category, target)
    check_line(configuration, variable, shared=shared)
    document = variable.document
    if target.document is not document:
        raise Conflict("a variable can't be moved to another file", where=variable.where)
    low, high, order = _reordered(document, variable.line, target.line, is_after=before is None)
    lines = document.reread(low, high, _with_line_ends(document, order))
    lines = [old if (old.raw, old.depth) == (new.raw, new.depth) else new for old, new in zip(order, lines)]
    if lines == order and _is_alone(configuration, variable.category):
        document.replace(low, high, lines)
        variable.category.discard(variable)
        variable.category.insert(variable.category.variables.index(target) + (before is None), variable)
        return
    moved = lines[order.index(variable.line)]
    meaning = respelled(order, lines, gone=frozenset({id(variable.line)}), come=frozenset({id(moved)}))
    carry_out(configuration, document, low, high, lines, meaning)


def _reordered(document, line, target, *, is_after):
    """Return the range of lines in which one moves to another, and these lines in their new order."""
    source, place = document.index_of(line), document.index_of(target)
    low, high = min(source, place), max(source, place) + 1
    order = [each for each in document.lines[low:high] if each is not line]
    order.insert(order.index(target) + is_after, line)
    return low, high, order


def _with_line_ends(document, order):
    """Only a file's last line may lack its line end; a line that is moved there or away takes it or leaves it."""
    raws = [each.raw for each in order]
    if all(raw.endswith(b"\n") for raw in raws):
        return raws
    if not all(each.raw.endswith(b"\n") for each in document.lines[:-1]):
        raise Conflict("a NUL or its length cuts one of these lines in two", where=document.name)
    end = line_end(document.lines)
    raws = [raw if raw.endswith(b"\n") else raw + end for raw in raws]
    return [*raws[:-1], raws[-1].removesuffix(b"\n").removesuffix(b"\r")]


# ---- places -----------------------------------------------------------------------------------------------------------------------

def _like(category, name):
    """The own variable after which a new one of that name belongs: the last of that name, else the last in the category's file, or None."""
    wanted = encoded(name).lower()
    # Mostly there is none, as find knows at once.
    same = category.find(name) and _last(category, lambda each: each.name_bytes.lower() == wanted)
    return same or _last(category, lambda each: each.document is category.document) or _last(category, lambda each: True)


def _last(category, condition):
    return next((each for each in reversed(category.variables) if _is_neighbour(each) and condition(each)), None)


def _is_neighbour(variable):
    return not variable.inherited and not variable.line.depth and not is_generated(variable.document)


def _any_assignment(document, line):
    """Some setting of this file whose style a new one can have, best after `line`."""
    at = document.index_of(line)
    settings = (each for part in (document.lines[at:], document.lines[:at]) for each in part if isinstance(each, Assignment))
    return next(settings, None)


# ---- proofs -----------------------------------------------------------------------------------------------------------------------

def _check_reads(line, name, value, near):
    """Raise Conflict unless the re-read line is a setting of that name and value. near: the Variable or Category that is there now."""
    if not isinstance(line, Assignment) or line.name != name or (line.value.strip() if line.operator == b"+=" else line.value) != value:
        raise Conflict("Asterisk wouldn't read back what was meant in this place", where=near.where)


def _is_alone(configuration, category):
    """Tell whether a setting of the category can change without any other line being understood differently.

    Lines act on other categories only by inheritance, `+=` and filters. (That its file is read just once, check_document has seen to.)
    """
    return not (configuration.view.has_joins or configuration.view.has_filters or category.is_parent)
