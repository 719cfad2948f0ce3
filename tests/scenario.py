"""Scenario files: the specification as data. Read by test_scenarios.py, which runs each against the whole agent and a fake Asterisk.

    === A title says what is promised
    --- voicemail.conf              a file as it stands (or, between requests, as an admin has just typed it); `¶` marks a line end where blanks matter
    100 => 1234,Ada   ; desk ¶
    >>> PUT /1.0/voicemails/1       method, path, and `tls` if it comes over the LAN; then header lines, then the body
    Accept: -                       a header of `-` isn't sent; without a word, Accept and Content-Type are application/json
    {"password": "4321"}
    <<< 200                         status; then headers that must be there, then the body (JSON is compared as such; "…" is any text, and {"…": "…"} whatever else)
    +++ voicemail.conf              the file afterwards, whole
    *** reload app_voicemail.so     the modules reloaded since the last request, in order
    !!! asterisk hides 300@default  what the fake Asterisk does from here on; see test_scenarios.py for the list

After every request each file not named by `+++` must be byte-identical, and without a `***` nothing may have been reloaded.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

MARKERS = ("===", "---", ">>>", "<<<", "+++", "***", "!!!")


@dataclass
class Block:
    """One marker line and the lines under it."""

    marker: str
    argument: str
    number: int
    lines: list = field(default_factory=list)

    def text(self):
        """The lines as bytes of a file."""
        return "".join(line.replace("¶", "") + "\n" for line in _without_blank_end(self.lines)).encode()

    def message(self):
        """The lines as (headers, body): header lines stand first."""
        headers, lines = {}, _without_blank_end(self.lines)
        while lines and (match := re.fullmatch(r"([A-Za-z-]+): (.*)", lines[0])):
            headers[match[1]] = match[2]
            lines = lines[1:]
        return headers, "\n".join(lines)


def _without_blank_end(lines):
    lines = list(lines)
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


@dataclass
class Scenario:
    """A title and its blocks, in order."""

    file: Path
    title: str
    blocks: list

    @property
    def name(self):
        return f"{self.file.parent.name}/{self.file.stem}: {self.title}"


def read(file):
    """Given the path of a scenario file, return its scenarios. Raise ValueError if it holds none."""
    scenarios, block = [], None
    for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), 1):
        if line[:3] in MARKERS and line[3:4] == " ":
            block = Block(line[:3], line[4:].strip(), number)
            if block.marker == "===":
                scenarios.append(Scenario(file, block.argument, []))
            else:
                scenarios[-1].blocks.append(block)
        elif block is not None:
            block.lines.append(line)
    if not scenarios:
        raise ValueError(f"{file} holds no scenario")
    return scenarios


def same(wanted, found):
    """Return whether two JSON values are equal, "…" in the wanted one standing for any text, and as a name for any others."""
    if wanted == "…":
        return isinstance(found, str) and found != ""
    if isinstance(wanted, dict) and isinstance(found, dict):
        if "…" in wanted:
            return all(name in found and same(value, found[name]) for name, value in wanted.items() if name != "…")
        return wanted.keys() == found.keys() and all(same(wanted[name], found[name]) for name in wanted)
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(same, wanted, found))
    return type(wanted) is type(found) and wanted == found


def same_body(wanted, found):
    """Given the body a scenario wants and the one that came (both text), return whether they say the same."""
    if not wanted or not found:
        return wanted == found
    try:
        return same(json.loads(wanted), json.loads(found))
    except ValueError:
        return wanted == found
