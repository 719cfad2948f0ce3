import os
import random
import signal
import time

import pytest

from agent import errors
from agent.transaction import Journal, Kernel, Lock, Places, read, recover
from tests.transaction.kernels import Death, Failing, Fallback


@pytest.fixture
def etc(tmp_path):
    folder = tmp_path / "etc"
    folder.mkdir()
    for name in ("a.conf", "b.conf"):
        (folder / name).write_bytes(b"old\n")
        os.utime(folder / name, (1, 1))  # settled: nothing waits
    return folder


def journal_of(etc, kernel=None):
    return Journal(etc.parent / "journal", Places([etc], kernel))


def die_applied(etc, changes):
    """Apply a change and die before it is kept, with everything beside the files still there."""
    journal = journal_of(etc)
    change = journal.begin("broken off", {"name": "ada"})
    for name, data in changes.items():
        change.replace(read(etc / name, journal.places), data)
    change.apply()
    return journal.record(change.number)


def files(etc):
    return {path.name: path.read_bytes() for path in etc.iterdir()}


OLD = {"a.conf": b"old\n", "b.conf": b"old\n"}
CHANGES = {"a.conf": b"new\n", "b.conf": None, "c.conf": b"new\n"}


def test_nothing_to_do_is_an_empty_list(etc):
    assert recover(journal_of(etc)) == [] and not (etc.parent / "journal").exists()


def test_an_unfinished_change_is_undone_and_told(etc):
    before = {name: (etc / name).stat().st_ino for name in OLD}
    die_applied(etc, CHANGES)
    done = recover(journal_of(etc))
    assert files(etc) == OLD and {name: (etc / name).stat().st_ino for name in OLD} == before
    assert [(each.number, each.title, each.state) for each in done] == [(1, "broken off", "undone")]
    assert set(done[0].files.values()) == {"as before"} and f"{etc}/a.conf as before" in str(done[0])
    assert journal_of(etc).record(1).state == "undone" and recover(journal_of(etc)) == []


def test_a_record_half_written_is_no_record_yet(etc):
    new = etc.parent / "journal" / "000001.new"
    (new / "before").mkdir(parents=True)
    (new / "before" / "0-a.conf").write_bytes(b"ol")
    (new / "record.json").write_bytes(b'{"title": "half')
    (etc.parent / "journal" / "000002.gone").mkdir()
    assert recover(journal_of(etc)) == [] and os.listdir(etc.parent / "journal") == [] and files(etc) == OLD


@pytest.mark.parametrize("text", [None, b"", b'{"title": "half'])
def test_an_unfinished_record_that_cannot_be_understood_is_set_aside_and_stops_no_start(etc, text):
    record = die_applied(etc, {"b.conf": b"new\n"})
    name = os.path.join(record.folder, "record.json")
    if text is None:
        os.unlink(name)
    else:
        with open(name, "wb") as file:
            file.write(text)
    done = recover(journal_of(etc))
    assert [each.state for each in done] == ["unreadable"] and "set aside" in str(done[0])
    assert recover(journal_of(etc)) == [] and journal_of(etc).record(1).state == "unreadable"
    assert (etc.parent / "journal" / "000001.unreadable" / "before" / "0-b.conf").read_bytes() == b"old\n"


def test_what_somebody_wrote_after_the_crash_stays_and_the_rest_is_undone(etc):
    die_applied(etc, CHANGES)
    (etc / "a.conf").write_bytes(b"by hand\n")
    (etc / "b.conf").write_bytes(b"by hand\n")
    done = recover(journal_of(etc))
    assert files(etc) == {"a.conf": b"by hand\n", "b.conf": b"by hand\n"}
    assert done[0].files == {f"{etc}/a.conf": "left as somebody edited it since", f"{etc}/b.conf": "left as somebody edited it since",
                             f"{etc}/c.conf": "as before"}


def test_a_new_file_edited_after_the_crash_stays(etc):
    die_applied(etc, {"c.conf": b"new\n"})
    (etc / "c.conf").write_bytes(b"new\nmore\n")
    recover(journal_of(etc))
    assert files(etc) == {**OLD, "c.conf": b"new\nmore\n"}


def test_the_old_file_tidied_away_by_hand_comes_back_from_the_journal(etc):
    record = die_applied(etc, CHANGES)
    for entry in record.files:
        if entry.before:
            (etc / entry.aside).unlink()
    assert set(recover(journal_of(etc))[0].files.values()) == {"as before"}
    assert files(etc) == OLD


def test_what_lies_about_after_a_crash_behind_keep_is_removed(etc):
    class Dying(Kernel):
        def unlink(self, name, folder=None):
            raise Death

    journal = journal_of(etc, Dying())
    with pytest.raises(Death), journal.begin("kept", {}) as change:
        change.replace(read(etc / "a.conf", journal.places), b"new\n")
        change.apply()
        change.keep()
    assert len(files(etc)) == 3
    assert recover(journal_of(etc)) == [] and files(etc) == {**OLD, "a.conf": b"new\n"}


def test_a_text_that_came_out_just_before_the_crash_goes_back_in(etc):
    """Somebody renamed a new file over ours between our read and the swap, and we died before looking."""
    class Dying(Kernel):
        def exchange(self, one, other, folder):
            (etc / "other").write_bytes(b"by hand\n")
            os.rename(etc / "other", etc / "a.conf")
            super().exchange(one, other, folder)
            raise Death

    with pytest.raises(Death):
        journal = journal_of(etc, Failing(Dying(), 0, Death))
        change = journal.begin("broken off", {})
        change.replace(read(etc / "a.conf", journal.places), b"new\n")
        change.apply()
    recover(journal_of(etc))
    assert files(etc) == {**OLD, "a.conf": b"by hand\n"}


def test_without_exchange_a_crash_between_the_two_renames_gives_back_the_very_file(etc):
    class Dying(Fallback):
        def rename(self, old, new, folder=None):
            if old.endswith(".was"):
                raise Death
            super().rename(old, new, folder)

    before = (etc / "a.conf").stat()
    with pytest.raises(Death):
        journal = journal_of(etc, Failing(Dying(), 0, Death))
        change = journal.begin("broken off", {})
        change.replace(read(etc / "a.conf", journal.places), b"new\n")
        change.apply()
    assert (etc / "a.conf").read_bytes() == b"new\n"
    recover(journal_of(etc, Fallback()))
    after = (etc / "a.conf").stat()
    assert files(etc) == OLD and (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_later_record_of_the_same_file_is_not_destroyed_by_an_older_one_left_open(etc):
    """The journal couldn't note that 1 was undone; the same edit then came again, as 2, and was promised."""
    record = die_applied(etc, {"a.conf": b"new\n"})
    os.rename(etc / record.files[0].aside, etc / "a.conf")
    journal = journal_of(etc)
    with journal.begin("again", {}) as change:
        change.replace(read(etc / "a.conf", journal.places), b"new\n")
        change.apply()
        change.keep()
    done = recover(journal_of(etc))
    assert (etc / "a.conf").read_bytes() == b"new\n" and list(done[0].files.values()) == ["left as a later record made it"]


def test_a_folder_that_is_gone_blocks_no_start(etc):
    (etc / "d").mkdir()
    (etc / "d" / "a.conf").write_bytes(b"old\n")
    die_applied(etc, {"d/a.conf": b"new\n", "a.conf": b"new\n"})
    for path in (etc / "d").iterdir():
        path.unlink()
    (etc / "d").rmdir()
    done = recover(journal_of(etc))
    assert files(etc) == OLD and done[0].files[f"{etc}/d/a.conf"] == "its folder is gone"


def test_what_cannot_be_put_back_is_damaged_after_all_else_is_done_and_tried_again(etc):
    class Broken(Kernel):
        def exchange(self, one, other, folder):
            if one == "a.conf":
                raise OSError(5, "broken")
            super().exchange(one, other, folder)

    die_applied(etc, {"a.conf": b"new\n", "b.conf": b"new\n"})
    with pytest.raises(errors.Damaged, match="a.conf couldn't be put back .*before/0-a.conf"):
        recover(journal_of(etc, Broken()))
    assert files(etc)["b.conf"] == b"old\n" and files(etc)["a.conf"] == b"new\n"
    recover(journal_of(etc))
    assert files(etc) == OLD


def count(etc, report, times):
    """Raise the number in both files together, and report each one that was promised."""
    places = Places([etc])
    journal, lock = Journal(etc.parent / "journal", places, records=5), Lock(etc.parent / "lock")
    os.write(report, b"ready\n")
    for _ in range(times):
        with lock.hold(), journal.begin("count", {}) as change:
            for name in ("a.conf", "b.conf"):
                reading = read(etc / name, places)
                change.replace(reading, b"%d\n" % (int(reading.data) + 1))
            change.apply()
            change.keep()
        os.write(report, reading.data)


def killed(etc, after_s):
    """Let a child count, kill it, and return the last number that it promised."""
    for path in etc.iterdir():
        os.utime(path, (1, 1))  # settled: the child shall write at once
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            count(etc, theirs, 10**6)
        finally:
            os._exit(1)
    os.close(theirs)
    with os.fdopen(ours, "rb") as file:
        file.readline()
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        told = file.read().split()
    assert os.WIFSIGNALED(status), "it ended by itself"
    return int(told[-1]) + 1 if told else 0


def test_a_hundred_real_kills_damage_nothing_and_lose_no_promise(etc):
    dice, highest, undone = random.Random(4), 5, 0
    for name in OLD:
        (etc / name).write_bytes(b"0\n")
        os.utime(etc / name, (1, 1))
    started, nowhere = time.monotonic(), os.open(os.devnull, os.O_WRONLY)
    count(etc, nowhere, highest)
    os.close(nowhere)
    longest_s = (time.monotonic() - started) / 2  # some two changes, however fast this disk is
    for _ in range(100):
        promised = max(highest, killed(etc, dice.uniform(0, min(longest_s, 0.2))))
        with Lock(etc.parent / "lock").hold():
            undone += len(recover(journal_of(etc)))
            assert recover(journal_of(etc)) == []
        found = files(etc)
        assert set(found) == {"a.conf", "b.conf"} and found["a.conf"] == found["b.conf"], found
        highest = int(found["a.conf"])
        assert promised <= highest <= promised + 1
    print(f"\n100 kills: {highest} changes stand, {undone} broken off and undone, 0 files damaged, 0 promises broken")
    assert highest > 20 and undone > 3
