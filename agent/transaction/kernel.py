"""The one door to the operating system: each method of Kernel is one system call, and `explain` says what its failure means.

Every other module of this room is handed a Kernel, so that a test can fail, kill or watch the n-th call without patching anything.
Deliberately knows no order of calls: that is what replace.py and journal.py are about.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import signal
import time

from agent import errors

AT_FDCWD = -100
RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
F_SETSIG = 10  # <fcntl.h>, x86 and ARM alike; the fcntl module only has it since Python 3.13

# os.rename knows no flags. glibc has renameat2 since 2.28 (Debian 10), musl since 1.2.6; without it the file systems' fallback serves.
_renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)

# What a file system (or a sandbox) answers that has no RENAME_EXCHANGE or RENAME_NOREPLACE: NFS, FUSE, some network mounts.
LACKING = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


class Kernel:
    """System calls by their own names; `folder` is the file descriptor of the directory that a relative name starts from."""

    def open(self, name, flags, mode=0o600, folder=None):
        return os.open(name, flags | os.O_CLOEXEC, mode, dir_fd=folder)

    def close(self, fd):
        os.close(fd)

    def read(self, fd, size):
        return os.read(fd, size)

    def write(self, fd, data):
        return os.write(fd, data)

    def fsync(self, fd):
        os.fsync(fd)

    def fstat(self, fd):
        return os.fstat(fd)

    def lstat(self, name, folder=None):
        return os.stat(name, dir_fd=folder, follow_symlinks=False)

    def readlink(self, name):
        return os.readlink(name)

    def fchown(self, fd, uid, gid):
        os.fchown(fd, uid, gid)

    def fchmod(self, fd, mode):
        os.fchmod(fd, mode)

    def set_mtime(self, fd, mtime_ns):
        os.utime(fd, ns=(mtime_ns, mtime_ns))

    def listxattr(self, fd):
        return os.listxattr(fd)

    def getxattr(self, fd, name):
        return os.getxattr(fd, name)

    def setxattr(self, fd, name, value):
        os.setxattr(fd, name, value)

    def removexattr(self, fd, name):
        os.removexattr(fd, name)

    def rename(self, old, new, folder=None):
        os.rename(old, new, src_dir_fd=folder, dst_dir_fd=folder)

    def exchange(self, one, other, folder):
        """Swap two names in one step; both must exist."""
        _rename_with(RENAME_EXCHANGE, one, other, folder)

    def move(self, old, new, folder):
        """Rename, but never over something."""
        _rename_with(RENAME_NOREPLACE, old, new, folder)

    def link(self, old, new, folder):
        os.link(old, new, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)

    def unlink(self, name, folder=None):
        os.unlink(name, dir_fd=folder)

    def mkdir(self, name, mode):
        os.mkdir(name, mode)

    def rmdir(self, name):
        os.rmdir(name)

    def listdir(self, name):
        return os.listdir(name)

    def flock(self, fd):
        """Take the exclusive lock or raise BlockingIOError at once."""
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def lease(self, fd):
        """Given a file open for reading, return True if nobody has it open for writing, and make writers wait until `fd` is closed.

        Returns: bool; False if somebody has it open for writing; None if this kernel, file system or user can't tell (a lease wants
            the file's owner or CAP_LEASE)
        """
        try:
            # A waiting writer makes the kernel signal the holder; the default signal, SIGIO, would kill us, SIGURG is ignored. The
            # kernel forgets the choice with each lease, so it is made anew, on a descriptor used for one lease only.
            fcntl.fcntl(fd, F_SETSIG, int(signal.SIGURG))
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except BlockingIOError:
            return False
        except OSError:
            return None
        return True

    def wall_s(self):
        return time.time()

    def monotonic_s(self):
        return time.monotonic()

    def pause(self, seconds):
        time.sleep(seconds)


def _rename_with(flag, old, new, folder):
    if _renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    base = AT_FDCWD if folder is None else folder
    if _renameat2(base, os.fsencode(old), base, os.fsencode(new), flag) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), os.fspath(old), None, os.fspath(new))


@contextlib.contextmanager
def opened(kernel, name, flags, mode=0o600, folder=None):
    """Given what `Kernel.open` takes, yield the descriptor and close it whatever happens."""
    fd = kernel.open(name, flags, mode, folder)
    try:
        yield fd
    finally:
        kernel.close(fd)


def read_all(kernel, fd):
    """Given an open file, return all its bytes from here to the end."""
    pieces = []
    while piece := kernel.read(fd, 1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


def write_all(kernel, fd, data):
    """Given bytes, write every one of them: a single write may be cut short by a filling disk or a signal."""
    rest = memoryview(data)
    while rest:
        rest = rest[kernel.write(fd, rest):]


def explain(error, doing, path):
    """Given an OSError, return the Fault that says to a person what couldn't be done to which file, and why."""
    families = {
        errno.ENOSPC: (errors.NoSpace, "no space left on its disk"),
        errno.EDQUOT: (errors.NoSpace, "the quota of its owner is used up"),
        errno.EROFS: (errors.Unavailable, "its file system is read-only"),
        errno.EPERM: (errors.Forbidden, "the system doesn't permit it (an immutable file, or a right that is missing)"),
        errno.EACCES: (errors.Forbidden, "permission denied"),
        errno.EBUSY: (errors.Forbidden, "it is a mount point of its own (a bind-mounted file can't be replaced)"),
        errno.EXDEV: (errors.Forbidden, "it is mounted from elsewhere, apart from its folder"),
        errno.ENOENT: (errors.NotFound, "it, or its folder, doesn't exist"),
    }
    family, reason = families.get(error.errno, (errors.Unavailable, os.strerror(error.errno or errno.EIO)))
    return family(f"cannot {doing}: {reason}", where=path)


@contextlib.contextmanager
def explained(doing, path):
    """Given what is being done and to which file, turn an OSError of the block into its Fault."""
    try:
        yield
    except OSError as error:
        raise explain(error, doing, path) from error
