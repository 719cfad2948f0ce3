"""Which files an `#include` means: quotes, folder, the 255-byte limit, globs and braces; facts.md 1.3 "Directive".

Called by configuration.py. It asks the Files that it is handed for the names in a folder and deliberately never touches a disk itself.
"""

from typing import Protocol

from .clibrary import name_matches
from .inherit import Deadly, decoded, encoded

PATH_LIMIT = 255  # bytes of folder, slash and name that Asterisk keeps
MOST_ALTERNATIVES = 10_000
_BACKSLASH = 0x5C


class Files(Protocol):
    """What a Configuration is read from; paths are relative to the configuration folder, or absolute."""

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file; None if it is missing, unreadable or no regular file."""

    def entries(self, folder: str) -> list[str]:
        """Return the names in a folder ("" is the configuration folder); [] if it isn't one."""


def unquoted(argument):
    """Given a directive's argument, return the name in it: one layer of `"…"` or `<…>` goes, if both ends match."""
    closing = {0x22: 0x22, 0x3C: 0x3E}.get(argument[0])
    # A lone `"` is its own other end.
    return argument[1:-1] if closing == argument[-1] else argument


def paths(name, folder, files):
    """Given the name in an include (bytes), return the paths that Asterisk tries to read, in its order.

    folder: bytes, the configuration folder as Asterisk names it: its length counts in the limit
    Returns: list of str, relative to the folder where they lie in it; some may not exist. Raises: Deadly if there are too many
    """
    listing = _Listing(files, folder.rstrip(b"/"))
    pattern = (name if name.startswith(b"/") else listing.top + b"/" + name)[:PATH_LIMIT]
    found = _glob(pattern, listing, is_alternative=False)
    return [decoded(listing.within(path[:PATH_LIMIT])) for path in found]


class _Listing:
    """What is asked of the Files, by absolute paths; and how many alternatives of braces were tried."""

    def __init__(self, files, top):
        self.top = top
        self.alternatives = 0
        self._files = files

    def within(self, path):
        """Given an absolute path, return it relative to the configuration folder, if it lies in it."""
        if path.startswith(self.top + b"/"):
            return path[len(self.top):].lstrip(b"/")
        return b"" if path == self.top else path

    def names(self, folder):
        names = [encoded(name) for name in self._files.entries(decoded(self.within(folder)))]
        return [b".", b"..", *names] if names else []


def _glob(pattern, listing, *, is_alternative):
    """As glob(3) with GLOB_NOMAGIC | GLOB_BRACE: alternatives keep their order, each one's finds are sorted."""
    alternatives = _alternatives(pattern)
    if alternatives:
        found = []
        for alternative in alternatives:
            listing.alternatives += 1
            if listing.alternatives > MOST_ALTERNATIVES:
                raise Deadly("an include with so many alternatives never comes to its end")
            found += _glob(alternative, listing, is_alternative=True)
        if found or is_alternative:
            return found
    return sorted(_in_folders(pattern, listing, must_exist=is_alternative))


def _in_folders(pattern, listing, *, must_exist, wants_folder=False):
    folder, _, name = pattern.rpartition(b"/")
    must_exist = must_exist or b"\\" in folder
    folder = _without_open_escape(folder)
    if not name and folder:  # "x.inc/" reads x.inc, but "*.inc/" finds only folders
        finds_folders = _needs_listing(folder.rpartition(b"/")[2]) and not wants_folder
        return [] if finds_folders else _in_folders(folder, listing, must_exist=must_exist, wants_folder=wants_folder)
    if _is_magic(folder):
        must_exist = True
        folders = _in_folders(folder, listing, must_exist=True, wants_folder=True)
    else:
        folders = [_unescaped(folder)]
    return [each + b"/" + match for each in folders for match in _in_folder(each or b"/", name, listing, must_exist)]


def _in_folder(folder, name, listing, must_exist):
    if _needs_listing(name):
        return [each for each in listing.names(folder) if name_matches(name, each)]
    if must_exist:
        return [name] if name in listing.names(folder) else []
    return [name]


def _needs_listing(name):
    return _is_magic(name) or b"\\" in name


def _is_magic(pattern):
    at = 0
    while at < len(pattern):
        if pattern[at] == _BACKSLASH:
            at += 1
        elif pattern[at] in b"?*[":
            return True
        at += 1
    return False


def _without_open_escape(folder):
    """In `x\\/y` the backslash would escape the slash: it goes."""
    backslashes = len(folder) - len(folder.rstrip(b"\\"))
    return folder[:-1] if backslashes % 2 else folder


def _unescaped(text):
    plain = bytearray()
    at = 0
    while at < len(text):
        if text[at] == _BACKSLASH:
            at += 1
        plain += text[at:at + 1]
        at += 1
    return bytes(plain)


# ---- braces -----------------------------------------------------------------------------------------------------------------------

def _alternatives(pattern):
    """Given a pattern, return it once for each alternative of its first `{a,b}`; [] without a well-formed one."""
    begin = _first_brace(pattern)
    if begin < 0:
        return []
    parts = []
    start = begin + 1
    while True:
        end = _end_of_part(pattern, start)
        if end < 0:
            return []
        parts.append(pattern[start:end])
        start = end + 1
        if pattern[end] == 0x7D:  # }
            return [pattern[:begin] + part + pattern[start:] for part in parts]


def _first_brace(pattern):
    at = 0
    while at < len(pattern):
        if pattern[at] == _BACKSLASH:
            at += 1
        elif pattern[at] == 0x7B:  # {
            return at
        at += 1
    return -1


def _end_of_part(pattern, at):
    """Where the part that begins at `at` ends: at the `,` or `}` of its own level, or -1."""
    depth = 0
    while at < len(pattern):
        byte = pattern[at]
        if byte == _BACKSLASH:
            at += 1
        elif depth == 0 and byte in b",}":
            return at
        elif byte == 0x7B:
            depth += 1
        elif byte == 0x7D:
            depth -= 1
        at += 1
    return -1
