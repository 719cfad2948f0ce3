"""The C library's own matchers, which Asterisk calls too: fnmatch for names in globs, regcomp for `(+filter)`.

Called by includes.py and filters.py. They are called rather than rewritten, since every corner of POSIX brackets, classes and back-slashes
then agrees by itself. Both run in C.UTF-8, as Asterisk does since 20.18.1, 22.8.1 and 23.2.1 (older: bytes). It deliberately has no glob():
that would look into the real file system.
"""

import ctypes
import re
from contextlib import contextmanager

_C = ctypes.CDLL(None)
_C.newlocale.restype = _C.uselocale.restype = ctypes.c_void_p
_C.newlocale.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p]
_C.uselocale.argtypes = [ctypes.c_void_p]

_LC_CTYPE_AND_COLLATE = 1 << 0 | 1 << 3
_FNM_PERIOD = 1 << 2
_REG_EXTENDED_NOSUB = 1 << 0 | 1 << 3
_REGEX_T_SIZE = 256  # 64 in glibc
_HEAVIEST = 50_000
_MOST_OPERATORS = 40  # with 8,000 `*` in a row regcomp itself takes minutes; with 40 of any kind nothing took a second

_UTF8 = _C.newlocale(_LC_CTYPE_AND_COLLATE, b"C.UTF-8", None)  # None where there is no such locale: then bytes, as Asterisk there


@contextmanager
def _in_utf8():
    """For this thread only."""
    before = _C.uselocale(_UTF8)
    try:
        yield
    finally:
        _C.uselocale(before)


def name_matches(pattern, name):
    """Given a glob pattern for one path component and a file's name (bytes), tell whether they match; `*` skips dot files."""
    with _in_utf8():
        return _C.fnmatch(pattern, name, _FNM_PERIOD) == 0


def is_too_heavy(pattern):
    """Given a regular expression, tell whether compiling or running it could take more memory or time than there is."""
    weight = len(pattern)
    for bounds in re.findall(rb"\{([0-9]*),?([0-9]*)", pattern):
        weight *= max(int(bound or 1) for bound in bounds) or 1
    operators = sum(map(pattern.count, (b"*", b"+", b"?", b"{", b"|", b"(")))
    return weight > _HEAVIEST or operators > _MOST_OPERATORS or re.search(rb"\\[1-9]", pattern) is not None


class RegularExpression:
    """A POSIX extended regular expression, unanchored, on bytes. Raise ValueError if it doesn't compile."""

    def __init__(self, pattern):
        self._compiled = None
        buffer = ctypes.create_string_buffer(_REGEX_T_SIZE)
        with _in_utf8():
            if _C.regcomp(buffer, pattern, _REG_EXTENDED_NOSUB):
                raise ValueError(f"bad regular expression {pattern!r}")
        self._compiled = buffer

    def matches(self, text):
        """Given bytes, tell whether the expression matches somewhere in them."""
        with _in_utf8():
            return _C.regexec(self._compiled, text, ctypes.c_size_t(0), None, 0) == 0

    def __del__(self):
        if self._compiled is not None:
            _C.regfree(self._compiled)
