"""One small file that people edit while we run: its parsed content, read again when it changes.

Used by `addresses`, `htpasswd` and `digest`. A change is noticed by inode, size and times, and taken once it has been still for
`SETTLE_S`: editors and `htpasswd` rewrite a file in place, so for a moment it is empty or half there. Until then, and whenever the
new content can't be parsed or read, the last good content stays. It never sleeps: the listener asks it for every connection.
"""

import logging
import os
import threading
import time

from agent.errors import Fault, Invalid, Unavailable

SETTLE_S = 0.25
MAX_BYTES = 4 * 1024 * 1024
NOTHING_YET = ()

log = logging.getLogger("pbx_agent.access")


class Watched:
    """The content of `path` as `parse(data, path)` makes it of its bytes; of a missing file it is `absent`."""

    def __init__(self, path, parse, *, absent, settle_s=SETTLE_S, monotonic=time.monotonic, now=time.time):
        """Given a path and a parser that raises Invalid, read the file for the first time.

        settle_s: how long a change must have been still; monotonic, now: clocks in seconds.
        Raises: Invalid if it can't be understood or is too long; Unavailable if it is there and can't be read.
        """
        self._path = os.fspath(path)
        self._parse = parse
        self._absent = absent
        self._settle_s = settle_s
        self._monotonic = monotonic
        self._now = now
        self._lock = threading.Lock()
        self._seen = self._signature()
        self._seen_at = monotonic()
        self._value = self._read()
        # A file younger than the clock's grain may still change without showing it, so it is read once more when it is still.
        self._taken = self._seen if self._is_still() else NOTHING_YET

    def value(self):
        """Return the content as last taken; never raises."""
        signature = self._signature()
        if signature != self._taken:
            with self._lock:
                self._look_again(signature)
        return self._value

    def _look_again(self, signature):
        if signature != self._seen:
            self._seen, self._seen_at = signature, self._monotonic()
        if signature == self._taken or not self._is_still():
            return
        try:
            value = self._read()
        except Fault as fault:
            log.error("%s; going on with what it said before", fault)
            self._taken = signature
            return
        if self._signature() == signature:
            self._value, self._taken = value, signature

    def _is_still(self):
        """Tell if the file has its present signature for long enough; by its own time, or by ours if the clocks disagree."""
        if self._seen is None:
            return True
        age_s = self._now() - self._seen[2] / 1e9
        return age_s >= self._settle_s or self._monotonic() - self._seen_at >= self._settle_s

    def _signature(self):
        """Return (inode, size, mtime_ns, ctime_ns), or None without a file; an unreadable folder counts as unreadable, not missing."""
        try:
            found = os.stat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return (0, 0, 0, error.errno)
        return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def _read(self):
        if self._seen is None:
            return self._absent
        try:
            with open(self._path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise Unavailable(f"can't be read: {error.strerror}", where=self._path) from error
        if len(data) > MAX_BYTES:
            raise Invalid(f"is longer than {MAX_BYTES} bytes", where=self._path)
        return self._parse(data, self._path)
