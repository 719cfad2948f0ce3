"""The filter of a header's `+` option: `[1000](+type=aor)`, `[x](+TEMPLATES=include)`; facts.md 1.3 "+filter".

Called by inherit.py. It deliberately follows Asterisk 22 where 16.28 differs (an empty value matches all, a trailing `&` matches nothing).
"""

from .clibrary import RegularExpression, is_too_heavy
from .parse import BLANKS

_QUOTES = b"'\""
_DEEPEST_QUOTE = 7


class Filter:
    """Given the text after `+` (bytes), a test for categories. Raise ValueError if its expressions are too heavy to run."""

    def __init__(self, text):
        self._conditions = []  # (name, value), each compiled; TEMPLATES: (None, value); None: matches nothing
        self._is_empty = not text
        while text is not None:
            condition, text = _separate(text, b"&")
            if condition is None:
                break
            self._conditions.append(_compile(condition))

    def matches(self, category):
        """Given a Category, tell whether Asterisk takes it: all conditions hold, and a template is asked for where it is one."""
        if self._is_empty:
            return not category.is_template
        wants_template = any(condition and condition[0] is None for condition in self._conditions)
        if category.is_template and not wants_template:
            return False
        return all(_holds(condition, category) for condition in self._conditions)


def _holds(condition, category):
    if condition is None:
        return False
    name, value = condition
    if name is None:
        return value == b"include" or (value == b"restrict" and category.is_template)
    return any(name.matches(each.name_bytes) and value.matches(each.value_bytes) for each in category.variables)


def _compile(condition):
    name, rest = _separate(condition, b"=")
    value = None if rest is None else _separate(rest, b"=")[0]
    if name is None or value is None:
        return None
    if name == b"TEMPLATES":
        return None, value.lower()
    if is_too_heavy(name) or is_too_heavy(value):
        raise ValueError("the regular expressions of this filter could take all memory or time")
    try:
        return RegularExpression(name), RegularExpression(value)
    except ValueError:
        return None


def _separate(text, separator):
    """Given bytes, return the part before the first unquoted separator, trimmed and unquoted once, and the rest (None: no more).

    Source: ast_strsep with AST_STRSEP_STRIP; more than 7 nested quotes: (None, None)
    """
    open_quotes = []
    at = 0
    while at < len(text):
        if text[at] == 0x5C:  # skips the next byte; the one after that is never an escape
            at += 2
            if at >= len(text):
                break
        byte = text[at]
        if byte in _QUOTES:
            if open_quotes and open_quotes[-1] == byte:
                open_quotes.pop()
            elif len(open_quotes) == _DEEPEST_QUOTE:
                return None, None
            else:
                open_quotes.append(byte)
        if byte == separator[0] and not open_quotes:
            return _unquoted(text[:at]), text[at + 1:]
        at += 1
    return _unquoted(text), None


def _unquoted(text):
    text = text.strip(BLANKS)
    if text and text[0] in _QUOTES and text[-1] == text[0]:
        return text[1:-1]
    return text
