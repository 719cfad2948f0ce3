"""One write, from an edit to Asterisk's consent: the only place that orders lock, read, edit, journal, replace, reload and read-back.

`web` and `cli` hand in a function of the open edit and get its result when Asterisk has taken the change, or an error when every file is
as before. Writes that arrive while one is being applied wait and go together as the next: one record, one reload. Reads use a snapshot
and never take the lock. It deliberately knows no resource: which file needs which module, and which entries want an id, is handed in.
"""

import logging
import threading
from dataclasses import dataclass, field
from typing import Callable, Mapping, Sequence

from agent.directory import Directory
from agent.edit import Edit, Files, Snapshot
from agent.errors import Conflict, Damaged, Fault, Rejected, Unavailable
from agent.transaction import ChangedMeanwhile

log = logging.getLogger("pbx_agent.apply")

CATCH_UP_S = 30
ATTEMPTS = 5        # how often an edit is made anew on the text that somebody else has just written
PENDING = "pending"
DONE = "done"


@dataclass(frozen=True)
class Outcome:
    """What became of a write: `value` is the edit's result, `record` the journal's number (None: nothing to change).

    pending: Asterisk wasn't there; the files are changed and it will read them when it is back.
    """

    value: object = None
    record: int | None = None
    pending: bool = False


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
        """folder: Asterisk's configuration. load: (name, files) -> Configuration. asterisk: has `available` and `apply(modules, expectations)`.

        effects: {name: function} for what an edit asks for afterwards. lock_s: seconds to wait for another process.
        """
        self._folder, self._places, self._directory_file, self._load = folder, places, directory_file, load
        self._journal, self._lock, self._lock_s = journal, lock, lock_s
        self._asterisk, self._effects, self._resources = asterisk, effects, resources
        self._writer = threading.Lock()
        self._waiting = []
        self._waiting_lock = threading.Lock()
        self._snapshot = None
        self._behind = True         # whether a record may be pending; one of an earlier run, to begin with

    # ---- reading ----------------------------------------------------------------------------------------------------------------------

    def read(self, function):
        """Return function(snapshot), on a snapshot as new as the files are. Raise what it raises, and Unavailable during a foreign write."""
        snapshot = self._snapshot
        if snapshot is None or snapshot.stale():
            snapshot = self._fresh(Snapshot)
            if self._adopt(snapshot):
                snapshot = self._fresh(Snapshot)
            self._snapshot = snapshot
        return function(snapshot)

    def _fresh(self, kind):
        return kind(Files(self._folder, self._places), self._load, self._directory_file)

    def _adopt(self, snapshot):
        """Number entries that a person typed by hand, as every write does first; return whether there were any."""
        wanting = any(lacking(snapshot) for lacking, _ in self._resources.adopters)
        if wanting:
            self.write(lambda edit: None, title="number entries made by hand", who={"name": "pbx-agent"})
        return wanting

    # ---- writing ----------------------------------------------------------------------------------------------------------------------

    def write(self, function, *, title, who):
        """Apply one edit, and return its Outcome. Raise what the edit raises, Rejected, Conflict, Unavailable, NoSpace or Damaged.

        function: (Edit) -> result; it may be called more than once, each time on the newest text. who: {"name", "address", …} for the history.
        """
        job = Job(function, title, who)
        with self._waiting_lock:
            self._waiting.append(job)
        with self._writer:
            if not job.done:
                with self._waiting_lock:
                    batch, self._waiting = self._waiting, []
                self._write_all(batch)
        if job.error is not None:
            raise job.error
        self._afterwards(job)
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
        edit = self._fresh(Edit)
        for lacking, adopt in self._resources.adopters:
            if lacking(edit):
                edit.attempt(adopt)
        accepted = [job for job in jobs if self._edited(edit, job)]
        changed = edit.changed()
        if not accepted or not changed:
            for job in accepted:
                job.outcome = Outcome(job.value)
            return
        try:
            record, pending = self._commit(edit, changed, accepted)
        except Rejected:
            if len(accepted) == 1:
                raise
            for job in accepted:        # a failing edit in a batch fails alone
                self._alone(job)
            return
        for job in accepted:
            job.outcome = Outcome(job.value, record, pending)

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
            pending = self._reloaded(change, modules, expectations)
            change.keep({"modules": modules, "reload": PENDING if pending else DONE})
            self._behind = self._behind or pending
            return change.number, pending

    def _reloaded(self, change, modules, expectations):
        """Make Asterisk take the change; return whether that must wait. Raise Rejected when it won't, with the old files back and loaded."""
        if not modules:
            return False
        try:
            self._asterisk.apply(modules, expectations)
            return False
        except Unavailable as error:
            log.warning("Asterisk is away, the change waits for it: %s", error)
            return True
        except Rejected as rejection:
            change.undo()
            self._load_old(modules, rejection)
            raise

    def _load_old(self, modules, rejection):
        try:
            self._asterisk.apply(modules, [])
        except (Unavailable, Rejected) as error:
            rejection.reasons.append(f"the files are as before, but Asterisk hasn't loaded them again: {error}")

    def _afterwards(self, job):
        """Do what can't be undone, once the change stands. Raise Damaged with what couldn't be done."""
        failed = []
        for name, *arguments in job.effects:
            try:
                self._effects[name](*arguments)
            except OSError as error:
                failed.append(f"{name.replace('_', ' ')} {' '.join(arguments)}: {error}")
        if failed:
            raise Damaged("the change is made, but this couldn't be done after it: " + "; ".join(failed))

    # ---- history ----------------------------------------------------------------------------------------------------------------------

    def undo(self, number=None, *, who):
        """Put back what a record changed, the last kept one unless a number is given; the Outcome's value is the number undone.

        Raises: NotFound; Conflict if a file has changed since.
        """
        record = self._journal.record(number) if number else self._last_kept()
        outcome = self.write(lambda edit: self._put_back(edit, record), title=f"undo {record.number}", who=who)
        return Outcome(record.number, outcome.record, outcome.pending)

    def _last_kept(self):
        for record in self._journal.records():
            if record.state == "kept":
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
        return [record.number for record in reversed(self._journal.records()) if record.notes.get("reload") == PENDING]

    def keep_catching_up(self, wake, stopped, every_s=CATCH_UP_S):
        """Reload what is pending whenever `wake` is set, and again every so many seconds, until `stopped` is; for a thread of its own.

        wake, stopped: threading.Event. Waiting for Asterisk to come back isn't enough: a reload that took too long leaves it connected.
        """
        while not stopped.is_set():
            wake.wait(every_s)
            wake.clear()
            if self._behind and self._asterisk.available and not stopped.is_set():
                self._catch_up()

    def _catch_up(self):
        try:
            records = self.reload_pending()
        except Fault as fault:
            log.warning("Asterisk is there, but hasn't taken what changed while it was away: %s", fault)
            return
        if records:
            log.info("Asterisk has taken records %s", ", ".join(map(str, records)))

    def reload_pending(self):
        """Make Asterisk load what changed while it was away; called when it is back. Return the numbers of the records. Raise Unavailable."""
        with self._writer, self._lock.hold(timeout_s=self._lock_s):
            waiting = self.pending()
            modules = sorted({module for number in waiting for module in self._journal.record(number).notes["modules"]})
            if modules:
                self._asterisk.apply(modules, [])
            for number in waiting:
                self._journal.annotate(number, {"reload": DONE})
            self._behind = False
        return waiting
