"""One write, from an edit to Asterisk's consent: the only place that orders lock, read, edit, journal, replace, reload and read-back.

`web` and `cli` hand in a function of the open edit and get its result when Asterisk has taken the change, or an error when every file is
as before. Writes that arrive while one is being applied wait and go together as the next: one record, one reload. Reads use a snapshot
and wait for no writer. It deliberately knows no resource: which file needs which module, and which entries want an id, is handed in.
"""

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Callable, Mapping, Sequence

from agent.directory import Directory
from agent.edit import Edit, Files, Snapshot
from agent.errors import Conflict, Damaged, Fault, Rejected, Unavailable
from agent.transaction import ChangedMeanwhile, EditedSince

log = logging.getLogger("pbx_agent.apply")

CATCH_UP_S = 30
READER_WAITS_S = 0.3
MOST_WAITING, STUCK_S = 5, 2      # fewer than [limits] threads, 8 unless set
ATTEMPTS = 5        # how often an edit is made anew on the text that somebody else has just written
PENDING = "pending"
DONE = "done"


@dataclass(frozen=True)
class Outcome:
    """What became of a write: `value` is the edit's result, `record` the journal's number (None: nothing to change).

    pending: Asterisk wasn't there; the files are changed and it will read them when it is back.
    untold: names of changed files that no module is known to read, so that nothing was reloaded for them.
    """

    value: object = None
    record: int | None = None
    pending: bool = False
    untold: tuple = ()


@dataclass
class Job:
    """One waiting write: who wants what, and what became of it."""

    function: Callable
    title: str
    who: Mapping
    value: object = None
    outcome: Outcome | None = None
    error: BaseException | None = None
    effects: Sequence = ()

    @property
    def done(self):
        return self.outcome is not None or self.error is not None


@dataclass(frozen=True)
class Resources:
    """What apply must know of the resources: {file: module of Asterisk}, and pairs (lacking, adopt) that number hand-made entries."""

    modules: Mapping = field(default_factory=dict)
    adopters: Sequence = ()


class Apply:
    """The one writer of this process; other processes are kept out by the lock."""

    def __init__(self, *, folder, places, directory_file, load, journal, lock, lock_s, asterisk, effects, resources):
        """folder: Asterisk's configuration. load: (name, files) -> Configuration. asterisk: Reload or NoAsterisk.

        effects: {name: function} for what an edit asks for afterwards. lock_s: seconds to wait for another process.
        """
        self._folder, self._places, self._directory_file, self._load = folder, places, directory_file, load
        self._journal, self._lock, self._lock_s = journal, lock, lock_s
        self._asterisk, self._effects, self._resources = asterisk, effects, resources
        self._writer = threading.Lock()
        self._waiting = []
        self._waiting_lock = threading.Lock()
        self._refresh = threading.Lock()
        self._moved_s = time.monotonic()
        self._snapshot = None
        self._behind = True         # whether a record may be pending; one of an earlier run, to begin with

    # ---- reading ----------------------------------------------------------------------------------------------------------------------

    def read(self, function):
        """Return function(snapshot), on a snapshot as new as the files are. Raise what it raises, and Unavailable during a foreign write.

        Entries typed by hand get their ids first, and only that is a write; where it can't be done, they aren't in the snapshot's directory.
        """
        snapshot = self._snapshot
        if snapshot is None or snapshot.stale():
            with self._refresh:
                snapshot = self._newest()
        if self._lacks_ids(snapshot):
            try:
                self._number_now()
                snapshot = self._fresh(Snapshot)
            except (Unavailable, ChangedMeanwhile) as error:
                log.warning("entries made by hand can't be given an id now: %s", error)
        return function(snapshot)

    def _number_now(self):
        """Number entries typed by hand, unless somebody is writing: readers don't wait. Raise Unavailable, ChangedMeanwhile."""
        if not self._writer.acquire(timeout=READER_WAITS_S):
            raise Unavailable("a change is being applied")
        try:
            with self._lock.hold(timeout_s=READER_WAITS_S):
                self._numbered()
        finally:
            self._writer.release()

    def _newest(self):
        """Return the snapshot of the files as they are now, read once for all who wait for it."""
        if self._snapshot is None or self._snapshot.stale():
            self._snapshot = self._fresh(Snapshot)
        return self._snapshot

    def _fresh(self, kind):
        return kind(Files(self._folder, self._places, self._directory_file), self._load, self._directory_file)

    def _lacks_ids(self, view):
        return any(lacking(view) for lacking, _ in self._resources.adopters)

    # ---- writing ----------------------------------------------------------------------------------------------------------------------

    def write(self, function, *, title, who):
        """Apply one edit, and return its Outcome. Raise what the edit raises, Rejected, Conflict, Unavailable, NoSpace or Damaged.

        function: (Edit) -> result; it may be called more than once, each time on the newest text. who: {"name", "address", …} for the history.
        """
        job = Job(function, title, who)
        with self._waiting_lock:
            # Each holds a thread, and where nothing moves those who only read need some too.
            if len(self._waiting) >= MOST_WAITING and time.monotonic() - self._moved_s > STUCK_S:
                raise Unavailable(f"{len(self._waiting)} changes are waiting, and nothing moves; try again")
            self._waiting.append(job)
        with self._writer:
            self._moved_s = time.monotonic()
            if not job.done:
                with self._waiting_lock:
                    batch, self._waiting = self._waiting, []
                self._write_all(batch)
        if job.error is not None:
            raise job.error
        return job.outcome

    def preview(self, function):
        """Return what write would change, list of (Reading, new bytes), and change nothing. Raise what the edit raises."""
        edit = self._fresh(Edit)
        edit.attempt(function)
        return edit.changed()

    def _write_all(self, batch):
        """Apply the jobs of a batch; each ends with an outcome or an error."""
        try:
            with self._lock.hold(timeout_s=self._lock_s):
                self._in_lock(batch)
        except BaseException as error:      # whoever waits for a job of this batch must be woken with the reason
            for job in batch:
                job.error = job.error or (None if job.outcome else error)
            if not isinstance(error, Exception):
                raise

    def _in_lock(self, jobs):
        """Try until nobody else has written between our read and our replace."""
        for attempt in range(ATTEMPTS):
            try:
                self._attempt(jobs)
                return
            except ChangedMeanwhile as error:
                log.info("somebody else has written: %s; the edit is made anew (attempt %d)", error, attempt + 1)
                last = error
        raise Conflict(f"somebody else keeps writing; gave up after {ATTEMPTS} attempts", where=last.where) from last

    def _attempt(self, jobs):
        edit = self._numbered()
        accepted = [job for job in jobs if self._edited(edit, job)]
        changed = edit.changed()
        try:
            record, pending = self._commit(edit, changed, accepted) if accepted and changed else (None, False)
        except Rejected:
            if len(accepted) == 1:
                raise
            for job in accepted:        # a failing edit in a batch fails alone
                self._alone(job)
            return
        untold = tuple(sorted(edit.files_changed - set(self._resources.modules)))
        for job in accepted:
            job.outcome = Outcome(job.value, record, pending, untold)
            job.error = None if pending else self._afterwards(job.effects)

    def _numbered(self):
        """Return a fresh Edit in which every entry has its id; ids given now are a record of their own, so that no undo takes them away."""
        edit = self._fresh(Edit)
        if not self._lacks_ids(edit):
            return edit
        for _, adopt in self._resources.adopters:
            edit.attempt(adopt)
        with self._journal.begin("number entries made by hand", {"name": "pbx-agent"}) as change:
            for reading, data in edit.changed():
                change.replace(reading, data)
            change.apply()
            change.keep({"numbering": True})
        return self._fresh(Edit)

    def _alone(self, job):
        try:
            self._in_lock([job])
        except Fault as error:
            job.error = error

    def _edited(self, edit, job):
        """Run a job's function on the open edit; return whether it succeeded."""
        already = len(edit.effects)
        job.error = None
        try:
            job.value = edit.attempt(job.function)
        except Exception as error:      # even a bug in one edit must not take the others of its batch along; it's raised in the caller
            job.error = error
            return False
        job.effects = edit.effects[already:]
        return True

    def _commit(self, edit, changed, jobs):
        """Journal, replace, reload, read back; keep, or undo and say why. Return (record number, whether the reload is pending)."""
        known = self._resources.modules
        modules = sorted(edit.modules.union(known[name] for name in edit.files_changed if name in known))
        expectations = [(kind, key, wanted) for (kind, key), wanted in edit.expectations.items()]
        who = dict(jobs[0].who) if len(jobs) == 1 else {"name": "several", "jobs": [dict(job.who) for job in jobs]}
        with self._journal.begin("; ".join(job.title for job in jobs), who) as change:
            for reading, data in changed:
                change.replace(reading, data)
            change.apply()
            try:
                pending = self._waits_for_asterisk(modules, expectations)
                change.keep({"modules": modules, **({"reload": PENDING, "effects": edit.effects} if pending else {"reload": DONE})})
            except BaseException as error:      # Asterisk has, or may have, read the new files: whatever it was, it must read the old ones
                self._go_back(change, modules, error)
                raise
            return change.number, pending

    def _waits_for_asterisk(self, modules, expectations):
        """Make Asterisk take the change; return whether that must wait. Raise Rejected when it won't have it."""
        if not modules:
            return False
        try:
            self._asterisk.apply(modules, expectations)
            return False
        except Unavailable as error:
            log.warning("Asterisk is away, the change waits for it: %s", error)
            self._behind = True
            return True

    def _go_back(self, change, modules, error):
        """Put the old files back and make Asterisk load them; what couldn't be done is told with the error. Raise Damaged."""
        try:
            if change.state == "applied":
                change.undo({"refused": [error.message, *error.reasons] if isinstance(error, Rejected) else [type(error).__name__]})
        except EditedSince as theirs:
            _tell(error, str(theirs))
        finally:
            self._load_old(modules, error)

    def _load_old(self, modules, error):
        if not modules:
            return
        try:
            self._asterisk.apply(modules, [])
        except (Unavailable, Rejected) as failed:
            _tell(error, f"the files are as before, but Asterisk hasn't loaded them again: {failed}")

    def _afterwards(self, effects):
        """Do what can't be undone, in the order it was asked for, once the change stands; return None, or Damaged with what wasn't done."""
        failed = []
        for name, *arguments in effects:
            try:
                self._effects[name](*arguments)
            except OSError as error:
                failed.append(f"{name.replace('_', ' ')} {' '.join(arguments)}: {error}")
        return Damaged("the change is made, but this couldn't be done after it: " + "; ".join(failed)) if failed else None

    # ---- history ----------------------------------------------------------------------------------------------------------------------

    def undo(self, number=None, *, who):
        """Put back what a record changed, the last kept one unless a number is given; the Outcome's value is the number undone.

        Raises: NotFound; Conflict if a file has changed since.
        """
        record = self._last_kept() if number is None else self._journal.record(number)
        if record.state != "kept" or record.notes.get("numbering"):
            raise Conflict(f"record {record.number} can't be undone: it " + ("only gave ids" if record.state == "kept" else f"is {record.state}"))
        outcome = self.write(lambda edit: self._put_back(edit, record), title=f"undo {record.number}", who=who)
        return Outcome(record.number, outcome.record, outcome.pending, outcome.untold)

    def _last_kept(self):
        for record in self._journal.records():
            if record.state == "kept" and not record.notes.get("numbering"):
                return record
        raise Conflict("there is nothing to undo")

    def _put_back(self, edit, record):
        for path in record.paths:
            before, after = record.before(path), record.after(path)
            if path == edit.directory_file:
                edit.directory.revert(Directory(before), Directory(after))
            elif edit.file(path) != after:
                raise Conflict(f"it has changed since record {record.number}; undo the later changes first", where=path)
            else:
                edit.put(path, before)
        edit.reload(record.notes.get("modules", ()))

    # ---- pending reloads --------------------------------------------------------------------------------------------------------------

    def pending(self):
        """Return the numbers of the records that Asterisk hasn't been told of yet, oldest first."""
        return [record.number for record in reversed(self._journal.records()) if self.is_pending(record)]

    @staticmethod
    def is_pending(record):
        """Return whether Asterisk hasn't been told of a record yet; such a one is never pruned."""
        return record.notes.get("reload") == PENDING

    def keep_catching_up(self, wake, stopped, every_s=CATCH_UP_S):
        """Reload what is pending whenever `wake` is set, and again every so many seconds, until `stopped` is; for a thread of its own.

        wake, stopped: threading.Event. Waiting for Asterisk to come back isn't enough: a reload that took too long leaves it connected,
        and the command line may have left a change that this process knows nothing of.
        """
        mark = None
        while not stopped.is_set():
            wake.wait(every_s)
            wake.clear()
            if self._asterisk.available and not stopped.is_set() and (self._behind or self._journal.mark != mark):
                mark = self._journal.mark
                self._catch_up()

    def _catch_up(self):
        try:
            records = self.reload_pending()
            if records:
                log.info("Asterisk has taken records %s", ", ".join(map(str, records)))
        except Fault as fault:
            log.warning("Asterisk is there, but hasn't taken what changed while it was away: %s", fault)
        except Exception:       # the edge of a thread that must outlive any one record it can't handle
            log.exception("telling Asterisk what changed while it was away")

    def reload_pending(self):
        """Make Asterisk load what changed while it was away, and do what was to follow. Return the numbers of the records.

        Raises: Unavailable; Rejected if Asterisk refuses a module, and the records stay pending
        """
        with self._writer, self._lock.hold(timeout_s=self._lock_s):
            waiting = [self._journal.record(number) for number in self.pending()]
            modules = sorted({module for record in waiting for module in record.notes["modules"]})
            if modules:
                self._asterisk.apply(modules, [])
            for record in waiting:
                failed = self._afterwards(record.notes.get("effects", ()))
                self._journal.annotate(record.number, {"reload": DONE, "effects": [], **({"failed": str(failed)} if failed else {})})
                if failed:
                    log.error("record %d: %s", record.number, failed)
            self._behind = False
        return [record.number for record in waiting]


def _tell(error, reason):
    """Let whoever reads the error know the reason too: in its list if it has one, else in the log."""
    if isinstance(error, Rejected):
        error.reasons.append(reason)
    else:
        log.error("after %s: %s", error, reason)
