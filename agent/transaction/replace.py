"""One file of a change: its new bytes go beside it, change places with the old ones in one step, and can go back the same way.

journal.py drives it while a change is open, recover.py after a crash; both only ever call it with the record already on disk.
Deliberately knows no record and no other file. The name of the file and the name beside it ("aside") are two slots that swap:

    modify  file: old   aside: new    →  file: new   aside: old
    create  file: –     aside: new    →  file: new   aside: –
    remove  file: old   aside: –      →  file: –     aside: old

Swapping again is the undo, and gives back the very inode, with its owner, times and attributes. What came out of the file is looked at:
if it isn't what was read, somebody wrote meanwhile, and it goes back at once. The name is never empty in between, nothing is written in
place, and the new file never carries the old one's mtime (Asterisk would take it for unchanged).
"""

import contextlib
import errno
import os

from agent import errors
from agent.transaction.kernel import LACKING, explained, opened, write_all
from agent.transaction.places import NOTHING, Glimpse

BUSY_S = 2.0  # how long a program that has the old file open for writing is waited for
PAUSE_S = 0.005
MODE = 0o640

# Not copied: file capabilities are a privilege like setuid, IMA and EVM sign the old bytes.
NOT_COPIED = frozenset({"security.capability", "security.ima", "security.evm"})
ACL = "system.posix_acl_access"

PART = ".part"  # what is still being written; under the name aside itself lie only whole files, which is what recovery relies on
WAS = ".was"  # the old file for a moment, where the file system has no exchange

# Neither file nor nothing: somebody put a link, a folder or a pipe there. Equal to no bytes, and never removed.
STRANGE = Glimpse(object(), None, 0.0, None, True)


class ChangedMeanwhile(errors.Conflict):
    """The file isn't what was read any more; nothing of ours is in it. Read it again and repeat the edit."""


class EditedSince(errors.Conflict):
    """Undone but for the files in `paths`: somebody edited those after us, and their text was left in place.

    paths: list of str, real paths
    """

    def __init__(self, message, *, paths, where=None):
        super().__init__(message, where=where)
        self.paths = list(paths)


class Swap:
    """One file's way from `before` to `after` (bytes, or None for no file) by way of the name `aside` in the same folder.

    save: function of bytes, called with somebody's text that would otherwise exist nowhere; begun: True if an earlier process may have
        swapped already
    """

    def __init__(self, places, real, before, after, aside, *, save, mode=MODE, begun=False):
        self.real = real
        self.before = before
        self.after = after
        self.aside = aside
        self._part = aside + PART
        self._was = aside + WAS
        self._mode = mode
        self._save = save
        self.begun = begun
        self._name = os.path.basename(real)
        self._places = places
        self._kernel = places.kernel

    def prepare(self):
        """Put the whole new file, durable and with the old one's owner, mode and attributes, under the name aside.

        Raises: ChangedMeanwhile if the file isn't `before` any more; Forbidden if it can't be replaced; NoSpace, Unavailable
        """
        with self._folder() as folder:
            self._check_unchanged(folder)
            if self.before is None:
                self._write_aside(folder, self.after, None)
                return
            with self._open_old(folder) as old:
                self._refuse_hard_links(old)
                self._write_aside(folder, self.after, old)

    def swap(self):
        """Let the new file take the old one's place; durable after `sync`. Whatever is raised, `put_back` is due.

        Raises: ChangedMeanwhile if the file wasn't `before`; Forbidden, Unavailable
        """
        self.begun = True
        with self._folder() as folder:
            try:
                self._turn(folder, self.before, self.after)
            except (FileNotFoundError, FileExistsError) as error:
                raise self._changed() from error
            if not self._came_out(folder, self.before):
                raise self._changed()
        self._places.remember(self.real, self.after)

    def sync(self):
        """Make the names in the file's folder durable."""
        with self._folder() as folder:
            self._kernel.fsync(folder)

    def check_undisturbed(self):
        """Raise ChangedMeanwhile if a program that had the old file open wrote into it after the swap: its text would be lost."""
        with self._folder() as folder:
            if self.before is not None and not self._came_out(folder, self.before):
                raise self._changed()

    def put_back(self):
        """Undo prepare and swap, however far they came, and return whether nothing of ours is left in the file.

        Returns: False if somebody edited the file after our swap: then it stays as it is
        Raises: Forbidden, Unavailable, NotFound if it can't be done now
        Keeps: the old inode; may be interrupted anywhere and repeated
        """
        with self._folder() as folder:
            self._unlink(folder, self._part)
            if not self.begun:
                self._discard(folder, self.aside)
                return True
            self._tidy_links(folder)
            back = self._turn_back(folder)
            self._discard(folder, self.aside)
            self._kernel.fsync(folder)
        return back

    def clear(self):
        """Remove what lies beside the file of a change that is finished."""
        with self._folder() as folder:
            self._unlink(folder, self._part)
            self._discard(folder, self._was)
            self._discard(folder, self.aside)

    def leftovers(self):
        """Return whether anything of ours lies beside the file; cheap."""
        beside = os.path.join(os.path.dirname(self.real), self.aside)
        return any(self._exists(beside + suffix) for suffix in ("", PART, WAS))

    # -- the new file ---------------------------------------------------------------------------------------------------------------

    def _check_unchanged(self, folder):
        now = self._wait_unwritten(folder, self._name)
        if now.data != self.before or now.unwritten is False:
            raise self._changed()

    @contextlib.contextmanager
    def _open_old(self, folder):
        try:
            fd = self._kernel.open(self._name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, folder=folder)
        except FileNotFoundError as error:
            raise self._changed() from error
        try:
            yield fd
        finally:
            self._kernel.close(fd)

    def _refuse_hard_links(self, old):
        if self._kernel.fstat(old).st_nlink > 1:
            raise errors.Forbidden("it has a second name (hard link), which would keep the old text", where=self.real)

    def _write_aside(self, folder, data, old):
        if data is None:
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with opened(self._kernel, self._part, flags, 0o600, folder) as new:
            write_all(self._kernel, new, data)
            if old is None:
                self._dress_like_folder(new, folder)
            else:
                self._dress_like(new, old)
            self._kernel.fsync(new)
        self._kernel.rename(self._part, self.aside, folder)

    def _dress_like(self, new, old):
        was = self._kernel.fstat(old)
        self._give_to(new, was.st_uid, was.st_gid)
        wanted = set(self._kernel.listxattr(old)) - NOT_COPIED
        # The folder's default ACL would give rights that the old file doesn't; it goes before the mode unmasks it.
        if ACL in set(self._kernel.listxattr(new)) - wanted:
            self._kernel.removexattr(new, ACL)
        self._kernel.fchmod(new, was.st_mode & 0o777)
        for name in sorted(wanted):
            self._copy_xattr(old, new, name)
        if self._kernel.fstat(new).st_mtime_ns == was.st_mtime_ns:
            # Two writes within one tick of the clock: Asterisk and our own tags tell by mtime and size.
            self._kernel.set_mtime(new, was.st_mtime_ns + 1_000_000)

    def _dress_like_folder(self, new, folder):
        home = self._kernel.fstat(folder)
        self._give_to(new, home.st_uid, home.st_gid)
        self._kernel.fchmod(new, self._mode & 0o777)

    def _give_to(self, new, uid, gid):
        now = self._kernel.fstat(new)
        if (now.st_uid, now.st_gid) == (uid, gid):
            return
        try:
            self._kernel.fchown(new, uid, gid)
        except PermissionError as error:
            raise errors.Forbidden(f"its owner {uid}:{gid} couldn't be kept", where=self.real) from error

    def _copy_xattr(self, old, new, name):
        value = self._kernel.getxattr(old, name)
        try:
            self._kernel.setxattr(new, name, value)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EACCES, errno.EOPNOTSUPP):
                raise
            # A security label the kernel gave the new file by itself needs no right to set.
            if name not in self._kernel.listxattr(new) or self._kernel.getxattr(new, name) != value:
                raise errors.Forbidden(f"its attribute {name} couldn't be kept", where=self.real) from error

    # -- the swap -------------------------------------------------------------------------------------------------------------------

    def _turn(self, folder, out, into):
        """Swap the two slots; `out` is what the file should hold now, `into` what it shall hold."""
        if out is None:
            self._move(folder, self.aside, self._name)
        elif into is None:
            self._move(folder, self._name, self.aside)
        else:
            self._exchange(folder, out)

    def _move(self, folder, old, new):
        try:
            self._kernel.move(old, new, folder)
        except OSError as error:
            if error.errno not in LACKING:
                raise
            self._kernel.link(old, new, folder)
            self._kernel.unlink(old, folder)

    def _exchange(self, folder, expected):
        try:
            self._kernel.exchange(self._name, self.aside, folder)
        except OSError as error:
            if error.errno not in LACKING:
                raise
            self._exchange_by_links(folder, expected)

    def _exchange_by_links(self, folder, expected):
        """For file systems without RENAME_EXCHANGE: a writer that renames between the look and the rename (microseconds) is lost."""
        self._kernel.link(self._name, self._was, folder)
        if self._glimpse(folder, self._name).data != expected:
            self._kernel.unlink(self._was, folder)
            raise self._changed()
        self._kernel.rename(self.aside, self._name, folder)
        self._kernel.rename(self._was, self.aside, folder)

    def _came_out(self, folder, expected):
        if expected is None:
            return True
        out = self._wait_unwritten(folder, self.aside)
        return out.data == expected and out.unwritten is not False

    # -- the way back ---------------------------------------------------------------------------------------------------------------

    def _turn_back(self, folder):
        """Look at both slots, as only they tell after a crash how far it came; see the table above."""
        now = self._glimpse(folder, self._name)
        aside = self._glimpse(folder, self.aside)
        if not self._is_swapped(now, aside):
            return True
        if now.data != self.after:
            return False
        if self.before is not None and aside is NOTHING:
            self._restore(folder)
        try:
            self._turn(folder, self.after, self.before)
        except (FileNotFoundError, FileExistsError, ChangedMeanwhile):
            return False
        if self._came_out(folder, self.after):
            self._places.remember(self.real, self.before)
            return True
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            self._turn(folder, self.before, self.after)  # a third writer, between the look and the turn: theirs stays
        return False

    def _is_swapped(self, now, aside):
        if self.before is None:
            return aside is NOTHING and now is not NOTHING
        if self.after is None:
            return aside is not NOTHING or now is NOTHING
        return aside.data != self.after if aside is not NOTHING else now.data == self.after

    def _restore(self, folder):
        """The old file is gone from beside it (somebody tidied up by hand): make it anew from the journal's bytes."""
        if self.after is None:
            self._write_aside(folder, self.before, None)
            return
        with self._open_old(folder) as now:
            self._write_aside(folder, self.before, now)

    def _tidy_links(self, folder):
        """Finish or take back what the ways without RENAME_EXCHANGE and RENAME_NOREPLACE left half-done."""
        now, aside, was = (self._inode(folder, name) for name in (self._name, self.aside, self._was))
        if was is not None and was != now and aside is None:
            self._kernel.rename(self._was, self.aside, folder)
            return
        if was is not None and was == now:
            self._kernel.unlink(self._was, folder)
        elif was is not None:
            self._discard(folder, self._was)
        if aside is not None and aside == now:
            self._kernel.unlink(self.aside, folder)

    def _discard(self, folder, name):
        there = self._wait_unwritten(folder, name)
        if there is NOTHING or there is STRANGE:
            return
        if there.data not in (self.before, self.after):
            self._save(there.data)
        self._kernel.unlink(name, folder)

    # -- small change ---------------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _folder(self):
        with explained("change it", self.real), self._places.folder_of(self.real) as folder:
            yield folder

    def _glimpse(self, folder, name):
        try:
            return self._places.glimpse(name, folder, self.real)
        except errors.Forbidden:
            return STRANGE

    def _wait_unwritten(self, folder, name):
        deadline_s = self._kernel.monotonic_s() + BUSY_S
        while True:
            now = self._glimpse(folder, name)
            if (now.unwritten is not False and now.steady) or self._kernel.monotonic_s() > deadline_s:
                return now
            self._kernel.pause(PAUSE_S)

    def _inode(self, folder, name):
        try:
            status = self._kernel.lstat(name, folder)
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _exists(self, path):
        try:
            self._kernel.lstat(path)
        except OSError:
            return False
        return True

    def _unlink(self, folder, name):
        if self._inode(folder, name) is not None:  # a read-only file system refuses to unlink even what isn't there
            self._kernel.unlink(name, folder)

    def _changed(self):
        return ChangedMeanwhile("somebody else changed it meanwhile", where=self.real)
