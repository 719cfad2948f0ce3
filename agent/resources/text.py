"""What a text may hold so that it stays one value on one line of Asterisk's files; called by the resources for each text they store.

Every rule is an allow-list, or refuses what Asterisk's readers give a meaning: line ends, `;` (comment), `,` and `|` (the next column of a
mailbox), `${` and `$[` (dialplan substitution). It deliberately repairs nothing: what can't be stored as it is, is refused with the reason.
"""

import re

from agent.errors import Invalid

#: characters that end or break a line somewhere, and halves of a character: for use inside [] of a pattern
BREAKING = "\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
CONTROLS = re.compile(f"[{BREAKING}]")
MARKS = re.compile(r"[;,|\\\"<>\[\]{}]|\$(?=[{\[])")


def free(name, text, *, maximum_bytes):
    """Given free text such as a person's name, return it without blanks around it. Raise Invalid naming the field.

    maximum_bytes: length in UTF-8, as Asterisk counts.
    """
    printable(name, text, maximum_bytes=maximum_bytes)
    mark = MARKS.search(text)
    if mark:
        raise Invalid(fields={name: f"must not contain {mark[0]}"})
    return text.strip(" ")


def printable(name, text, *, maximum_bytes, lines=False):
    """Given text that only the directory keeps, return it as it is. Raise Invalid if it has control characters or is too long.

    lines: whether line ends and tabs are text too; only for what never reaches a file of Asterisk's.
    """
    control = CONTROLS.search(re.sub(r"[\r\n\t]", "", text) if lines else text)
    if control:
        raise Invalid(fields={name: f"must not contain control characters or line ends (U+{ord(control[0]):04X})"})
    if len(text.encode()) > maximum_bytes:
        raise Invalid(fields={name: f"is longer than {maximum_bytes} bytes"})
    return text


def matching(name, text, pattern, wanted):
    """Given text, return it if the whole of it matches the pattern. Raise Invalid saying what is wanted."""
    if not re.fullmatch(pattern, text, re.ASCII):
        raise Invalid(fields={name: f"must be {wanted}"})
    return text


def cut(text, maximum_bytes):
    """Return the text's beginning, at most so many bytes in UTF-8, never half a character."""
    return text.encode()[:maximum_bytes].decode(errors="ignore")
