"""Random edits of a Configuration, and the check that only the meant bytes changed.

Called by tools/fuzz and by test_edits.py.
"""

import random

from agent.errors import Fault

VALUES = ["", "1", "x", "new value", "a;b", "x--;", ";--", "\\", "\\;", ">x", "=", "+=", "é", "\udce9", "a\tb", '"q"', "#x", "[x]", "--",
          "v" * 300]
VARIABLES = ["a", "b", "new", "type", "[n]", "#n", "\\n", "n;m", "=n", "n+", "é", "\udce9n", "n o", ">n", "-n", "--;", "n--"]
CATEGORIES = ["new", "a", "b", "n;m", "é", "n" * 79, "x y", "(n)", "+n", "n[m", "\\n"]


def run(configuration, seed, count=3):
    """Given a Configuration, carry out random edits; yield for each its description, or None if it was refused."""
    chooser = random.Random(seed)
    for _ in range(count if configuration.categories else 0):
        operation = chooser.choice([_set, _set, _add, _add, _remove, _rename, _move, _add_category, _remove_category, _rename_category])
        try:
            yield operation(configuration, chooser)
        except Fault:
            yield None


def fault_of(description, before, after):
    """Given a description and the files before and after, return what changed that shouldn't have, or None."""
    kind, new_lines, most_removed = description
    changed = [path for path in after if before.get(path) != after[path]]
    if len(changed) > 1:
        return f"{len(changed)} files changed"
    for path in changed:
        old, new = before[path].split(b"\n"), after[path].split(b"\n")
        while old and new and old[0] == new[0]:
            del old[0], new[0]
        while old and new and old[-1] == new[-1]:
            del old[-1], new[-1]
        if kind != "move" and (len(new) > new_lines or (most_removed is not None and len(old) > most_removed)):
            return f"{len(old)} lines became {len(new)}"
        if kind == "move" and sorted(line.rstrip(b"\r") for line in old) != sorted(line.rstrip(b"\r") for line in new):
            return "a move changed lines"
    return None


def _category(configuration, chooser):
    return chooser.choice(configuration.categories) if configuration.categories else _missing()


def _variable(configuration, chooser):
    category = _category(configuration, chooser)
    return chooser.choice(category.variables) if category.variables else _missing()


def _missing():
    raise Fault("there is nothing to edit here")


def _set(configuration, chooser):
    variable = _variable(configuration, chooser)
    value = chooser.choice(VALUES)
    new = configuration.set(variable, value, shared=chooser.random() < 0.3)
    assert new.value == value
    return "set", 2, 1


def _add(configuration, chooser):
    category = _category(configuration, chooser)
    name, value = chooser.choice(VARIABLES), chooser.choice(VALUES)
    after = chooser.choice([None, *category.own()])
    is_object, shared = chooser.choice([None, True, False]), chooser.random() < 0.3
    new = configuration.add(category, name, value, after=after, is_object=is_object, shared=shared)
    assert (new.name, new.value, new.category, new.inherited) == (name, value, category, False)
    if after is not None:
        assert category.own().index(new) == category.own().index(after) + 1
    return "add", 2, 1


def _remove(configuration, chooser):
    variable = _variable(configuration, chooser)
    configuration.remove(variable, shared=chooser.random() < 0.3)
    return "remove", 1, 2


def _rename(configuration, chooser):
    variable = _variable(configuration, chooser)
    name = chooser.choice(VARIABLES)
    configuration.rename(variable, name, shared=chooser.random() < 0.3)
    assert variable.name == name
    return "rename", 1, 1


def _move(configuration, chooser):
    variable = _variable(configuration, chooser)
    other = chooser.choice(variable.category.variables)
    if chooser.random() < 0.5:
        configuration.move(variable, before=other)
        order = (variable, other)
    else:
        configuration.move(variable, after=other)
        order = (other, variable)
    own = variable.category.own()
    assert variable is other or own.index(order[0]) + 1 == own.index(order[1])
    return "move", None, None


def _add_category(configuration, chooser):
    name = chooser.choice(CATEGORIES)
    bases = [_category(configuration, chooser).name] if chooser.random() < 0.4 else []
    after = chooser.choice([None, *configuration.categories])
    new = configuration.add_category(name, bases=bases, is_template=chooser.random() < 0.3, after=after)
    assert new.name == name
    return "add_category", 4, 1


def _remove_category(configuration, chooser):
    configuration.remove_category(_category(configuration, chooser))
    return "remove_category", 1, None


def _rename_category(configuration, chooser):
    category = _category(configuration, chooser)
    name = chooser.choice(CATEGORIES)
    configuration.rename_category(category, name)
    assert category.name == name
    return "rename_category", 1, 1
