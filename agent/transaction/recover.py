"""After a crash: put back every change that wasn't kept, and remove what lies about beside the files.

build.py calls it at each start, with the lock held, before anything is read. Deliberately asks nobody and never rolls forward: a change
stands from the moment its record was renamed, and what wasn't that far had been promised to no one.
"""

import dataclasses
import os

from agent import errors
from agent.transaction.record import STAGED, UNDONE, UNREADABLE, parse_name

PUT_BACK = "as before"
LEFT = "left as somebody edited it since"
SUPERSEDED = "left as a later record made it"
FOLDER_GONE = "its folder is gone"


@dataclasses.dataclass(frozen=True)
class Recovered:
    """What became of one unfinished record; `files` is {real path: what was done}, empty for one that can't be understood."""

    number: int
    title: str
    state: str
    files: dict

    def __str__(self):
        if self.state == UNREADABLE:
            return f"record {self.number} can't be understood and is set aside; compare the files with its before/"
        return f"record {self.number} ({self.title}): " + ", ".join(f"{path} {done}" for path, done in self.files.items())


def recover(journal):
    """Given the Journal, undo every unfinished record, newest first, and return a list of Recovered.

    Raises: Damaged, after all else is done, if a file couldn't be put back (the record stays, and the next start tries again); Unavailable
    Keeps: what somebody, or a later record, wrote into a file after the crash; may be interrupted anywhere and repeated
    """
    journal.remove_unready()
    done, failed = [], []
    touched = set()
    for record in journal.records():
        if _is_open(record):
            done.append(_end(journal, record, touched, failed))
        else:
            _tidy(journal, record)
        touched.update(entry.real for entry in record.files)
    if failed:
        raise errors.Damaged("; ".join(failed), where=journal.folder)
    return done


def _is_open(record):
    return parse_name(os.path.basename(record.folder))[1] == STAGED


def _end(journal, record, touched, failed):
    if record.state == UNREADABLE:
        record = journal.finish(record, UNREADABLE)
        return Recovered(record.number, "", UNREADABLE, {})
    files, troubles = {}, []
    for entry in reversed(record.files):
        try:
            files[entry.real] = _put_back(journal, record, entry, entry.real in touched)
        except errors.Fault as fault:
            kept = os.path.join(record.folder, entry.before) if entry.before else "(there was no file)"
            troubles.append(f"{entry.real} couldn't be put back ({fault.message}); its old bytes: {kept}")
    if not troubles:
        record = journal.finish(record, UNDONE, {"recovered": files})
    failed.extend(troubles)
    return Recovered(record.number, record.title, record.state, files)


def _put_back(journal, record, entry, superseded):
    swap = journal.swap(record.number, entry, record.before(entry.path), record.after(entry.path), begun=True)
    try:
        if superseded:  # the process lived on after this record, which it couldn't end; the files have moved on
            swap.clear()
            return SUPERSEDED
        return PUT_BACK if swap.put_back() else LEFT
    except errors.NotFound:
        return FOLDER_GONE


def _tidy(journal, record):
    """A crash right after a change was kept or undone leaves the old or new file beside its place."""
    for entry in record.files:
        swap = journal.swap(record.number, entry, None, None)
        if swap.leftovers():
            journal.swap(record.number, entry, record.before(entry.path), record.after(entry.path)).clear()
