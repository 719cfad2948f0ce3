"""Edits of categories: add, remove, rename. Each changes lines in one place, proves that nothing else changed, or undoes itself.

Called through Configuration's methods. As with variables (edits.py) everything is re-read and compared, but for the one case that
resources need often: a category at the end, or one that nothing refers to, in a configuration of one file.
"""

from agent.errors import Conflict, NotFound

from .inherit import encoded
from .lines import Assignment, Blank, Comment, Directive, Header
from .refusals import check_category, check_document, check_unused
from .spelling import category_text, checked_line, header_text, inserted, line_end, with_category_name
from .verify import Meaning, carry_out, respelled


def add_category(configuration, name, *, bases, is_template, after, file):
    """Given a name, add an empty category and return it: after the text of `after`, or at the end of `file` (else of the main file).

    bases: names of its parents, which must stand above; several categories of one name are allowed, as in pjsip.conf
    Keeps: all bytes; a blank line is put between categories if the file has them so
    Raises: Invalid if the name can't be written; NotFound for an unknown parent; Conflict if it would change something else
    """
    header = checked_line(header_text(name, bases, is_template))
    for base in bases:
        if not configuration.view.named(encoded(base)):
            raise NotFound(f"the parent [{base}] doesn't exist")
    document, at = _place(configuration, after, file)
    check_document(configuration, document)
    start, stop, raws = inserted(document, at, _with_gap(document, at, header))
    if at < len(document.lines) and not isinstance(document.lines[at], Blank) and _has_gaps(document):
        raws.append(line_end(document.lines[at - 1:at]))
    lines = document.reread(start, stop, raws)
    new = next((each for each in lines if isinstance(each, Header) and each.name == encoded(name)), None)
    if new is None:
        raise Conflict("this place lies in a block comment", where=document.where_index(at))
    if start == len(document.lines) and _is_single(configuration) and configuration.view.can_inherit(bases):
        document.replace(start, stop, lines)
        return configuration.view.open(new, document)
    carry_out(configuration, document, start, stop, lines, respelled(document.lines[start:stop], lines, come_header=id(new)))
    return next(each for each in configuration.categories if each.line is new)


def remove_category(configuration, category):
    """Given a category, remove its header, its own lines and the comments between them.

    Keeps: all other bytes, the comments above and after it included; of blank lines around it one goes
    Raises: Conflict if it is a parent, is continued by `(+)`, holds an include, or if its lines stand in several files
    """
    check_category(configuration, category)
    check_unused(category)
    document = category.document
    check_document(configuration, document)
    start = document.index_of(category.line)
    stop = _end_of_settings(document, start)
    if any(isinstance(each, Directive) for each in document.lines[start:stop]):
        raise Conflict("the category holds an include", where=category.where)
    settings = frozenset(id(each) for each in document.lines[start:stop] if isinstance(each, Assignment))
    start, stop = _with_one_gap(document, start, stop)
    lines = document.reread(start, stop, [])
    if _is_single(configuration):
        document.replace(start, stop, lines)
        configuration.view.remove(category)
        return
    carry_out(configuration, document, start, stop, lines, Meaning(gone=settings, gone_header=id(category.line)))


def rename_category(configuration, category, name):
    """Given a category, change its name's bytes.

    Keeps: all other bytes. Raises: Conflict if it is a parent or is continued by `(+)`; Invalid if the name can't be written
    """
    check_category(configuration, category)
    category_text(name)
    if category.name == name:
        return
    check_unused(category)
    document, old = category.document, category.line
    check_document(configuration, document)
    at = document.index_of(old)
    new, = document.reread(at, at + 1, [with_category_name(old, name)])
    if not isinstance(new, Header) or new.name != encoded(name):
        raise Conflict("Asterisk wouldn't read back what was meant in this place", where=category.where)
    carry_out(configuration, document, at, at + 1, [new], Meaning(headers={id(old): (id(new), encoded(name))}))


# ---- places -----------------------------------------------------------------------------------------------------------------------

def _place(configuration, after, file):
    if after is not None:
        check_category(configuration, after)
        document = after.document
        return document, _end_of_settings(document, document.index_of(after.line))
    document = configuration.documents.get(file or configuration.name)
    if document is None:
        raise NotFound(f"the file {file or configuration.name} isn't part of this configuration")
    return document, len(document.lines)


def _end_of_settings(document, at):
    """Given the index of a header, return the index after its last line that is no comment: there its text ends."""
    stop = at + 1
    for index in range(at + 1, len(document.lines)):
        line = document.lines[index]
        if isinstance(line, Header):
            break
        if not isinstance(line, (Blank, Comment)):
            stop = index + 1
    return stop


def _with_gap(document, at, header):
    if at > 0 and not isinstance(document.lines[at - 1], Blank) and _has_gaps(document):
        return [b"", header]
    return [header]


def _has_gaps(document):
    """Whether the file puts blank lines above its headers and their comments; one without any two headers does."""
    lines = document.lines
    headers = [at for at, line in enumerate(lines) if isinstance(line, Header) and at]
    return not headers or any(_is_blank(document, _above_comments(lines, at)) for at in headers)


def _above_comments(lines, at):
    at -= 1
    while at >= 0 and isinstance(lines[at], Comment):
        at -= 1
    return at


def _with_one_gap(document, start, stop):
    """Widen a range that is to go by one blank line, where else two would meet, or one would end the file."""
    if not _is_blank(document, start - 1):
        return start, stop
    if _is_blank(document, stop):
        return start, stop + 1
    return (start - 1, stop) if stop == len(document.lines) and start else (start, stop)


def _is_blank(document, at):
    """Whether the line at an index is blank; what is before the first one counts as blank."""
    return at < 0 or (at < len(document.lines) and isinstance(document.lines[at], Blank))


def _is_single(configuration):
    """Tell whether everything stands in one file that is read once, and to its end.

    Then a header at its end is read last, and can't be meant by any other; and of a category that no header refers to (check_unused has
    seen to that) all lines stand below its own header.
    """
    return configuration.reading_count == 1 and configuration.rejection is None
