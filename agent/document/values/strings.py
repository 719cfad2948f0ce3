"""How Asterisk's C reads short texts: blanks and numbers. Called by the other interpretations.

Blanks are bytes 1 to 32, whatever else the C library calls white. Source: include/asterisk/strings.h ast_strip; atoi and sscanf of glibc.
"""

import re

BLANKS = "".join(map(chr, range(1, 33)))

_NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)")
_LONG = 1 << 63


def number(text, most_digits=None):
    """Given a text, return the int that `%d` reads at its beginning (blanks first, anything after it ignored), or None without one.

    most_digits: the width in `%30d`, which counts the sign. As on 64 bits: beyond a long it is cut to the nearest long, then the lower
    32 bits stay: 4294967297 is 1.
    """
    match = _NUMBER.match(text)
    if match is None:
        return None
    digits = match[1][:most_digits]
    if digits in ("+", "-"):
        return None
    wide = max(-_LONG, min(_LONG - 1, int(digits)))
    return (wide + (1 << 31)) % (1 << 32) - (1 << 31)


def atoi(text):
    """Return what atoi returns: as `number`, and 0 without one."""
    return number(text) or 0
