"""What a change leaves behind on disk: a folder of plain files that a person can read and undo with cp.

    000017          a change that stands           record.json   title, who, when, notes, files
    000018.undone   one that was taken back        before/       0-voicemail.conf   the old bytes (missing: there was no file)
    000019.open     one under way, or broken off   after/        0-voicemail.conf   the new bytes
    000020.new      one not yet ready to start     theirs/       somebody's text that we found in our way, very rarely
    000016.gone     one being removed              000015.unreadable   an unfinished one whose record.json can't be understood

The folder's name is the state, so that a rename is what changes it. journal.py makes and moves records, recover.py ends broken-off ones.
Deliberately knows nothing of the files' places and never touches them.
"""

import dataclasses
import datetime
import hashlib
import json
import os
import re

from agent import errors
from agent.transaction.kernel import opened, read_all, write_all

STAGED, APPLIED, KEPT, UNDONE, UNREADABLE = "staged", "applied", "kept", "undone", "unreadable"
OPEN, NEW, GONE = ".open", ".new", ".gone"
SUFFIX_OF = {KEPT: "", UNDONE: ".undone", STAGED: OPEN, UNREADABLE: ".unreadable"}
STATE_OF = {suffix: state for state, suffix in SUFFIX_OF.items()}

FOLDER_NAME = re.compile(r"(?P<number>[0-9]+)(?P<suffix>|\.[a-z]+)", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One file of a record.

    path: as asked; real: where its bytes are; before, after: names within the record's folder, None for no file; *_sha256: hex or None;
    aside: the name used beside the file while the change was under way
    """

    path: str
    real: str
    before: str | None
    before_sha256: str | None
    after: str | None
    after_sha256: str | None
    aside: str


@dataclasses.dataclass(frozen=True)
class Record:
    """A change as the journal knows it; its bytes are read when asked for.

    state: "staged" (under way or broken off), "kept", "undone" or "unreadable"; when: UTC, ISO 8601; who, notes: dict of plain values
    """

    number: int
    state: str
    title: str
    who: dict
    when: str
    notes: dict
    files: tuple
    folder: str
    kernel: object = dataclasses.field(repr=False, compare=False)

    @property
    def paths(self):
        return [entry.path for entry in self.files]

    def before(self, path):
        """Given one of the record's paths, return its old bytes, None if there was no file. Raise NotFound, Damaged."""
        entry = self._entry(path)
        return self._bytes(entry.before, entry.before_sha256)

    def after(self, path):
        """Given one of the record's paths, return its new bytes, None if the file was removed. Raise NotFound, Damaged."""
        entry = self._entry(path)
        return self._bytes(entry.after, entry.after_sha256)

    def _entry(self, path):
        for entry in self.files:
            if os.fspath(path) in (entry.path, entry.real):
                return entry
        raise errors.NotFound(f"record {self.number} didn't change it", where=os.fspath(path))

    def _bytes(self, name, sha256):
        if name is None:
            return None
        where = os.path.join(self.folder, name)
        try:
            data = slurp(self.kernel, where)
        except FileNotFoundError as error:
            raise errors.NotFound(f"record {self.number} is no longer kept", where=where) from error
        if digest(data) != sha256:
            raise errors.Damaged(f"the bytes kept by record {self.number} aren't what was written there", where=where)
        return data


def load(kernel, folder):
    """Given a record's folder, return the Record.

    Raises: FileNotFoundError if it isn't there (any more); ValueError if its record.json can't be understood; OSError
    """
    number, state = parse_name(os.path.basename(folder))
    fields = json.loads(slurp(kernel, os.path.join(folder, "record.json")).decode())
    try:
        files = tuple(Entry(**entry) for entry in fields["files"])
        return Record(number, state, fields["title"], fields["who"], fields["when"], fields["notes"], files, folder, kernel)
    except (KeyError, TypeError) as error:
        raise ValueError(f"record {number} lacks a field") from error


def unreadable(kernel, folder):
    """Given the folder of a record that can't be understood, return a Record that says so."""
    number, _ = parse_name(os.path.basename(folder))
    return Record(number, UNREADABLE, "", {}, "", {}, (), folder, kernel)


def store(record):
    """Given a Record, write its record.json, whole or not at all, and make it durable. Raise OSError."""
    fields = {"number": record.number, "title": record.title, "when": record.when, "who": record.who, "notes": record.notes,
              "files": [dataclasses.asdict(entry) for entry in record.files]}
    name = os.path.join(record.folder, "record.json")
    # Anything printable beats losing the history: what JSON has no form for is noted as text.
    spill(record.kernel, name + ".part", (json.dumps(fields, indent=1, default=str) + "\n").encode(), os.O_TRUNC)
    record.kernel.rename(name + ".part", name)


def parse_name(name):
    """Given the name of a folder in the journal, return (number, state), or (None, None) if it is no finished or unfinished record."""
    match = FOLDER_NAME.fullmatch(name)
    if not match or match["suffix"] not in STATE_OF:
        return None, None
    return int(match["number"]), STATE_OF[match["suffix"]]


def number_in(name):
    """Given any name in the journal, return the number in it, 0 if there is none."""
    match = FOLDER_NAME.fullmatch(name)
    return int(match["number"]) if match else 0


def folder_name(number, suffix=""):
    return f"{number:06d}{suffix}"


def now_utc(kernel):
    return datetime.datetime.fromtimestamp(kernel.wall_s(), datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def digest(data):
    return None if data is None else hashlib.sha256(data).hexdigest()


def slurp(kernel, name):
    with opened(kernel, name, os.O_RDONLY) as fd:
        return read_all(kernel, fd)


def spill(kernel, name, data, how=os.O_EXCL):
    """Write a new file and make its bytes, not yet its name, durable."""
    with opened(kernel, name, os.O_WRONLY | os.O_CREAT | how, 0o600) as fd:
        write_all(kernel, fd, data)
        kernel.fsync(fd)


def sync_folder(kernel, name):
    with opened(kernel, name, os.O_RDONLY | os.O_DIRECTORY) as fd:
        kernel.fsync(fd)
