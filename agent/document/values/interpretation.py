"""What all interpretations of a value share: the text stays as it is, parts of it are known by their places, and an edit proves itself.

Called by the other modules of this folder only. An Interpretation holds the value's text and nothing made from it, so `str()` gives back
any input. A change puts new text in a part's place and reads the whole again: what comes out must differ in that part and in no other.
It deliberately knows nothing of files: whether a text can stand in a line is spelling.py's business.
"""

from dataclasses import dataclass
from functools import cached_property

from agent.errors import Invalid


@dataclass(frozen=True)
class Interpretation:
    """A value and its parts. A subclass says where they are: `_spans`, {part: (start, stop)}, and names them in PARTS, in their order.

    problem: what Asterisk wouldn't take, or what we can't know without its variables, in words; None if all is understood.
    """

    text: str

    PARTS = ()

    @classmethod
    def parse(cls, value):
        """Given any value, return its interpretation; never raises."""
        return cls(value)

    def __str__(self):
        return self.text

    @property
    def problem(self):
        return None

    @property
    def understood(self):
        return self.problem is None

    def part(self, name):
        """Return a part's text as it stands in the value, or None if it isn't there."""
        span = self._spans.get(name)
        return None if span is None else self.text[slice(*span)]

    def replace(self, **parts):
        """Return the interpretation with the named parts changed and every other byte kept; None takes a part away.

        Raises: Invalid if it can't be written so that only these parts change.
        """
        changed = self
        for name in sorted(parts, key=self.PARTS.index):
            if getattr(changed, name) != parts[name]:
                changed = changed._with(name, parts[name])
        return changed

    def _with(self, name, wanted):
        new = self._reread(self._spelled(name, wanted))
        said = getattr(new, name) == wanted
        kept = all(self._is_same(getattr(new, each), getattr(self, each)) for each in self.PARTS if each != name)
        if not (said and kept):
            raise Invalid(f"{name} can't be {wanted!r} here: {str(new)!r} would say something else")
        return new

    def _is_same(self, part, before):
        """Return whether a part that wasn't named still says what it said."""
        return part == before

    def _reread(self, text):
        return type(self)(text)

    def _between(self, start, stop, text):
        return self.text[:start] + text + self.text[stop:]

    @cached_property
    def _spans(self):
        raise NotImplementedError

    def _spelled(self, name, wanted):
        """Return the text with a part changed."""
        raise NotImplementedError


@dataclass(frozen=True)
class Listed:
    """A value that is a list of entries; SEPARATORS cut it, nothing quotes them.

    problem: as above; `pieces` are the entries' texts, uncut.
    """

    text: str

    SEPARATORS = ","

    def __str__(self):
        return self.text

    @property
    def understood(self):
        return self.problem is None

    @cached_property
    def pieces(self):
        """The texts between the separators, untrimmed; one empty text if there is nothing."""
        return tuple(self.text[start:stop] for start, stop in self._piece_spans)

    @cached_property
    def _piece_spans(self):
        cuts = [at for at, character in enumerate(self.text) if character in self.SEPARATORS]
        return list(zip([0, *(at + 1 for at in cuts)], [*cuts, len(self.text)]))

    def with_piece(self, index, text):
        """Return the list with one entry changed, the blanks around it kept. Raise Invalid if the text would be two entries."""
        start, stop = self._piece_spans[index]
        old = self.text[start:stop]
        core = old.strip(" \t")
        start += old.index(core) if core else 0
        return self._with_text(self.text[:start] + text + self.text[start + len(core):], text)

    def adding(self, text):
        """Return the list with one more entry at its end, without a blank before it: some lists don't trim."""
        return self._with_text(f"{self.text},{text}" if self.text else text, text)

    def without_piece(self, index):
        """Return the list without one entry and the separator before it (of the first: after it)."""
        start, stop = self._piece_spans[index]
        if index:
            start -= 1
        elif len(self.pieces) > 1:
            stop += 1
        return self._reread(self.text[:start] + self.text[stop:])

    def _with_text(self, new, piece):
        if any(separator in piece for separator in self.SEPARATORS):
            raise Invalid(f"{piece!r} isn't one entry")
        return self._reread(new)

    def _reread(self, text):
        return type(self)(text)
