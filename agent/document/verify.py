"""The self-check of every edit: re-read what would be written, and keep it only if the effective view changed just as meant.

Called by edits.py and category_edits.py. Two views are compared as shapes: plain lists in which each value carries the identity of the
line that it comes from. It deliberately doesn't decide what was meant: an edit says so as a Meaning.
"""

from typing import NamedTuple

from agent.errors import Conflict

from .inherit import NAME_LIMIT, Category, Variable
from .lines import Assignment, Header


class Meaning(NamedTuple):
    """What an edit is meant to change; all else must stay.

    changed: {id of an old line: (id of its new line, name or None, value or None)}, for settings; None: stays
    gone, come: ids of lines whose settings are in the old view only, in the new one only; a moved line is in both
    headers: {id of an old header: (id of the new one, name)}; gone_header, come_header: id of a header in one view only
    """

    changed: dict = {}
    gone: frozenset = frozenset()
    come: frozenset = frozenset()
    headers: dict = {}
    gone_header: int | None = None
    come_header: int | None = None


def respelled(old, new, **meant):
    """Given lines before and after, which mean the same (one got or lost its line end), and what else is meant, return the Meaning.

    Raises: Conflict if one of them means something else now
    """
    changed, headers = {}, {}
    for before, after in zip(old, new):
        if type(before) is not type(after):
            raise Conflict("a block comment begins or ends in these lines")
        if isinstance(before, Assignment):
            changed[id(before)] = id(after), None, None
        elif isinstance(before, Header):
            headers[id(before)] = id(after), after.name[:NAME_LIMIT]
    return Meaning(changed=changed, headers=headers, **meant)


def carry_out(configuration, document, start, stop, lines, meaning):
    """Replace lines, re-read everything, and keep that only if the view changed as meant; else undo it and raise Conflict."""
    old = document.lines[start:stop]
    document.replace(start, stop, lines)
    reader = configuration.read_anew()
    if _is_worse(reader.rejection, configuration.rejection):
        fault, place = f"Asterisk would reject the file: {reader.rejection.reason}", reader.rejection
    else:
        fault, place = _difference(configuration.view, reader.view, meaning)
    if fault is not None:
        document.replace(start, start + len(lines), old)
        raise Conflict(fault, where=place and place.where)
    _adopt(configuration.view, reader.view, meaning)
    configuration.take(reader)


def _is_worse(now, before):
    """Line numbers may have moved: a rejection for the same reason is the same one."""
    return now is not None and (before is None or now.reason != before.reason)


# ---- comparing --------------------------------------------------------------------------------------------------------------------

def _difference(before, after, meaning):
    """Given two Views and a Meaning, return what else than the meant changed, and in which Category if in one; (None, None) if nothing."""
    if not _has_come(before, after, meaning):
        return "Asterisk wouldn't see the new text in this place, or not as it is written", None
    kept = [each for each in before.categories if id(each.line) != meaning.gone_header]
    meant = [_meant(each, meaning) for each in kept]
    found = [_shape(each, meaning.come) for each in after.categories if id(each.line) != meaning.come_header]
    for category, one, other in zip(kept, meant, found):
        if one != other:
            return f"it would also change the category [{category.name}]", category
    return (None if len(meant) == len(found) else "it would add or remove other categories"), None


def _has_come(before, after, meaning):
    """Tell whether all that is new is seen, with the value it is written with, or had before it was moved: a later `+=` may reach it."""
    if meaning.come_header and not any(id(each.line) == meaning.come_header for each in after.categories):
        return False
    if not meaning.come:
        return True
    moved = {id(each.line): each.value_bytes for each in _variables(before) if id(each.line) in meaning.gone}
    found = {id(each.line): each for each in _variables(after) if id(each.line) in meaning.come}
    return meaning.come == found.keys() and all(each.value_bytes == moved.get(line, each.line.value) for line, each in found.items())


def _variables(view):
    return (variable for category in view.categories for variable in category.variables)


def _shape(category, without):
    variables = [
        (id(each.line), each.name_bytes, each.value_bytes, each.inherited)
        for each in category.variables if id(each.line) not in without
    ]
    return id(category.line), category.name_bytes, category.is_template, [each.name_bytes for each in category.parents], variables


def _meant(category, meaning):
    line, name, is_template, parents, variables = _shape(category, meaning.gone)
    if line in meaning.headers:
        line, name = meaning.headers[line]
    if meaning.changed:
        variables = [_changed(each, meaning.changed) for each in variables]
    return line, name, is_template, parents, variables


def _changed(variable, changed):
    line, name, value, inherited = variable
    if line not in changed:
        return variable
    line, new_name, new_value = changed[line]
    return line, name if new_name is None else new_name, value if new_value is None else new_value, inherited


# ---- keeping what callers hold ----------------------------------------------------------------------------------------------------

def _adopt(before, after, meaning):
    """Given the View that was and the one that is, let the Categories and Variables that a caller may hold live on in the new one."""
    old = [each for each in before.categories if id(each.line) != meaning.gone_header]
    places = [i for i, each in enumerate(after.categories) if id(each.line) != meaning.come_header]
    heirs = {}
    for at, category in zip(places, old):
        new = after.categories[at]
        heirs[id(new)] = category
        _adopt_variables(category, new, meaning)
        _take_over(category, new, Category.__slots__)
        after.categories[at] = category
    after.replace_categories(heirs)


def _adopt_variables(old, new, meaning):
    stayed = [each for each in old.variables if id(each.line) not in meaning.gone]
    left = [each for each in old.variables if id(each.line) in meaning.gone]
    places = [i for i, each in enumerate(new.variables) if id(each.line) not in meaning.come]
    arrivals = [i for i, each in enumerate(new.variables) if id(each.line) in meaning.come]
    for at, held in (*zip(places, stayed), *zip(arrivals, left)):  # what both left and came has moved
        _take_over(held, new.variables[at], Variable.__slots__)
        new.variables[at] = held
    for each in new.variables:
        each.category = old


def _take_over(held, new, slots):
    for slot in slots:
        setattr(held, slot, getattr(new, slot))
