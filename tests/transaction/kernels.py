"""Stand-ins for agent.transaction.kernel.Kernel: one that fails or dies at a chosen call, one that forgets what wasn't fsynced.

Used by the fault loops of this folder. Deliberately no mocks: both obey calls like the real one, and the model's file system is the
strictest that POSIX allows: a file's bytes last from its own fsync, a folder's names from the folder's.
"""

import copy
import errno
import os
import stat
import types

from agent.transaction import Kernel

FREE = {"lease"}  # can't fail: it answers None
CAN_RUN_OUT_OF_SPACE = {"open", "write", "fsync", "mkdir", "rename", "exchange", "move", "link", "setxattr", "fchown"}
CAN_BE_READ_ONLY = CAN_RUN_OUT_OF_SPACE - {"fsync"} | {"unlink", "rmdir", "fchmod"}


class Death(BaseException):
    """The process ends here; nothing after it runs."""


class Failing:
    """Passes calls on to a kernel, but the n-th one (from 1) fails; its clock jumps instead of waiting.

    lasting: all later ones fail too; only: names of the calls that can fail; fsync: whether the real one is called at all
    """

    def __init__(self, kernel, at, error, *, lasting=False, only=None, fsync=False):
        self.calls = 0
        self.hit = None
        self._kernel, self._at, self._error, self._lasting, self._only, self._fsync = kernel, at, error, lasting, only, fsync
        self._open = set()
        self._skipped_s = 0.0

    def wall_s(self):
        return self._kernel.wall_s() + self._skipped_s

    def monotonic_s(self):
        return self._kernel.monotonic_s() + self._skipped_s

    def pause(self, seconds):
        self._skipped_s += seconds

    def __getattr__(self, name):
        call = getattr(self._kernel, name)
        if name in FREE:
            return call
        return lambda *args, **named: self._call(name, call, args, named)

    def leave_behind(self):
        """What the system does for a process that died."""
        for fd in self._open:
            self._kernel.close(fd)

    def _call(self, name, call, args, named):
        if self._only is None or name in self._only:
            self.calls += 1
            if self.calls == self._at or (self._lasting and self.calls > self._at):
                self._fail(name, call, args)
        if name == "fsync" and not self._fsync:
            return None
        result = call(*args, **named)
        if name == "open":
            self._open.add(result)
        if name == "close":
            self._open.discard(args[0])
        return result

    def _fail(self, name, call, args):
        self.hit = self.hit or name
        if isinstance(self._error, int) and name == "close":
            call(*args)
            self._open.discard(args[0])
        if name == "write":
            call(args[0], bytes(args[1])[:len(args[1]) // 2])
        raise OSError(self._error, os.strerror(self._error)) if isinstance(self._error, int) else self._error()


class WithoutFlags:
    """A file system without renameat2's flags, such as NFS; mixed into a kernel."""

    def exchange(self, one, other, folder):
        raise _error(errno.EINVAL)

    def move(self, old, new, folder):
        raise _error(errno.EINVAL)


class Fallback(WithoutFlags, Kernel):
    """The real kernel on such a file system."""


class Node:
    """A file or folder of the model: as it is, and as it would be after a power cut."""

    def __init__(self, number, mode):
        self.number, self.mode, self.uid, self.gid, self.links = number, mode, 0, 0, 1
        self.mtime_ns = self.ctime_ns = 0
        self.xattrs = {}
        self.data, self.durable = b"", None  # of a file; None: never synced
        self.names, self.synced, self.pending = {}, {}, []  # of a folder: pending are its states since the last sync, oldest first

    @property
    def is_folder(self):
        return stat.S_ISDIR(self.mode)


class Model:
    """A kernel with a file system in memory; `crash` gives what a power cut would leave of it."""

    def __init__(self):
        self._last_number = 1
        self.root = Node(1, stat.S_IFDIR | 0o755)
        self._fds, self._next_fd = {}, 3
        self._now_ns = 1_000_000_000_000
        self.watch = None  # called before each call, with its name

    # -- what tests do to it --------------------------------------------------------------------------------------------------------

    def crash(self, keep_names, keep_data):
        """Return a model with what is left: keep_names(number of unsynced states) → how many of them; keep_data(node) → its bytes."""
        left = copy.copy(self)
        left._fds, left.watch = {}, None
        left._now_ns += 3_600_000_000_000
        left.root = self._left_of(self.root, keep_names, keep_data, {})
        return left

    def _left_of(self, node, keep_names, keep_data, made):
        if node.number in made:
            return made[node.number]
        left = made[node.number] = copy.copy(node)
        left.xattrs = dict(node.xattrs)
        if not node.is_folder:
            left.data = left.durable = keep_data(node)
            return left
        kept = keep_names(len(node.pending))
        names = node.pending[kept - 1] if kept else node.synced
        left.names = {name: self._left_of(child, keep_names, keep_data, made) for name, child in names.items()}
        left.synced, left.pending = dict(left.names), []
        return left

    def make(self, path, data=None):
        """Make a folder, or a file with these bytes, durably."""
        parent, name = self._parent(path, None)
        node = Node(self._number(), stat.S_IFDIR | 0o755 if data is None else stat.S_IFREG | 0o644)
        node.data = node.durable = data
        parent.names[name] = node
        parent.synced = dict(parent.names)

    def copy(self):
        """Return a second one in the same state, synced and unsynced."""
        watch, self.watch = self.watch, None
        try:
            return copy.deepcopy(self)
        finally:
            self.watch = watch

    def bytes_at(self, path):
        parent, name = self._parent(path, None)
        return parent.names[name].data if name in parent.names else None

    def names_at(self, path):
        return sorted(self._walk(path, None).names)

    # -- the calls ------------------------------------------------------------------------------------------------------------------

    def open(self, name, flags, mode=0o600, folder=None):
        self._called("open")
        if name in ("/", "."):
            return self._descriptor(self._walk(name, folder))
        parent, last = self._parent(name, folder)
        node = parent.names.get(last)
        if node is None and not flags & os.O_CREAT:
            raise _error(errno.ENOENT)
        if node is not None and flags & os.O_CREAT and flags & os.O_EXCL:
            raise _error(errno.EEXIST)
        if node is None:
            node = Node(self._number(), stat.S_IFREG | mode)
            self._touch(node)
            self._change(parent, {**parent.names, last: node})
        if flags & os.O_DIRECTORY and not node.is_folder:
            raise _error(errno.ENOTDIR)
        if flags & os.O_TRUNC:
            node.data = b""
        return self._descriptor(node)

    def close(self, fd):
        self._called("close")
        del self._fds[fd]

    def read(self, fd, size):
        self._called("read")
        entry = self._fds[fd]
        piece = entry[0].data[entry[1]:entry[1] + size]
        entry[1] += len(piece)
        return piece

    def write(self, fd, data):
        self._called("write")
        node = self._fds[fd][0]
        node.data += bytes(data)
        self._touch(node)
        return len(data)

    def fsync(self, fd):
        self._called("fsync")
        node = self._fds[fd][0]
        if node.is_folder:
            node.synced, node.pending = dict(node.names), []
        else:
            node.durable = node.data

    def fstat(self, fd):
        self._called("fstat")
        return self._status(self._fds[fd][0])

    def lstat(self, name, folder=None):
        self._called("lstat")
        return self._status(self._at(name, folder))

    def readlink(self, name):
        self._called("readlink")
        self._at(name, None)
        raise _error(errno.EINVAL)

    def fchown(self, fd, uid, gid):
        self._called("fchown")
        self._fds[fd][0].uid, self._fds[fd][0].gid = uid, gid

    def fchmod(self, fd, mode):
        self._called("fchmod")
        node = self._fds[fd][0]
        node.mode = stat.S_IFMT(node.mode) | mode

    def set_mtime(self, fd, mtime_ns):
        self._called("set_mtime")
        self._fds[fd][0].mtime_ns = mtime_ns

    def listxattr(self, fd):
        self._called("listxattr")
        return list(self._fds[fd][0].xattrs)

    def getxattr(self, fd, name):
        self._called("getxattr")
        return self._fds[fd][0].xattrs[name]

    def setxattr(self, fd, name, value):
        self._called("setxattr")
        self._fds[fd][0].xattrs[name] = value

    def removexattr(self, fd, name):
        self._called("removexattr")
        del self._fds[fd][0].xattrs[name]

    def rename(self, old, new, folder=None):
        self._called("rename")
        parent, old = self._parent(old, folder)
        other, new = self._parent(new, folder)
        assert other is parent, "the model renames within a folder only"
        self._require(parent, old)
        if new in parent.names:
            parent.names[new].links -= 1
        names = dict(parent.names)
        names[new] = names.pop(old)
        self._change(parent, names)

    def exchange(self, one, other, folder):
        self._called("exchange")
        parent = self._fds[folder][0]
        self._require(parent, one)
        self._require(parent, other)
        self._change(parent, {**parent.names, one: parent.names[other], other: parent.names[one]})

    def move(self, old, new, folder):
        self._called("move")
        parent = self._fds[folder][0]
        self._require(parent, old)
        if new in parent.names:
            raise _error(errno.EEXIST)
        names = dict(parent.names)
        names[new] = names.pop(old)
        self._change(parent, names)

    def link(self, old, new, folder):
        self._called("link")
        parent = self._fds[folder][0]
        self._require(parent, old)
        if new in parent.names:
            raise _error(errno.EEXIST)
        parent.names[old].links += 1
        self._change(parent, {**parent.names, new: parent.names[old]})

    def unlink(self, name, folder=None):
        self._called("unlink")
        parent, name = self._parent(name, folder)
        self._require(parent, name)
        if parent.names[name].is_folder:
            raise _error(errno.EISDIR)
        parent.names[name].links -= 1
        self._change(parent, {key: node for key, node in parent.names.items() if key != name})

    def mkdir(self, name, mode):
        self._called("mkdir")
        parent, name = self._parent(name, None)
        if name in parent.names:
            raise _error(errno.EEXIST)
        self._change(parent, {**parent.names, name: Node(self._number(), stat.S_IFDIR | mode)})

    def rmdir(self, name):
        self._called("rmdir")
        parent, name = self._parent(name, None)
        self._require(parent, name)
        if parent.names[name].names:
            raise _error(errno.ENOTEMPTY)
        self._change(parent, {key: node for key, node in parent.names.items() if key != name})

    def listdir(self, name):
        self._called("listdir")
        return list(self._at(name, None).names)

    def lease(self, fd):
        return True

    def wall_s(self):
        return self._now_ns / 1e9

    monotonic_s = wall_s

    def pause(self, seconds):
        self._now_ns += int(seconds * 1e9)

    # -- how ------------------------------------------------------------------------------------------------------------------------

    def _called(self, name):
        self._now_ns += 10_000
        if self.watch:
            self.watch(name)

    def _number(self):
        self._last_number += 1
        return self._last_number

    def _touch(self, node):
        node.mtime_ns = node.ctime_ns = self._now_ns

    def _change(self, parent, names):
        parent.names = names
        parent.pending = [*parent.pending, dict(names)]

    def _descriptor(self, node):
        self._next_fd += 1
        self._fds[self._next_fd] = [node, 0]
        return self._next_fd

    def _walk(self, path, folder):
        node = self.root if path.startswith("/") else self._fds[folder][0]
        for part in path.split("/"):
            if part in ("", "."):
                continue
            self._require(node, part)
            node = node.names[part]
        return node

    def _parent(self, path, folder):
        above, _, last = path.rpartition("/")
        if not above and not path.startswith("/"):
            return self._fds[folder][0], last
        return self._walk(above or "/", folder), last

    def _at(self, path, folder):
        parent, last = self._parent(path, folder)
        self._require(parent, last)
        return parent.names[last]

    def _require(self, parent, name):
        if name not in parent.names:
            raise _error(errno.ENOENT)

    def _status(self, node):
        return types.SimpleNamespace(
            st_mode=node.mode, st_nlink=node.links, st_uid=node.uid, st_gid=node.gid, st_size=len(node.data or b""), st_dev=1,
            st_ino=node.number, st_mtime_ns=node.mtime_ns, st_ctime_ns=node.ctime_ns)


class FallbackModel(WithoutFlags, Model):
    """The model of a file system without renameat2's flags."""


def _error(code):
    return OSError(code, os.strerror(code))
