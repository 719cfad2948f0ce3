import errno
import hashlib
import json
import os

import pytest

from agent import errors
from agent.transaction import ChangedMeanwhile, Journal, Kernel, Places, read


@pytest.fixture
def etc(tmp_path):
    folder = tmp_path / "etc"
    folder.mkdir()
    for name, data in (("a.conf", b"a0\n"), ("b.conf", b"b0\n")):
        (folder / name).write_bytes(data)
        os.utime(folder / name, (1, 1))  # settled: nothing waits
    return folder


def journal_of(etc, kernel=None, **limits):
    return Journal(etc.parent / "journal", Places([etc], kernel), **limits)


def write(journal, etc, data, *, name="a.conf", notes=None, title="a title"):
    with journal.begin(title, {"name": "ada", "address": "192.0.2.1"}) as change:
        change.replace(read(etc / name, journal.places), data)
        change.apply()
        change.keep(notes)
    return change


def files(etc):
    return {path.name: path.read_bytes() for path in etc.iterdir()}


# -- a change ---------------------------------------------------------------------------------------------------------------------------

def test_leaving_the_block_without_keep_undoes_also_when_it_raised(etc):
    journal, before = journal_of(etc), files(etc)
    with journal.begin("no keep", {}) as change:
        change.replace(read(etc / "a.conf", journal.places), b"a1\n")
        change.apply()
        assert files(etc)["a.conf"] == b"a1\n" and change.state == "applied"
    assert files(etc) == before and change.state == "undone"
    with pytest.raises(KeyboardInterrupt):
        with journal.begin("raised", {}) as change:
            change.replace(read(etc / "a.conf", journal.places), b"a1\n")
            change.apply()
            raise KeyboardInterrupt
    assert files(etc) == before and [record.state for record in journal.records()] == ["undone", "undone"]


def test_staging_alone_touches_nothing(etc):
    journal, before = journal_of(etc), files(etc)
    with journal.begin("staged", {}) as change:
        change.replace(read(etc / "a.conf", journal.places), b"a1\n")
    assert files(etc) == before and journal.records() == [] and change.number is None


def test_a_file_staged_twice_gets_the_last_bytes_and_back_to_the_first_is_nothing(etc):
    journal = journal_of(etc)
    with journal.begin("twice", {}) as change:
        reading = read(etc / "a.conf", journal.places)
        for data in (b"a1\n", b"a2\n"):
            change.replace(reading, data)
        other = read(etc / "b.conf", journal.places)
        change.replace(other, b"b1\n")
        change.replace(other, b"b0\n")
        change.apply()
        change.keep()
    assert files(etc) == {"a.conf": b"a2\n", "b.conf": b"b0\n"} and journal.record(1).paths == [str(etc / "a.conf")]


def test_two_different_readings_of_one_file_cannot_be_mixed_even_by_way_of_a_link(etc):
    journal = journal_of(etc)
    (etc / "link.conf").symlink_to("a.conf")
    with journal.begin("mixed", {}) as change:
        change.replace(read(etc / "a.conf", journal.places), b"a1\n")
        (etc / "a.conf").write_bytes(b"by hand\n")
        with pytest.raises(ChangedMeanwhile):
            change.replace(read(etc / "link.conf", journal.places), b"a2\n")


def test_a_change_in_the_wrong_order_is_a_bug_and_says_so(etc):
    journal = journal_of(etc)
    with journal.begin("order", {}) as change:
        with pytest.raises(RuntimeError):
            change.keep()
        with pytest.raises(RuntimeError):
            change.undo()
        change.replace(read(etc / "a.conf", journal.places), b"a1\n")
        change.apply()
        with pytest.raises(RuntimeError):
            change.apply()
        with pytest.raises(RuntimeError):
            change.replace(read(etc / "b.conf", journal.places), b"b1\n")
        change.keep()
        with pytest.raises(RuntimeError):
            change.undo()
    assert files(etc) == {"a.conf": b"a1\n", "b.conf": b"b0\n"}


def test_a_change_that_could_not_be_applied_leaves_no_history(etc):
    journal = journal_of(etc)
    with pytest.raises(ChangedMeanwhile):
        with journal.begin("late", {}) as change:
            change.replace(read(etc / "a.conf", journal.places), b"a1\n")
            change.replace(read(etc / "b.conf", journal.places), b"b1\n")
            (etc / "b.conf").write_bytes(b"by hand\n")
            change.apply()
    assert files(etc) == {"a.conf": b"a0\n", "b.conf": b"by hand\n"} and os.listdir(journal.folder) == []
    assert change.number is None and write(journal, etc, b"a1\n").number == 1


def test_a_keep_that_cannot_be_noted_is_undone_as_a_whole(etc):
    class Full(Kernel):
        """No room any more, once the files have been swapped."""

        swapped = False

        def exchange(self, one, other, folder):
            super().exchange(one, other, folder)
            self.swapped = True

        def write(self, fd, data):
            if self.swapped:
                raise OSError(errno.ENOSPC, "full")
            return super().write(fd, data)

    journal, before = journal_of(etc, Full()), files(etc)
    with pytest.raises(errors.NoSpace):
        write(journal, etc, b"a1\n", notes={"reload": "done"})
    assert files(etc) == before and [record.state for record in journal.records()] == ["undone"]


def test_a_keep_that_is_not_durable_is_undone_and_the_history_says_so(etc):
    class Forgetful(Kernel):
        """The one fsync fails that would make the record's last name durable."""

        def rename(self, old, new, folder=None):
            super().rename(old, new, folder)
            self.due = new.endswith("000001")

        def fsync(self, fd):
            if getattr(self, "due", False):
                self.due = False
                raise OSError(errno.EIO, "broken")
            super().fsync(fd)

    journal, before = journal_of(etc, Forgetful()), files(etc)
    with pytest.raises(errors.Unavailable):
        write(journal, etc, b"a1\n")
    assert files(etc) == before and [record.state for record in journal.records()] == ["undone"]


def test_putting_back_that_fails_is_damaged_and_says_where_the_old_bytes_are(etc):
    class Breaking(Kernel):
        turns = 0

        def exchange(self, one, other, folder):
            self.turns += 1
            if self.turns > 1:
                raise OSError(errno.EIO, "broken")
            super().exchange(one, other, folder)

    journal = journal_of(etc, Breaking())
    with pytest.raises(errors.Damaged) as caught:
        with journal.begin("two", {}) as change:
            change.replace(read(etc / "a.conf", journal.places), b"a1\n")
            change.replace(read(etc / "b.conf", journal.places), b"b1\n")
            change.apply()
    kept = caught.value.message.rpartition(" ")[2]
    with open(kept, "rb") as file:
        assert str(etc / "a.conf") in caught.value.message and file.read() == b"a0\n"
    assert change.state == "damaged" and journal.record(1).state == "staged"


# -- the records ------------------------------------------------------------------------------------------------------------------------

def test_a_record_is_plain_private_files_that_cp_can_undo(etc):
    journal = journal_of(etc)
    os.umask(old := os.umask(0))
    try:
        os.umask(0)
        write(journal, etc, b"a1\n", notes={"reload": "done"})
    finally:
        os.umask(old)
    folder = etc.parent / "journal" / "000001"
    assert (folder / "before" / "0-a.conf").read_bytes() == b"a0\n" and (folder / "after" / "0-a.conf").read_bytes() == b"a1\n"
    told = json.loads((folder / "record.json").read_text())
    assert (told["title"], told["who"], told["notes"]) == ("a title", {"name": "ada", "address": "192.0.2.1"}, {"reload": "done"})
    assert told["when"].endswith("Z") and told["files"][0]["before_sha256"] == hashlib.sha256(b"a0\n").hexdigest()
    for path in [folder.parent, *folder.parent.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_records_come_newest_first_with_their_state_and_bytes(etc):
    journal = journal_of(etc)
    write(journal, etc, b"a1\n", title="first")
    write(journal, etc, b"new\n", name="c.conf", title="second")
    write(journal, etc, None, name="c.conf", title="third")
    found = journal.records()
    assert [(each.number, each.state, each.title) for each in found] == [(3, "kept", "third"), (2, "kept", "second"), (1, "kept", "first")]
    assert [(each.before(path), each.after(path)) for each in found for path in each.paths] == [
        (b"new\n", None), (None, b"new\n"), (b"a0\n", b"a1\n")]
    assert journal.record(2) == found[1]
    with pytest.raises(errors.NotFound):
        journal.record(9)
    with pytest.raises(errors.NotFound):
        found[0].before(etc / "a.conf")


def test_an_open_change_is_in_the_history_as_staged(etc):
    journal = journal_of(etc)
    with journal.begin("open", {}) as change:
        change.replace(read(etc / "a.conf", journal.places), b"a1\n")
        change.apply()
        assert [(each.number, each.state) for each in journal_of(etc).records()] == [(change.number, "staged")]
        with pytest.raises(errors.Conflict):
            journal.annotate(change.number, {"x": 1})


def test_notes_are_added_to_a_finished_record_and_last(etc):
    journal = journal_of(etc)
    number = write(journal, etc, b"a1\n", notes={"reload": "pending", "modules": ["app_voicemail"]}).number
    journal.annotate(number, {"reload": "done"})
    assert journal_of(etc).record(number).notes == {"reload": "done", "modules": ["app_voicemail"]}


def test_bytes_changed_in_the_journal_are_not_given_out(etc):
    journal = journal_of(etc)
    write(journal, etc, b"a1\n")
    (etc.parent / "journal" / "000001" / "before" / "0-a.conf").write_bytes(b"other\n")
    with pytest.raises(errors.Damaged):
        journal.record(1).before(etc / "a.conf")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'{"title": "x"}', b"\xff\xfe", b'{"files": [{"path": 1}], "title": 1}'])
def test_a_record_that_cannot_be_understood_hides_no_other(etc, text):
    journal = journal_of(etc)
    write(journal, etc, b"a1\n")
    write(journal, etc, b"a2\n")
    (etc.parent / "journal" / "000001" / "record.json").write_bytes(text)
    assert [(each.number, each.state) for each in journal.records()] == [(2, "kept"), (1, "unreadable")]
    write(journal, etc, b"a3\n")


def test_strangers_in_the_folder_are_left_alone(etc):
    journal = journal_of(etc)
    write(journal, etc, b"a1\n")
    (etc.parent / "journal" / "README").write_text("by hand")
    (etc.parent / "journal" / "7.bak").mkdir()
    assert write(journal, etc, b"a2\n").number == 8  # numbers only grow, whoever used them
    assert [each.number for each in journal.records()] == [8, 1]


def test_names_that_are_no_text_or_very_long_are_kept_apart(etc):
    journal = journal_of(etc)
    odd, long = etc / os.fsdecode(b"caf\xe9.conf"), etc / ("x" * 250 + ".conf")
    for path in (odd, long):
        path.write_bytes(b"0\n")
    with journal.begin("odd", {}) as change:
        for path in (odd, long):
            change.replace(read(path, journal.places), b"1\n")
        change.apply()
        change.keep()
    record = journal_of(etc).record(1)
    assert record.paths == [str(odd), str(long)] and record.before(odd) == b"0\n" and odd.read_bytes() == b"1\n"


def test_two_files_of_the_same_name_do_not_mix(etc):
    (etc / "d").mkdir()
    (etc / "d" / "a.conf").write_bytes(b"d0\n")
    journal = journal_of(etc)
    with journal.begin("same name", {}) as change:
        change.replace(read(etc / "a.conf", journal.places), b"a1\n")
        change.replace(read(etc / "d" / "a.conf", journal.places), b"d1\n")
        change.apply()
        change.keep()
    record = journal.record(1)
    assert (record.before(etc / "a.conf"), record.before(etc / "d" / "a.conf")) == (b"a0\n", b"d0\n")


def test_the_oldest_records_go_by_count_and_numbers_grow_on(etc):
    journal = journal_of(etc, records=3)
    for number in range(6):
        write(journal, etc, b"a%d\n" % (number + 1))
    assert [each.number for each in journal.records()] == [6, 5, 4] and len(os.listdir(journal.folder)) == 3
    assert write(journal_of(etc, records=3), etc, b"x\n").number == 7


def test_the_oldest_records_go_by_size_but_the_newest_stays(etc):
    journal = journal_of(etc, size_bytes=50_000)
    for number in range(4):
        write(journal, etc, b"%d" % number * 10_000)
    assert [each.number for each in journal.records()] == [4, 3]
    write(journal, etc, b"x" * 200_000)
    assert [each.number for each in journal.records()] == [5]


def test_an_unfinished_record_is_never_pruned(etc):
    journal = journal_of(etc, records=1)
    with journal.begin("open", {}) as change:
        change.replace(read(etc / "b.conf", journal.places), b"b1\n")
        change.apply()
        for number in range(3):
            write(journal, etc, b"a%d\n" % (number + 1))
        assert {each.number for each in journal.records()} == {4, 1}
        change.keep()
    assert files(etc)["b.conf"] == b"b1\n"


def test_undoing_three_records_one_after_the_other_gives_byte_identical_files(etc):
    journal, before = journal_of(etc), files(etc)
    for data in (b"a1\n", b"a2", b"\r\n\0\xff"):
        write(journal, etc, data)
    for record in journal.records():
        assert (etc / "a.conf").read_bytes() == record.after(etc / "a.conf")
        write(journal, etc, record.before(etc / "a.conf"), title=f"undo {record.number}")
    assert files(etc) == before
