"""Where a file really lies, and reading it whole: symbolic links, allowed roots, and the guard against half-written text.

apply.py reads through it, replace.py and journal.py write through it. Deliberately doesn't know what is in a file, and never writes.
"""

import contextlib
import dataclasses
import errno
import os
import stat

from agent import errors
from agent.transaction.kernel import Kernel, explain, explained, opened, read_all

MOST_LINKS = 40  # as Linux itself (MAXSYMLINKS)
MOST_BYTES = 64 << 20

# A writer that truncates and appends leaves gaps. A file that looks whole must have been left alone for QUIET_S; one that looks cut
# (see _looks_cut) for CUT_QUIET_S: ext4 has been seen to hold a truncated file still for 18 ms.
QUIET_S = 0.05
CUT_QUIET_S = 1.0
PATIENCE_S = 3.0
PAUSE_S = 0.005
MOST_SHRUNK = 0.1  # part of the last good reading that may be gone before it looks cut


@dataclasses.dataclass(eq=False)
class Reading:
    """A file as it was read: what an edit starts from, and what must still be there when it is written.

    path: str, as asked, absolute; real: str, where the links lead; data: bytes, None if there is no such file; tag: changed-under-you mark
    """

    path: str
    real: str
    data: bytes = dataclasses.field(repr=False)  # holds passwords
    tag: tuple
    places: "Places" = dataclasses.field(repr=False)
    settled: bool = dataclasses.field(repr=False)  # False: so fresh that a further write may leave the same tag


@dataclasses.dataclass
class Glimpse:
    """A file at one moment, perhaps in the middle of somebody's writing.

    unwritten: True if nobody had it open for writing meanwhile, False if somebody had, None if unknown
    """

    data: bytes
    tag: tuple
    mtime_s: float
    unwritten: bool
    steady: bool

    def same(self, other):
        return other is not None and (self.tag, self.data) == (other.tag, other.data)


NOTHING = Glimpse(None, None, 0.0, True, True)
UNKNOWN = object()


class Places:
    """The folders (or single files) that may be read and written, whatever links lead there.

    Remembers the last good content of each file, its own writes included, to tell a cut one from a whole one.
    """

    def __init__(self, roots, kernel=None):
        self.kernel = kernel or Kernel()
        self._roots = [self._follow(os.path.abspath(root)) for root in roots]
        self._known = {}

    def resolve(self, path):
        """Given a path, return the real one it leads to, which need not exist.

        Raises: Forbidden if that lies outside the allowed roots; Unavailable if the links go round in circles
        """
        real = self._follow(os.path.abspath(path))
        self.admit(real, path)
        return real

    def admit(self, real, path=None):
        """Given a real path, raise Forbidden unless an allowed root is it or holds it, compared by whole components."""
        if not any(os.path.commonpath([real, root]) == root for root in self._roots):
            raise errors.Forbidden(f"{real} lies outside the folders that may be changed", where=os.fspath(path or real))

    def read(self, path):
        """Given a path, return a Reading of content that nobody is in the middle of writing.

        Raises: Forbidden if it is outside the roots, no regular file or not readable; Unavailable if it is written all the time, or a
            link that leads nowhere
        """
        path = os.path.abspath(path)
        real = self.resolve(path)
        with explained("read it", path):
            glimpse = self._wait_until_whole(path, real)
            if glimpse.data is None:
                self._refuse_dangling(path, real)
        self.remember(real, glimpse.data)
        return Reading(path, real, glimpse.data, glimpse.tag, self, self._age_s(glimpse) >= QUIET_S)

    def changed(self, reading):
        """Given a Reading, return whether another one would differ; a stat unless it was very fresh."""
        try:
            moved = self.resolve(reading.path) != reading.real
            return moved or self._tag_at(reading.real) != reading.tag or not (reading.settled or self._settle(reading))
        except (OSError, errors.Fault):
            return True  # the next read says what is wrong

    def remember(self, real, data):
        """Given content known to be whole, take it at once when it is read again, however fresh."""
        self._known[real] = data

    @contextlib.contextmanager
    def folder_of(self, real):
        """Given a real path, yield a descriptor of its folder, opened without following any link.

        Raises: Forbidden if it is outside the roots; OSError if a link has come into the path since it was resolved
        """
        self.admit(real)
        fd = self.kernel.open("/", os.O_PATH | os.O_DIRECTORY)
        *parts, last = os.path.dirname(real).strip("/").split("/")
        for part in parts:
            fd = self._step(fd, part, os.O_PATH)
        fd = self._step(fd, last or ".", os.O_RDONLY)
        try:
            yield fd
        finally:
            self.kernel.close(fd)

    def glimpse(self, name, folder, where):
        """Given a name in an open folder, return the Glimpse of it now; NOTHING if there is no such file.

        where: str, the path to name in errors

        Raises: Forbidden if it isn't a regular file; OSError
        """
        try:
            with opened(self.kernel, name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, folder=folder) as fd:
                return self._glimpse_of(fd, where)
        except FileNotFoundError:
            return NOTHING
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
                raise errors.Forbidden("it isn't a regular file", where=where) from error
            raise

    def _glimpse_of(self, fd, where):
        before = self.kernel.fstat(fd)
        if not stat.S_ISREG(before.st_mode):
            raise errors.Forbidden("it isn't a regular file", where=where)
        if before.st_size > MOST_BYTES:
            raise errors.Forbidden(f"it is larger than {MOST_BYTES >> 20} MB", where=where)
        unwritten = self.kernel.lease(fd)
        data = read_all(self.kernel, fd)
        after = self.kernel.fstat(fd)
        steady = tag_of(before) == tag_of(after) and len(data) == after.st_size
        return Glimpse(data, tag_of(after), after.st_mtime_ns / 1e9, unwritten, steady)

    def _wait_until_whole(self, path, real):
        started_s = since_s = self.kernel.monotonic_s()
        last = None
        while True:
            now = self._glimpse_at(real)
            now_s = self.kernel.monotonic_s()
            if not now.same(last):
                last, since_s = now, now_s
            if now.steady and self._is_whole(real, now, now_s - since_s):
                return now
            if now_s - started_s > PATIENCE_S:
                raise errors.Unavailable("another program keeps writing it", where=path)
            self.kernel.pause(PAUSE_S)

    def _is_whole(self, real, now, watched_s):
        known = self._known.get(real, UNKNOWN)
        cut = _looks_cut(now.data, known)
        if known is not UNKNOWN and (known == now.data or (now.unwritten and not cut)):
            return True
        needed_s = CUT_QUIET_S if cut or now.unwritten is False else QUIET_S
        return max(watched_s, self._age_s(now)) >= needed_s

    def _age_s(self, glimpse):
        """0 for a missing file, or one whose time lies in the future: then only watching it tells."""
        if glimpse.data is None:
            return 0.0
        return max(0.0, self.kernel.wall_s() - glimpse.mtime_s)

    def _settle(self, reading):
        now = self._glimpse_at(reading.real)
        if now.data != reading.data:
            return False
        reading.settled = now.data is None or self._age_s(now) >= QUIET_S
        return True

    def _glimpse_at(self, real):
        try:
            with self.folder_of(real) as folder:
                return self.glimpse(os.path.basename(real), folder, real)
        except FileNotFoundError:  # the folder
            return NOTHING

    def _tag_at(self, real):
        try:
            return tag_of(self.kernel.lstat(real))
        except FileNotFoundError:
            return None

    def _refuse_dangling(self, path, real):
        try:
            self.kernel.lstat(path)
        except FileNotFoundError:
            return
        if path != real:
            raise errors.Unavailable(f"it is a symbolic link to {real}, which doesn't exist", where=path)

    def _step(self, fd, part, flags):
        """From one open folder into the next, closing the first."""
        try:
            return self.kernel.open(part, flags | os.O_DIRECTORY | os.O_NOFOLLOW, folder=fd)
        finally:
            self.kernel.close(fd)

    def _follow(self, path):
        """realpath, by hand: one system call a component, and circles are an error instead of a guess."""
        todo = path.split("/")[::-1]
        done = "/"
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                done = os.path.dirname(done)
            if part in ("", ".", ".."):
                continue
            target = self._link_at(os.path.join(done, part), path)
            if target is None:
                done = os.path.join(done, part)
                continue
            links += 1
            if links > MOST_LINKS:
                raise errors.Unavailable("its symbolic links go round in circles", where=path)
            done = "/" if target.startswith("/") else done
            todo.extend(target.split("/")[::-1])
        return done

    def _link_at(self, step, path):
        try:
            return self.kernel.readlink(step)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):  # no link, or nothing there
                return None
            raise explain(error, "find it", path) from error


def read(path, places):
    """Given a path and the Places it must lie in, return its Reading (see `Places.read`)."""
    return places.read(path)


def changed(reading):
    """Given a Reading, return whether another one would differ (see `Places.changed`)."""
    return reading.places.changed(reading)


def tag_of(status):
    """Given a stat result, return the mark that changes whenever the file is written, replaced or touched."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _looks_cut(data, known):
    """Empty, without its last newline, gone, or much shorter than it was: what a half-done rewrite leaves."""
    had = known if isinstance(known, bytes) else b""
    if data is None:
        return bool(had)
    if not data.endswith(b"\n") and not (had and data and not had.endswith(b"\n")):
        return True
    return len(data) < len(had) * (1 - MOST_SHRUNK)
