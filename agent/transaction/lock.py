"""One writer at a time: an flock on a lock file of our own, shared by the daemon's threads and the command line.

apply.py and cli.py hold it around a write or a recovery. Deliberately never locks a configuration file itself: Asterisk and editors
wouldn't notice, and replacing the file would take the lock away with it.
"""

import contextlib
import os
import threading

from agent import errors
from agent.transaction.kernel import Kernel, explained

PAUSE_S = 0.002


class Lock:
    """The lock file at `path`, created when first held; usable from any thread and any number of processes."""

    def __init__(self, path, kernel=None):
        self._path = os.path.abspath(path)
        self._kernel = kernel or Kernel()
        self._threads = threading.Lock()
        self._holder = None

    @contextlib.contextmanager
    def hold(self, timeout_s=10.0):
        """Given how long to wait, hold the lock for the block. Raise Unavailable if others hold it for longer than that.

        timeout_s: float, seconds, ≥ 0; 0 tries once
        """
        if self._holder == threading.get_ident():
            raise RuntimeError("this thread holds the lock already")
        deadline_s = self._kernel.monotonic_s() + timeout_s
        if not self._threads.acquire(timeout=timeout_s):
            raise self._busy(timeout_s)
        try:
            fd = self._take(deadline_s, timeout_s)
            self._holder = threading.get_ident()
            try:
                yield self
            finally:
                self._holder = None
                self._kernel.close(fd)
        finally:
            self._threads.release()

    def _take(self, deadline_s, timeout_s):
        while True:
            with explained("open the lock file", self._path):
                fd = self._try()
            if fd is not None:
                return fd
            if self._kernel.monotonic_s() >= deadline_s:
                raise self._busy(timeout_s)
            self._kernel.pause(PAUSE_S)

    def _try(self):
        fd = self._kernel.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        taken = False
        try:
            self._kernel.flock(fd)
            taken = self._is_current(fd)
        except BlockingIOError:
            pass
        finally:
            if not taken:
                self._kernel.close(fd)
        return fd if taken else None

    def _is_current(self, fd):
        """A lock on a file that was deleted or replaced meanwhile excludes nobody."""
        try:
            there = self._kernel.lstat(self._path)
        except FileNotFoundError:
            return False
        ours = self._kernel.fstat(fd)
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _busy(self, timeout_s):
        return errors.Unavailable(f"another program is writing; its lock wasn't free within {timeout_s:g} s", where=self._path)
