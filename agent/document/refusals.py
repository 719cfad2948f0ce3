"""What is refused before an edit touches anything, each with its reason.

Called by edits.py and category_edits.py. It deliberately knows only what can be told from the view as it is; what an edit would do to
other categories is verify.py's business.
"""

import re

from agent.errors import Conflict, Invalid, NotFound

from .lines import Blank, Comment

# FreePBX writes these anew from its database; its and others' generated files say so in their first comment.
_GENERATED_NAME = re.compile(r"_additional\.conf$")
_GENERATED_COMMENT = re.compile(rb"do not (edit|modify)", re.IGNORECASE)
_COMMENT_LINES = 5


def is_generated(document):
    """Given a Document, tell whether a program writes it anew: FreePBX's `*_additional.conf`, or "do not edit" in its first comment."""
    if _GENERATED_NAME.search(document.name):
        return True
    for line in document.lines[:_COMMENT_LINES]:
        if not isinstance(line, (Comment, Blank)):
            return False
        if _GENERATED_COMMENT.search(line.raw):
            return True
    return False


def check_document(configuration, document):
    """Raise Conflict if the file must not be written, or if a change in it would happen in several places."""
    rejection = configuration.rejection
    if rejection is not None and rejection.is_deadly:
        raise Conflict(f"Asterisk can't read this configuration: {rejection.reason}", where=rejection.where)
    if is_generated(document):
        raise Conflict("the file is generated: another program would overwrite the change", where=document.name)
    if not configuration.reads_once(document):
        raise Conflict("the file is included more than once: the change would happen more than once", where=document.name)


def check_category(configuration, category):
    """Raise NotFound if the category is no longer part of the configuration."""
    if category not in configuration.categories:  # Category and Variable define no equality, so `in` goes by identity
        raise NotFound(f"the category [{category.name}] is no longer there")


def check_variable(configuration, variable):
    """Raise NotFound if the variable is no longer part of the configuration."""
    if variable not in variable.category.variables:
        raise NotFound(f"the variable {variable.name} is no longer there")
    check_category(configuration, variable.category)


def check_own(variable):
    """Raise Conflict if the variable stands in a parent's text."""
    if variable.inherited:
        raise Conflict(f"the variable {variable.name} is inherited: change it in the parent", where=variable.where)


def check_line(configuration, variable, *, shared):
    """Raise Conflict if the variable's line must not be changed, or not without changing others."""
    if variable.joined:
        document, line = variable.joined
        raise Conflict(f"the value of {variable.name} is put together by `+=`: change its lines by hand", where=document.where(line))
    check_document(configuration, variable.document)
    check_children(variable.category, shared=shared)


def check_neighbour(configuration, category, variable):
    """Raise Invalid if the variable isn't an own one of the category: nothing can be put beside it there."""
    check_variable(configuration, variable)
    if variable.category is not category or variable.inherited:
        raise Invalid(f"the variable {variable.name} isn't an own one of [{category.name}]", where=variable.where)


def check_children(category, *, shared):
    """Raise Conflict if categories inherit from this one, unless that was asked for, as by editing a template."""
    if category.is_parent and not category.is_template and not shared:
        raise Conflict(f"other categories inherit from [{category.name}] and would change too", where=category.where)


def check_override(variable):
    """Raise Conflict if an own line wouldn't come after this inherited variable: modules mostly take the last one."""
    category = variable.category
    own = category.own()
    comes_last = category.variables.index(variable) > category.variables.index(own[-1]) if own else bool(category.appended)
    if comes_last:
        raise Conflict(f"the variable {variable.name} is inherited after the category's own lines: change it in the parent",
                       where=variable.where)


def check_unused(category):
    """Raise Conflict if another header refers to the category."""
    if category.is_parent:
        raise Conflict(f"other categories inherit from [{category.name}]", where=category.where)
    if category.appended:
        document, line = category.appended[0]
        raise Conflict(f"the category [{category.name}] is continued elsewhere by `(+)`", where=document.where(line))
