"""Wazo's ACL language: may a caller with these patterns do what a route requires?

Called by `web` for every route and by the dialects' policies. Exact to `tests/corpus/wazo_acl_cases.json`, which Wazo's own matcher
produced, but for one thing: a required right with a line end in it never matches (theirs lets a trailing one through). It
deliberately compiles no regular expression: patterns come from clients, and `#a#a#a…` would take a regex engine hours.

  confd.users.*.read     every character stands for itself, but `*` for any run, even empty, without `.` and `#`, and
  confd.#                `#` for any run of any characters, even empty
  confd.users.me.read    a whole segment `me` also stands for the caller's own id, `my_session` for its session, `edit` for `update`
  !confd.users.*.delete  refuses, whatever else allows
"""

import re

SEGMENT, ANY = object(), object()


class Rights:
    """What the patterns of one account or token allow; no pattern allows nothing."""

    def __init__(self, patterns):
        """Given a list of patterns (str, in any order), hold them."""
        self.patterns = tuple(patterns)

    def allow(self, required, *, me=None, my_session=None):
        """Given the right that a route requires ("confd.users.7.read"), tell if the patterns allow it.

        required: str; None asks for nothing but the caller's existence, and is allowed.
        me, my_session: the caller's own id and session id, if it has them.
        Source: wazo xivo-lib-python xivo/auth_verifier.py, AccessCheck; contracts/wazo.md 1.4.
        """
        if required is None:
            return True
        if "\n" in required or "\r" in required:
            return False
        words = {"me": me, "my_session": my_session, "edit": "update"}
        refusing = (pattern[1:] for pattern in self.patterns if pattern.startswith("!"))
        allowing = (pattern for pattern in self.patterns if not pattern.startswith("!"))
        if any(_matches(pattern, required, words) for pattern in refusing):
            return False
        return any(_matches(pattern, required, words) for pattern in allowing)

    def may_add(self, pattern, **words):
        """Given a pattern that the caller wants to give away, tell if it may: its own rights cover it, or it only refuses."""
        return pattern.startswith("!") or self.allow(pattern, **words)

    def may_remove(self, pattern, **words):
        """Given a pattern that the caller wants to take away, tell if it may; to lift a refusal it must have what was refused."""
        return self.allow(pattern.removeprefix("!"), **words)


def route_segment(value):
    """Given a path parameter, return it as it stands in a required right: a dot would begin a new segment, so it becomes `_`."""
    return value.replace(".", "_")


def _matches(pattern, text, words):
    """Tell if the pattern covers the whole text, by following all the places where the parts so far may end."""
    if pattern == "#":
        return True
    ends = {0}
    for part in _parts(pattern, words):
        ends = _advance(part, text, ends)
        if not ends:
            return False
    return len(text) in ends


def _advance(part, text, ends):
    if part is ANY:
        return set(range(min(ends), len(text) + 1))
    if part is SEGMENT:
        return {reached for end in ends for reached in range(end, _segment_end(text, end) + 1)}
    return {end + len(word) for end in ends for word in part if text.startswith(word, end)}


def _segment_end(text, start):
    return next((place for place in range(start, len(text)) if text[place] in ".#"), len(text))


def _parts(pattern, words):
    """Yield ANY, SEGMENT, or a tuple of alternative literals, in the pattern's order."""
    for number, segment in enumerate(pattern.split(".")):
        if number:
            yield (".",)
        if words.get(segment):
            yield (segment, words[segment])
        else:
            yield from (_part(piece) for piece in re.split("([*#])", segment) if piece)


def _part(piece):
    return {"*": SEGMENT, "#": ANY}.get(piece, (piece,))
