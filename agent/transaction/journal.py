"""The records of all changes, in one folder: begun, read, annotated, finished, pruned.

apply.py begins a Change here for each write and reads the history; change.py and recover.py give a record its end. Whoever writes holds
the lock. Deliberately touches no file outside its folder: that is a Change's business.
"""

import contextlib
import dataclasses
import functools
import os
import secrets
import stat

from agent import errors
from agent.transaction.change import Change
from agent.transaction.kernel import explained
from agent.transaction.record import (
    GONE, KEPT, NEW, STAGED, SUFFIX_OF, UNDONE, Entry, Record, digest, folder_name, load, now_utc, number_in, parse_name, spill, store,
    sync_folder, unreadable,
)
from agent.transaction.replace import MODE, Swap

MOST_NAME_BYTES = 180  # of a file's own name within names of ours; the limit of file systems is 255


class Journal:
    """The records in one folder, made 0700 when first needed; numbers only grow.

    records: how many finished ones are kept; size_bytes: how large they may be together; the oldest go first
    spare: function(Record) -> whether it must stay all the same
    """

    def __init__(self, folder, places, *, records=200, size_bytes=64 << 20, spare=lambda record: False):
        self.folder = os.path.abspath(folder)
        self.places = places
        self.kernel = places.kernel
        self._spare = spare
        self._most = records
        self._most_bytes = size_bytes
        self._sizes = {}

    def begin(self, title, who):
        """Given what is done and by whom (dict of plain values), return a Change; leaving its `with` block undoes it unless it was kept."""
        return Change(self, title, dict(who))

    @property
    def mark(self):
        """Something that differs once a record has come, gone or changed its state, by whatever process; None without a journal."""
        try:
            return os.stat(self.folder).st_mtime_ns
        except FileNotFoundError:
            return None

    def records(self):
        """Return all Records, newest first; those that can't be understood have the state "unreadable". Raise Unavailable."""
        found = []
        for name in sorted(self._names(), key=lambda name: parse_name(name)[0], reverse=True):
            with contextlib.suppress(errors.NotFound):  # pruned while we read
                found.append(self._load(name))
        return found

    def record(self, number):
        """Given a number, return its Record. Raise NotFound, Unavailable."""
        for name in self._names():
            if parse_name(name)[0] == number:
                return self._load(name)
        raise errors.NotFound(f"there is no record {number}", where=self.folder)

    def annotate(self, number, notes):
        """Given a finished record's number and notes, add them to its own, durably, and return the Record. Raise NotFound, NoSpace …"""
        record = self.record(number)
        if record.state not in (KEPT, UNDONE):
            raise errors.Conflict(f"record {number} isn't finished", where=self.folder)
        return self._note(record, notes)

    # -- for Change and recover -----------------------------------------------------------------------------------------------------

    def register(self, title, who, staged):
        """Given the Stagings of a change, write its record, durable and open, and return it. Raise NoSpace, Forbidden, Unavailable."""
        with explained("write the journal", self.folder):
            self._make_folder()
            number = max((number_in(name) for name in self.kernel.listdir(self.folder)), default=0) + 1
            new = self._path(number, NEW)
            try:
                record = self._write_new(new, number, title, who, staged)
                return self._rename(record, SUFFIX_OF[STAGED])
            except OSError:
                with contextlib.suppress(OSError):  # recovery removes it too
                    self.remove(new)
                raise

    def finish(self, record, state, notes=None):
        """Given an open Record, add the notes and give it its last state, durably; return it as it is then. Raise NoSpace, Unavailable."""
        if notes:
            record = self._note(record, notes)
        with explained("write the journal", self.folder):
            return self._rename(record, SUFFIX_OF[state])

    def swap(self, number, entry, before, after, *, mode=MODE, begun=False):
        """Given a record's number, one of its Entries and its bytes, return the Swap that carries it out (see there)."""
        save = functools.partial(self._save_theirs, number, entry)
        return Swap(self.places, entry.real, before, after, entry.aside, save=save, mode=mode, begun=begun)

    def remove(self, folder):
        """Remove a folder of the journal with all that is in it. Raise OSError."""
        for name in self.kernel.listdir(folder):
            try:
                self.kernel.unlink(os.path.join(folder, name))
            except (IsADirectoryError, PermissionError):  # what unlink says of a folder: Linux the one, POSIX the other
                self.remove(os.path.join(folder, name))
        self.kernel.rmdir(folder)

    def retire(self, record):
        """Remove a Record, in such an order that no half of it is ever taken for one. Raise Forbidden, Unavailable."""
        with explained("tidy the journal", self.folder):
            gone = self._rename(record, GONE)
            self.remove(gone.folder)

    def prune(self):
        """Remove the oldest finished records beyond the limits, but never the newest."""
        with explained("tidy the journal", self.folder):
            finished = sorted((parse_name(name)[0], name) for name in self._names() if parse_name(name)[1] in (KEPT, UNDONE))
            total = sum(self._size(name) for _, name in finished)
            left = len(finished)
            for number, name in finished[:-1]:
                if left <= self._most and total <= self._most_bytes:
                    break
                if self._spare(self._load(name)):
                    continue
                left -= 1
                total -= self._sizes.pop(name)
                self.kernel.rename(os.path.join(self.folder, name), self._path(number, GONE))
                self.remove(self._path(number, GONE))

    def holds_theirs(self, record):
        """Return whether somebody's text was saved into the record."""
        return self._exists(os.path.join(record.folder, "theirs"))

    def remove_unready(self):
        """Remove what was never finished being written, or being removed. Raise Forbidden, Unavailable."""
        with explained("tidy the journal", self.folder):
            for name in self._listed():
                if number_in(name) and name.endswith((NEW, GONE)):
                    self.remove(os.path.join(self.folder, name))

    # -- small change ---------------------------------------------------------------------------------------------------------------

    def _save_theirs(self, number, entry, data):
        folder = os.path.join(self.record(number).folder, "theirs")
        if not self._exists(folder):
            self.kernel.mkdir(folder, 0o700)
        # Overwritten by a repeated recovery, which finds the same text.
        spill(self.kernel, os.path.join(folder, os.path.basename(entry.before or entry.after)), data, os.O_TRUNC)
        sync_folder(self.kernel, folder)
        sync_folder(self.kernel, os.path.dirname(folder))

    def _write_new(self, folder, number, title, who, staged):
        self.kernel.mkdir(folder, 0o700)
        for part in ("before", "after"):
            self.kernel.mkdir(os.path.join(folder, part), 0o700)
        files = tuple(self._write_entry(folder, number, index, staging) for index, staging in enumerate(staged))
        record = Record(number, STAGED, title, who, now_utc(self.kernel), {}, files, folder, self.kernel)
        store(record)
        for part in ("before", "after"):
            sync_folder(self.kernel, os.path.join(folder, part))
        sync_folder(self.kernel, folder)
        return record

    def _write_entry(self, folder, number, index, staging):
        own = os.fsdecode(os.fsencode(os.path.basename(staging.reading.real))[:MOST_NAME_BYTES])
        names = []
        for part, data in (("before", staging.reading.data), ("after", staging.data)):
            names.append(None if data is None else f"{part}/{index}-{own}")
            if data is not None:
                spill(self.kernel, os.path.join(folder, names[-1]), data)
        # The random end keeps two journals (a second agent by mistake, a restored backup) from using each other's names.
        aside = f".{own}.pbx-agent-{number}-{secrets.token_hex(4)}"
        before, after = names
        return Entry(staging.reading.path, staging.reading.real, before, digest(staging.reading.data), after, digest(staging.data), aside)

    def _note(self, record, notes):
        record = dataclasses.replace(record, notes={**record.notes, **notes})
        with explained("write the journal", record.folder):
            store(record)
            sync_folder(self.kernel, record.folder)
        return record

    def _rename(self, record, suffix):
        old, new = record.folder, self._path(record.number, suffix)
        self.kernel.rename(old, new)
        try:
            sync_folder(self.kernel, self.folder)
        except OSError:
            self.kernel.rename(new, old)  # not durable is not done
            raise
        return dataclasses.replace(record, folder=new, state=parse_name(os.path.basename(new))[1])

    def _make_folder(self):
        missing = []
        folder = self.folder
        while not self._exists(folder):
            missing.append(folder)
            folder = os.path.dirname(folder)
        for folder in reversed(missing):
            self.kernel.mkdir(folder, 0o700)
            sync_folder(self.kernel, os.path.dirname(folder))

    def _exists(self, folder):
        try:
            self.kernel.lstat(folder)
        except FileNotFoundError:
            return False
        return True

    def _listed(self):
        try:
            return self.kernel.listdir(self.folder)
        except FileNotFoundError:
            return []

    def _names(self):
        with explained("read the journal", self.folder):
            return [name for name in self._listed() if parse_name(name)[0] is not None]

    def _load(self, name, again=True):
        folder = os.path.join(self.folder, name)
        try:
            with explained("read the journal", folder):
                return load(self.kernel, folder)
        except errors.NotFound:
            if not again:
                raise
            return self._load_renamed(name)
        except ValueError:
            return unreadable(self.kernel, folder)

    def _load_renamed(self, name):
        """A record is renamed when it is finished, perhaps just now."""
        number, _ = parse_name(name)
        for other in self._names():
            if parse_name(other)[0] == number and other != name:
                return self._load(other, again=False)
        if self._exists(os.path.join(self.folder, name)):
            return unreadable(self.kernel, os.path.join(self.folder, name))
        raise errors.NotFound(f"there is no record {number}", where=self.folder)

    def _size(self, name):
        if name not in self._sizes:
            self._sizes[name] = self._measure(os.path.join(self.folder, name))
        return self._sizes[name]

    def _measure(self, path):
        status = self.kernel.lstat(path)
        if not stat.S_ISDIR(status.st_mode):
            return status.st_size
        return sum(self._measure(os.path.join(path, name)) for name in self.kernel.listdir(path))

    def _path(self, number, suffix):
        return os.path.join(self.folder, folder_name(number, suffix))
