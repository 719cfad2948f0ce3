"""What a replaced file keeps, what can't be replaced, and who else may write at the same moment."""

import contextlib
import errno
import itertools
import os
import shutil
import subprocess
import time

import pytest

from agent import errors
from agent.transaction import ChangedMeanwhile, EditedSince, Journal, Kernel, Places, read
from tests.transaction.kernels import Fallback, WithoutFlags

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="SKIPPED, NOT TESTED: needs root (owners, mounts, immutable files)")
OLD, NEW = b"[default]\n100 => 1\n", b"[default]\n100 => 2\n"


@pytest.fixture
def etc(tmp_path):
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "a.conf").write_bytes(OLD)
    os.utime(folder / "a.conf", (1, 1))  # settled: nothing waits
    return folder


class Box:
    """A journal over one folder, and one write through it."""

    def __init__(self, etc, kernel=None):
        self.places = Places([etc], kernel)
        self.journal = Journal(etc.parent / "journal", self.places)

    def write(self, path, data=NEW, *, keep=True, mode=0o640, before_apply=lambda: None, before_keep=lambda: None):
        reading = read(path, self.places)
        with self.journal.begin("a test", {"name": "ada"}) as change:
            change.replace(reading, data, mode)
            before_apply()
            change.apply()
            before_keep()
            if keep:
                change.keep()


def names(folder):
    return sorted(os.listdir(folder))


def refused(etc, family, match, path="a.conf"):
    before = (etc / path).stat()
    with pytest.raises(family, match=match):
        Box(etc).write(etc / path)
    after = (etc / path).stat()
    assert (etc / path).read_bytes() == OLD and (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert not [name for name in names(etc) if name.startswith(".")]
    assert names(etc.parent / "journal") == []


# -- what is kept -----------------------------------------------------------------------------------------------------------------------

def xattrs(path):
    return {name: os.getxattr(path, name) for name in os.listxattr(path)}


@ROOT
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444, 0o6755])
@pytest.mark.parametrize("owner", [(0, 0), (1234, 0), (1234, 4321)])
@pytest.mark.parametrize("acl", [None, "u:99:r,g:98:rw", "u:99:-"])
def test_owner_group_mode_acl_and_attributes_are_kept_but_not_setuid(etc, mode, owner, acl):
    path = etc / "a.conf"
    os.chown(path, *owner)
    os.chmod(path, mode)
    if acl:
        subprocess.run(["setfacl", "-m", acl, path], check=True)
    os.setxattr(path, "user.note", b"by hand")
    os.setxattr(path, "trusted.note", b"\0\xff")
    before, attributes = path.stat(), xattrs(path)
    Box(etc).write(path)
    after = path.stat()
    assert path.read_bytes() == NEW and after.st_ino != before.st_ino
    assert (after.st_uid, after.st_gid, after.st_mode & 0o777) == (*owner, before.st_mode & 0o777)
    assert not after.st_mode & 0o6000 and xattrs(path) == attributes


@ROOT
def test_the_folders_default_acl_gives_nobody_a_right_that_the_old_file_did_not(etc):
    subprocess.run(["setfacl", "-d", "-m", "u:99:rwx", etc], check=True)
    os.chmod(etc / "a.conf", 0o640)
    Box(etc).write(etc / "a.conf")
    assert xattrs(etc / "a.conf") == {} and (etc / "a.conf").stat().st_mode & 0o777 == 0o640


@ROOT
def test_a_new_file_gets_its_folders_owner_and_the_mode_that_was_asked_for(etc):
    os.chown(etc, 1234, 4321)
    box = Box(etc)
    box.write(etc / "b.conf")
    box.write(etc / "c.conf", mode=0o600)
    found = [(each.st_uid, each.st_gid, each.st_mode & 0o7777) for each in ((etc / "b.conf").stat(), (etc / "c.conf").stat())]
    assert found == [(1234, 4321, 0o640), (1234, 4321, 0o600)]


class Timid(Kernel):
    """Without the right to give files away or to label them."""

    def fchown(self, fd, uid, gid):
        raise PermissionError(errno.EPERM, "not permitted")

    def setxattr(self, fd, name, value):
        raise PermissionError(errno.EPERM, "not permitted")


@ROOT
def test_an_owner_or_attribute_that_cannot_be_kept_is_a_refusal(etc):
    os.chown(etc / "a.conf", 1234, 1234)
    with pytest.raises(errors.Forbidden, match="owner 1234:1234 couldn't be kept"):
        Box(etc, Timid()).write(etc / "a.conf")
    os.chown(etc / "a.conf", 0, 0)
    os.setxattr(etc / "a.conf", "user.note", b"x")
    with pytest.raises(errors.Forbidden, match="attribute user.note couldn't be kept"):
        Box(etc, Timid()).write(etc / "a.conf")
    assert (etc / "a.conf").read_bytes() == OLD and names(etc) == ["a.conf"]


def test_the_candidate_is_private_until_its_rights_are_set_and_no_pattern_of_asterisk_matches_it(etc):
    class Watching(Kernel):
        seen = []

        def write(self, fd, data):
            self.seen.extend((name, (etc / name).stat().st_mode & 0o777) for name in names(etc) if name != "a.conf")
            return super().write(fd, data)

    os.chmod(etc / "a.conf", 0o666)
    Box(etc, Watching()).write(etc / "a.conf")
    assert Watching.seen
    for name, mode in Watching.seen:
        assert name.startswith(".") and not name.endswith(".conf") and mode == 0o600


def test_the_new_file_never_carries_the_old_ones_time_not_even_within_one_tick(etc):
    class Frozen(Kernel):
        """A clock with one tick: every file is written at the same nanosecond."""

        def write(self, fd, data):
            done = super().write(fd, data)
            os.utime(fd, ns=(10**18, 10**18))
            return done

    os.utime(etc / "a.conf", ns=(10**18, 10**18))
    Box(etc, Frozen()).write(etc / "a.conf")
    assert (etc / "a.conf").stat().st_mtime_ns != 10**18


@pytest.mark.parametrize("kernel", [Kernel, Fallback])
def test_undo_gives_back_the_very_file(etc, kernel):
    before = (etc / "a.conf").stat()
    (etc / "gone.conf").write_bytes(b"x\n")
    box = Box(etc, kernel())
    with box.journal.begin("three kinds", {}) as change:
        for name, data in (("a.conf", NEW), ("new.conf", NEW), ("gone.conf", None)):
            change.replace(read(etc / name, box.places), data)
        change.apply()
        assert [name for name in names(etc) if not name.startswith(".")] == ["a.conf", "new.conf"]
        change.undo()
    after = (etc / "a.conf").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert names(etc) == ["a.conf", "gone.conf"] and (etc / "gone.conf").read_bytes() == b"x\n"


def test_identical_bytes_write_nothing_at_all(etc):
    before = (etc / "a.conf").stat()
    box = Box(etc)
    box.write(etc / "a.conf", OLD)
    after = (etc / "a.conf").stat()
    assert (before.st_ino, before.st_mtime_ns, before.st_ctime_ns) == (after.st_ino, after.st_mtime_ns, after.st_ctime_ns)
    assert box.journal.records() == [] and not (etc.parent / "journal").exists()


# -- what can't be replaced -------------------------------------------------------------------------------------------------------------

def test_a_linked_file_is_replaced_at_its_target_and_the_link_stays(etc):
    (etc / "sub").mkdir()
    (etc / "a.conf").rename(etc / "sub" / "a.conf")
    (etc / "a.conf").symlink_to("sub/a.conf")
    Box(etc).write(etc / "a.conf")
    assert os.readlink(etc / "a.conf") == "sub/a.conf" and (etc / "sub" / "a.conf").read_bytes() == NEW
    assert names(etc / "sub") == ["a.conf"]


def test_a_file_with_two_names_is_refused(etc):
    os.link(etc / "a.conf", etc / "b.conf")
    refused(etc, errors.Forbidden, "hard link")


@contextlib.contextmanager
def mounted(*command):
    """Run mount with these arguments, or skip loudly; unmount at the end."""
    if subprocess.run(["mount", *map(str, command)], capture_output=True).returncode != 0:
        pytest.skip("SKIPPED, NOT TESTED: mounting isn't allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(command[-1])], check=True)


@ROOT
def test_a_bind_mounted_file_is_refused(etc, tmp_path):
    (tmp_path / "elsewhere").write_bytes(OLD)
    with mounted("--bind", tmp_path / "elsewhere", etc / "a.conf"):
        refused(etc, errors.Forbidden, "mount")


@ROOT
def test_a_read_only_file_system_is_refused(etc):
    with mounted("--bind", "-o", "ro", etc, etc):
        refused(etc, errors.Unavailable, "read-only")


@ROOT
def test_an_immutable_file_is_refused(etc):
    if subprocess.run(["chattr", "+i", str(etc / "a.conf")], capture_output=True).returncode != 0:
        pytest.skip("SKIPPED, NOT TESTED: this file system has no immutable files")
    try:
        refused(etc, errors.Forbidden, "immutable")
    finally:
        subprocess.run(["chattr", "-i", str(etc / "a.conf")], check=True)


@ROOT
def test_a_full_disk_is_no_space_and_every_byte_stays(tmp_path):
    """Every size of what is left free, from nothing to just enough; journal and file on the same disk, then apart."""
    full = tmp_path / "full"
    full.mkdir()
    refusals = 0
    with mounted("-t", "tmpfs", "-o", "size=256k", "none", full):
        etc = full / "etc"
        etc.mkdir()
        (etc / "a.conf").write_bytes(OLD * 200)
        for free_pages, apart in itertools.product(range(8), (False, True)):
            shutil.rmtree(full / "journal", ignore_errors=True)
            _leave(full / "ballast", free_pages)
            box = Box(etc)
            box.journal = Journal((tmp_path if apart else full) / "journal", box.places)
            before = (etc / "a.conf").read_bytes()
            try:
                box.write(etc / "a.conf", before + b";%d\n" % free_pages)
            except errors.NoSpace:
                refusals += 1
                assert (etc / "a.conf").read_bytes() == before
            else:
                assert (etc / "a.conf").read_bytes() != before
            assert names(etc) == ["a.conf"]
    print(f"\nfull disk: {refusals} refusals of 16, every file byte-identical")
    assert 3 < refusals < 16


def _leave(ballast, pages):
    """Fill the disk but for so many pages of 4 KiB."""
    with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    os.truncate(ballast, os.stat(ballast).st_size - pages * 4096)


# -- who else writes --------------------------------------------------------------------------------------------------------------------

THEIRS = b"[default]\n100 => 1\n101 => by hand\n"


def by_rename(path, data=THEIRS):
    """An editor that writes beside and renames, such as emacs or sed -i."""
    (path.parent / "other.tmp").write_bytes(data)
    os.rename(path.parent / "other.tmp", path)


def by_vim(path, data=THEIRS):
    path.rename(f"{path}~")
    path.write_bytes(data)
    os.unlink(f"{path}~")


def in_place(path, data=THEIRS):
    """app_voicemail, UpdateConfig, an editor with backupcopy=yes: truncate and append."""
    with open(path, "wb", buffering=0) as file:
        for line in data.splitlines(keepends=True):
            file.write(line)


def by_sed(path):
    subprocess.run(["sed", "-i", "$a 101 => by hand", str(path)], check=True)


WRITERS = [by_rename, by_vim, in_place, by_sed]


class At(Kernel):
    """Does something right before the n-th swap: after all checks, at the last moment anybody can come in between."""

    def __init__(self, act, turn=1):
        self.act, self.turn, self.turns = act, turn, 0

    def exchange(self, one, other, folder):
        self.turns += 1
        if self.turns == self.turn:
            self.act()
        super().exchange(one, other, folder)


class AtFallback(WithoutFlags, At):
    """The same where there is no exchange: the last moment is before the old file's second name is made."""

    def link(self, old, new, folder):
        self.turns += 1
        if self.turns == self.turn:
            self.act()
        Kernel.link(self, old, new, folder)


@pytest.mark.parametrize("kernel", [At, AtFallback])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_writer_between_read_and_swap_keeps_its_text_and_we_are_told(etc, writer, kernel):
    path = etc / "a.conf"
    box = Box(etc, kernel(lambda: writer(path)))
    with pytest.raises(ChangedMeanwhile):
        box.write(path)
    assert path.read_bytes() == THEIRS and names(etc) == ["a.conf"] and box.journal.records() == []
    box.write(path, read(path, box.places).data + b"102 => ours\n")
    assert path.read_bytes() == THEIRS + b"102 => ours\n"


@pytest.mark.parametrize("writer", WRITERS)
def test_a_writer_before_apply_is_noticed_before_anything_moves(etc, writer):
    path = etc / "a.conf"
    with pytest.raises(ChangedMeanwhile):
        Box(etc).write(path, before_apply=lambda: writer(path))
    assert path.read_bytes() == THEIRS and names(etc) == ["a.conf"]


def test_a_file_that_appears_where_a_new_one_was_to_be_is_not_overwritten(etc):
    class Appearing(Kernel):
        def move(self, old, new, folder):
            if new == "b.conf":
                (etc / "b.conf").write_bytes(THEIRS)
            super().move(old, new, folder)

    with pytest.raises(ChangedMeanwhile):
        Box(etc, Appearing()).write(etc / "b.conf")
    assert (etc / "b.conf").read_bytes() == THEIRS and names(etc) == ["a.conf", "b.conf"]


def test_a_file_replaced_by_a_link_or_removed_meanwhile_is_left_so(etc):
    path = etc / "a.conf"

    def link():
        path.unlink()
        path.symlink_to("b.conf")

    with pytest.raises(ChangedMeanwhile):
        Box(etc, At(link)).write(path)
    assert os.readlink(path) == "b.conf" and names(etc) == ["a.conf"]
    path.unlink()
    path.write_bytes(OLD)
    with pytest.raises(ChangedMeanwhile):
        Box(etc, At(path.unlink)).write(path)
    assert names(etc) == []


def test_a_program_that_had_the_file_open_and_writes_after_the_swap_is_noticed_at_keep(etc):
    """app_voicemail between its read and its write; its text goes to the old file, which is ours to look after."""
    path = etc / "a.conf"
    old = os.open(path, os.O_RDONLY)

    def write_late():
        with open(f"/proc/self/fd/{old}", "wb") as file:
            file.write(THEIRS)

    with pytest.raises(ChangedMeanwhile):
        Box(etc).write(path, before_keep=write_late)
    os.close(old)
    assert path.read_bytes() == THEIRS and names(etc) == ["a.conf"]


def test_a_program_in_the_middle_of_writing_at_the_swap_is_waited_for(etc):
    path = etc / "a.conf"
    opened = []

    def start():
        opened.append(open(path, "r+b", buffering=0))

    class Slow(At):
        def pause(self, seconds):
            if opened and not opened[0].closed:
                opened[0].write(THEIRS)
                opened[0].close()

    with pytest.raises(ChangedMeanwhile):
        Box(etc, Slow(start)).write(path)
    assert path.read_bytes() == THEIRS and names(etc) == ["a.conf"]


@pytest.mark.parametrize("turn", [0, 1], ids=["before we read", "at the swap"])
def test_a_file_held_open_for_writing_forever_is_refused_in_bounded_time(etc, turn):
    path, opened = etc / "a.conf", []

    class Skipping(At):
        skipped = 0.0

        def monotonic_s(self):
            return super().monotonic_s() + self.skipped

        def pause(self, seconds):
            self.skipped += seconds

    os.utime(path, (1, 1))
    if turn == 0:
        opened.append(open(path, "r+b"))
    with pytest.raises(ChangedMeanwhile):
        Box(etc, Skipping(lambda: opened.append(open(path, "r+b")), turn)).write(path)
    opened.pop().close()
    assert path.read_bytes() == OLD and names(etc) == ["a.conf"]


@pytest.mark.parametrize("writer", WRITERS)
def test_undo_leaves_the_text_of_somebody_who_edited_after_us_and_undoes_the_rest(etc, writer):
    path, other = etc / "a.conf", etc / "b.conf"
    other.write_bytes(b"old\n")
    box = Box(etc)
    with pytest.raises(EditedSince) as caught:
        with box.journal.begin("two", {}) as change:
            change.replace(read(path, box.places), NEW)
            change.replace(read(other, box.places), b"new\n")
            change.apply()
            writer(path)
            change.undo()
    left = path.read_bytes()
    assert b"101 => by hand\n" in left and caught.value.paths == [str(path)] and isinstance(caught.value, errors.Conflict)
    assert other.read_bytes() == b"old\n" and names(etc) == ["a.conf", "b.conf"]
    record = box.journal.records()[0]
    assert (record.state, record.before(path), record.after(path)) == ("undone", OLD, NEW)


def test_of_two_others_at_once_the_later_stays_and_the_earlier_is_saved_in_the_record(etc):
    """The first writes before our swap, so its text comes out; the second replaces the file before that can go back."""
    path = etc / "a.conf"

    class Busy(Kernel):
        turns = 0

        def exchange(self, one, other, folder):
            self.turns += 1
            by_rename(path, b"%d\n" % self.turns)
            super().exchange(one, other, folder)

    box = Box(etc, Busy())
    with pytest.raises(EditedSince):
        box.write(path)
    record = box.journal.records()[0]
    texts = {path.read_bytes(), *(each.read_bytes() for each in (etc.parent / "journal").glob("*/theirs/*"))}
    assert record.state == "undone" and names(etc) == ["a.conf"] and len(texts) >= 2, texts


def test_one_small_write_is_quick(etc):
    box, path, took = Box(etc), etc / "a.conf", []
    for number in range(30):
        started = time.perf_counter()
        box.write(path, b"%d\n" % number)
        took.append(time.perf_counter() - started)
    print(f"\none write of a small file: median {sorted(took)[15] * 1000:.1f} ms")
    assert sorted(took)[3] < 0.2  # far above what it is; a wait for quiet (50 ms a read) or a fsync too many in a loop would show
