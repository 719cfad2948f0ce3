"""One Asterisk file, losslessly: its lines in order, each owning its bytes.

Called by configuration.py, which reads files into Documents, and by edits.py, which replaces lines. It deliberately knows nothing of
meaning: what a line does to a category is inherit.py's business.
"""

from agent.errors import Conflict

from .lines import Line, Where
from .parse import parse


class Document:
    """`lines` joined are the file. `depth`: block comments open at its beginning, `depth_after`: at its end, `first`: see parse."""

    def __init__(self, name, lines, *, depth=0, depth_after=0, first=True, loaded=None):
        self.name = name
        self.lines = lines
        self.depth = depth
        self.depth_after = depth_after
        self.first = first
        self.loaded = loaded
        self._numbers = None

    @classmethod
    def parse(cls, data: bytes, name: str = "", *, depth: int = 0, first: bool = True) -> "Document":
        """Given a file's bytes, return its Document; never raises because of content."""
        lines, depth_after = parse(data, depth=depth, first=first)
        return cls(name, lines, depth=depth, depth_after=depth_after, first=first, loaded=data)

    def to_bytes(self) -> bytes:
        """Return the file's bytes."""
        return b"".join([line.raw for line in self.lines])

    def index_of(self, line: Line) -> int:
        """Given one of its lines, return its index."""
        return self.lines.index(line)  # Line defines no equality, so this finds by identity

    def number_of(self, line: Line) -> int:
        """Given one of its lines, return its number for people: 1 + the line feeds before it."""
        if self._numbers is None:
            self._numbers = {}
            number = 1
            for each in self.lines:
                self._numbers[id(each)] = number
                number += each.raw.endswith(b"\n")
        return self._numbers[id(line)]

    def where(self, line: Line) -> Where:
        """Given one of its lines, return its place."""
        return Where(self.name, self.number_of(line))

    def reread(self, start: int, stop: int, raws: list[bytes]) -> list[Line]:
        """Given bytes for the lines from `start` up to `stop`, return the Lines that they would be there; nothing changes yet.

        Raises: Conflict if Asterisk would cut them otherwise, or if the lines after them would be read in another state than now
        """
        first, last = self._cut_at_line_feeds(start, stop, raws)
        before = [line.raw for line in self.lines[first:start]]
        after = [line.raw for line in self.lines[stop:last]]
        lines, depth = parse(b"".join(before + raws + after), depth=self._depth_at(first), first=self.first and first == 0)
        if [line.raw for line in lines] != before + raws + after:
            raise Conflict("Asterisk would cut these lines at other places", where=self.where_index(start))
        if depth != self._depth_at(last):
            raise Conflict("it would open or close a block comment over the lines that follow", where=self.where_index(start))
        return lines[len(before):len(before) + len(raws)]

    def replace(self, start: int, stop: int, lines: list[Line]) -> None:
        """Given Lines, let them stand where those from `start` up to `stop` stood."""
        self.lines[start:stop] = lines
        self._numbers = None

    def where_index(self, index: int) -> Where:
        """Given an index (the end included), return its place."""
        if not self.lines:
            return Where(self.name, 1)
        return self.where(self.lines[min(index, len(self.lines) - 1)])

    def _depth_at(self, index):
        if index == 0:
            return self.depth
        return self.lines[index].depth if index < len(self.lines) else self.depth_after

    def _cut_at_line_feeds(self, start, stop, raws):
        """Widen a range of lines to both sides until its edges are real line ends: NUL and long lines are cut elsewhere."""
        while start > 0 and not self.lines[start - 1].raw.endswith(b"\n"):
            start -= 1
        end = raws[-1] if raws else b"\n"
        while stop < len(self.lines) and not end.endswith(b"\n"):
            end = self.lines[stop].raw
            stop += 1
        return start, stop
