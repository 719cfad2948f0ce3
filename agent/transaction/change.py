"""One change of several files, all or nothing: staged, applied, kept or undone.

apply.py gets it from `Journal.begin` and drives it, with the lock held. Deliberately reads no file: it is handed Readings and bytes.

The order is what makes it safe: (1) old and new bytes and the list of files go into a record, (2) the new files are made beside the old
ones, (3) they change places, (4) the record's folder is renamed, which is the moment from which the change stands. Each step is durable
before the next. All that needs room on the disk comes before (3), so a full disk is found while nothing has changed.
"""

import dataclasses
import logging
import os

from agent import errors
from agent.transaction.record import APPLIED, KEPT, STAGED, UNDONE
from agent.transaction.replace import MODE, ChangedMeanwhile, EditedSince

log = logging.getLogger("pbx_agent.transaction")

DAMAGED = "damaged"  # putting back failed: the record stays open and the next start tries again


@dataclasses.dataclass(frozen=True)
class Staging:
    """What a change shall make of one file."""

    reading: object
    data: bytes
    mode: int


class Change:
    """Several files to be changed together: `replace` each, `apply` all, then `keep`; otherwise leaving the `with` block undoes it.

    state: "staged" → "applied" → "kept" or "undone"; "damaged" if putting back failed
    """

    def __init__(self, journal, title, who):
        self.state = STAGED
        self.record = None
        self._journal = journal
        self._title = title
        self._who = who
        self._staged = {}
        self._swaps = []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if self._swaps and self.state in (STAGED, APPLIED):
            self._take_back(None)

    @property
    def number(self):
        """The record's number; None before `apply`, and if there was nothing to change."""
        return self.record and self.record.number

    def replace(self, reading, data, mode=MODE):
        """Given a Reading and the file's new bytes, stage them; bytes as they were read stage nothing.

        data: bytes, or None to remove the file; mode: for a file that is new, whose owner becomes its folder's
        Raises: ChangedMeanwhile if the same file was staged from another reading
        """
        if self.state != STAGED or self._swaps:
            raise RuntimeError("the change is applied already")
        earlier = self._staged.get(reading.real)
        if earlier and earlier.reading.data != reading.data:
            raise ChangedMeanwhile("it was read twice, with different content", where=reading.path)
        if data == reading.data:
            self._staged.pop(reading.real, None)
        else:
            self._staged[reading.real] = Staging(earlier.reading if earlier else reading, data, mode)

    def apply(self):
        """Change all files, or none.

        Raises: ChangedMeanwhile, Forbidden, NoSpace, NotFound, Unavailable with every file as before; EditedSince (see `undo`); Damaged
            if a file couldn't be put back
        """
        if self.state != STAGED or self._swaps:
            raise RuntimeError("the change is applied already")
        if self._staged:
            staged = list(self._staged.values())
            self.record = self._journal.register(self._title, self._who, staged)
            self._swaps = [self._journal.swap(self.record.number, entry, staging.reading.data, staging.data, mode=staging.mode)
                           for entry, staging in zip(self.record.files, staged)]
            try:
                self._swap_all()
            except errors.Fault as error:
                self._withdraw(error)
                raise
        self.state = APPLIED

    def keep(self, notes=None):
        """Make the change stand, with these notes (dict of plain values) in its record.

        Raises: ChangedMeanwhile if a program has written into an old file since; NoSpace, Unavailable; then leaving the block undoes it
        """
        if self.state != APPLIED:
            raise RuntimeError(f"the change is {self.state}")
        if self._swaps:
            for swap in self._swaps:
                swap.check_undisturbed()
            self.record = self._journal.finish(self.record, KEPT, notes)
        self.state = KEPT
        if self._swaps:
            self._tidy()

    def undo(self, notes=None):
        """Put back the exact old files (the same inodes) after `apply`; the record stays in the history as undone, with these notes.

        Raises: EditedSince if somebody edited a file after us: their text is the newest and stays, all others are put back, and what was
            there before is in the record; Damaged if a file couldn't be put back
        """
        if self.state != APPLIED:
            raise RuntimeError(f"the change is {self.state}")
        if self._swaps:
            self._take_back(notes)
        self.state = UNDONE

    def _swap_all(self):
        for swap in self._swaps:
            swap.prepare()
        for swap in self._swaps:
            swap.swap()
        for swap in {os.path.dirname(swap.real): swap for swap in self._swaps}.values():
            swap.sync()

    def _withdraw(self, cause):
        """A change that never was whole: nobody can have seen it, so it leaves no history."""
        try:
            self._take_back(None, forget=True)
        except errors.Fault as fault:
            raise fault from cause

    def _take_back(self, notes, forget=False):
        theirs, failed, littered = self._put_all_back()
        if failed:
            self.state = DAMAGED
            raise errors.Damaged("; ".join(self._describe(swap, fault) for swap, fault in failed), where=failed[0][0].real)
        self.state = UNDONE
        try:
            self._close_record(notes, forget and not theirs and not littered)
        except errors.Fault as fault:
            # The files are as they were. A record left open finds nothing to do at the next start.
            log.warning("record %s is undone, but the journal doesn't say so yet: %s", self.number, fault)
        if theirs:
            raise EditedSince(f"somebody edited it after record {self.number} was applied; their text stays", paths=theirs, where=theirs[0])

    def _put_all_back(self):
        """Return whose text was left, what couldn't be put back, and whether something may lie beside a file that never changed."""
        theirs, failed, littered = [], [], False
        for swap in reversed(self._swaps):
            try:
                if not swap.put_back():
                    theirs.append(swap.real)
            except errors.Fault as fault:
                if swap.begun:
                    failed.append((swap, fault))
                else:
                    littered = True  # the record stays in the history, by which the next start finds it
        return theirs, failed, littered

    def _describe(self, swap, fault):
        entry = next(entry for entry in self.record.files if entry.real == swap.real)
        kept = os.path.join(self.record.folder, entry.before) if entry.before else "(there was no file)"
        return f"{swap.real} couldn't be put back ({fault.message}); its old bytes: {kept}"

    def _close_record(self, notes, forget):
        if forget and not self._journal.holds_theirs(self.record):
            self._journal.retire(self.record)
            self.record = None
        else:
            self.record = self._journal.finish(self.record, UNDONE, notes)

    def _tidy(self):
        """The change stands whatever becomes of this; the next start tidies what is left."""
        try:
            for swap in self._swaps:
                swap.clear()
            self._journal.prune()
        except errors.Fault as fault:
            log.warning("tidying up after record %s: %s", self.number, fault)
