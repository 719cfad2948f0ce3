"""A file that people edit while we run: taken when it is still, kept when it is broken, never slept for."""

import logging
import os

import pytest

from agent.access.watched import MAX_BYTES, Watched
from agent.errors import Invalid, Unavailable


class Clock:
    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


def parse(data, path):
    if b"bad" in data:
        raise Invalid("bad word", where=path)
    return data.decode()


def watch(path, clock, **more):
    """The file's own times come from the real clock, so `now` stands still long after or right at them, as the test wants."""
    more.setdefault("now", lambda: 0.0)
    return Watched(path, parse, absent="absent", monotonic=clock, **more)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_text("one")
    return path


def test_a_missing_file_is_what_the_caller_says_and_appears_later(tmp_path, clock):
    watched = watch(tmp_path / "file", clock)
    assert watched.value() == "absent"
    (tmp_path / "file").write_text("one")
    watched.value()
    clock.seconds += 1
    assert watched.value() == "one"


def test_a_removed_file_is_absent_at_once(file, clock):
    watched = watch(file, clock)
    file.unlink()
    assert watched.value() == "absent"


def test_a_change_is_taken_only_when_it_has_been_still(file, clock):
    watched = watch(file, clock)
    file.write_text("second")
    assert watched.value() == "one"
    clock.seconds += 0.2
    assert watched.value() == "one"
    clock.seconds += 0.1
    assert watched.value() == "second"


def test_a_file_that_goes_on_changing_isnt_taken(file, clock):
    watched = watch(file, clock)
    for number in range(5):
        file.write_text("x" * (number + 10))
        assert watched.value() == "one"
        clock.seconds += 0.2
    clock.seconds += 0.1
    assert watched.value() == "x" * 14


def test_a_change_old_by_its_own_time_is_taken_at_once(file, clock):
    watched = watch(file, clock, now=lambda: file.stat().st_mtime + 10)
    file.write_text("second")
    assert watched.value() == "second"


def test_a_change_that_keeps_size_and_mtime_is_still_seen(file, clock):
    before = file.stat()
    watched = watch(file, clock, now=lambda: before.st_mtime + 10)
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert watched.value() == "two"


def test_a_file_younger_than_its_times_grain_is_read_once_more(file, clock):
    """Rewritten in the same tick of the clock, nothing but a second reading shows it."""
    parsed = []
    watched = Watched(file, lambda data, path: parsed.append(data) or data, absent=None, monotonic=clock, now=lambda: file.stat().st_mtime)
    for _ in range(3):
        clock.seconds += 1
        watched.value()
    assert len(parsed) == 2


def test_nothing_is_read_while_nothing_changes(file, clock):
    parsed = []
    watched = Watched(file, lambda data, path: parsed.append(data) or data, absent=None, monotonic=clock, now=lambda: 1e12)
    for _ in range(5):
        watched.value()
    assert len(parsed) == 1


def test_a_broken_edit_keeps_the_good_content_and_says_so_once(file, clock, caplog):
    watched = watch(file, clock)
    file.write_text("bad")
    with caplog.at_level(logging.ERROR):
        for _ in range(4):
            clock.seconds += 1
            assert watched.value() == "one"
    assert len(caplog.records) == 1
    assert str(file) in caplog.text and "bad word" in caplog.text
    file.write_text("good")
    watched.value()
    clock.seconds += 1
    assert watched.value() == "good"


def test_the_first_content_must_be_understood(file, clock):
    file.write_text("bad")
    with pytest.raises(Invalid):
        watch(file, clock)


def test_a_folder_in_its_place_or_a_giant_is_refused(tmp_path, file, clock):
    with pytest.raises(Unavailable):
        watch(tmp_path, clock)
    os.truncate(file, MAX_BYTES + 1)
    with pytest.raises(Invalid):
        watch(file, clock)
