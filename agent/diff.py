"""Two versions of a file as a unified diff, for people; called by `cli`. Deliberately no patch: bytes that aren't UTF-8 are escaped."""

import difflib


def unified(path, before, after):
    """Given a path and its old and new bytes (None: no such file), return the diff as text, "" if they are equal."""
    names = [f"{side}{path}" if data is not None else "/dev/null" for side, data in (("a", before), ("b", after))]
    return "".join(difflib.unified_diff(_lines(before), _lines(after), *names))


def _lines(data):
    """Split on LF only, as Asterisk does, and say where the last one is missing, as diff does."""
    text = (data or b"").decode("utf-8", "backslashreplace")
    lines = [line + "\n" for line in text.split("\n")]
    if text.endswith("\n") or not text:
        return lines[:-1]
    return [*lines[:-1], lines[-1] + "\\ No newline at end of file\n"]
