import os
import random
import threading

import pytest

from agent import errors
from agent.transaction import Kernel, Places, changed, read


class Clock(Kernel):
    """Time that passes only when somebody waits; `act` is done at each wait."""

    def __init__(self, wall_s, act=lambda waited_s: None):
        self.wall, self.waited, self.act = wall_s, 0.0, act

    def wall_s(self):
        return self.wall + self.waited

    def monotonic_s(self):
        return self.waited

    def pause(self, seconds):
        self.waited += seconds
        self.act(self.waited)

    def lease(self, fd):
        return None


@pytest.fixture
def etc(tmp_path):
    (tmp_path / "etc").mkdir()
    return tmp_path / "etc"


def put(path, data, mtime_s=1000.0):
    path.write_bytes(data)
    os.utime(path, (mtime_s, mtime_s))
    return path


# -- where a path leads -----------------------------------------------------------------------------------------------------------------

def test_a_link_is_followed_to_its_target_under_any_root(etc, tmp_path):
    (tmp_path / "amp").mkdir()
    put(tmp_path / "amp" / "real.conf", b"x\n")
    (etc / "a.conf").symlink_to("../amp/real.conf")
    (tmp_path / "amp" / "again.conf").symlink_to(etc / "a.conf")
    places = Places([etc, tmp_path / "amp"])
    for path in (etc / "a.conf", tmp_path / "amp" / "again.conf"):
        reading = read(path, places)
        assert (reading.path, reading.real, reading.data) == (str(path), str(tmp_path / "amp" / "real.conf"), b"x\n")


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside.conf", "../etc-backup/a.conf", "/", ".."])
def test_a_link_out_of_the_roots_is_forbidden(etc, tmp_path, target):
    (tmp_path / "etc-backup").mkdir()  # shares the prefix, not the component
    put(tmp_path / "etc-backup" / "a.conf", b"x\n")
    (etc / "a.conf").symlink_to(target)
    with pytest.raises(errors.Forbidden, match="outside"):
        read(etc / "a.conf", Places([etc]))


def test_a_path_that_climbs_out_is_forbidden(etc, tmp_path):
    for path in (f"{etc}/../x.conf", tmp_path / "etcetera", "/etc/passwd", f"{etc}/missing/../../x.conf"):
        with pytest.raises(errors.Forbidden):
            Places([etc]).resolve(path)


def test_a_linked_folder_out_of_the_roots_is_forbidden_even_for_a_missing_file(etc, tmp_path):
    (etc / "conf.d").symlink_to(tmp_path)
    with pytest.raises(errors.Forbidden):
        read(etc / "conf.d" / "new.conf", Places([etc]))


def test_links_in_circles_and_links_to_nothing_are_clear_errors(etc):
    (etc / "a.conf").symlink_to("b.conf")
    (etc / "b.conf").symlink_to("a.conf")
    (etc / "c.conf").symlink_to("missing.conf")
    with pytest.raises(errors.Unavailable, match="circles"):
        read(etc / "a.conf", Places([etc]))
    with pytest.raises(errors.Unavailable, match="symbolic link to .*missing.conf, which doesn't exist"):
        read(etc / "c.conf", Places([etc]))


def test_a_root_that_is_a_link_or_a_single_file_admits_what_it_stands_for(etc, tmp_path):
    put(etc / "a.conf", b"x\n")
    put(etc / "b.conf", b"x\n")
    (tmp_path / "link").symlink_to(etc)
    assert Places([tmp_path / "link"]).resolve(etc / "a.conf") == str(etc / "a.conf")
    single = Places([etc / "a.conf"])
    assert read(tmp_path / "link" / "a.conf", single).data == b"x\n"
    with pytest.raises(errors.Forbidden):
        read(etc / "b.conf", single)


def test_a_folder_exchanged_for_a_link_after_resolving_is_not_followed(etc, tmp_path):
    (etc / "d").mkdir()
    (tmp_path / "evil").mkdir()
    put(tmp_path / "evil" / "a.conf", b"secret\n")
    places = Places([etc])
    real = places.resolve(etc / "d" / "a.conf")
    (etc / "d").rmdir()
    (etc / "d").symlink_to(tmp_path / "evil")
    with pytest.raises(OSError):
        with places.folder_of(real):
            pass


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)], ids=["pipe", "folder", "device"])
def test_what_is_no_regular_file_is_refused_without_hanging(etc, make):
    make(etc / "a.conf")
    with pytest.raises(errors.Forbidden):
        read(etc / "a.conf", Places([etc, "/dev"]))


def test_a_missing_file_reads_as_none_so_that_it_can_be_made(etc):
    clock = Clock(2000.0)
    reading = read(etc / "new.conf", Places([etc], clock))
    assert (reading.data, reading.tag) == (None, None)
    assert read(etc / "no-folder" / "new.conf", Places([etc], clock)).data is None


def test_passwords_do_not_show_in_the_repr(etc):
    assert "s3cret" not in repr(read(put(etc / "a.conf", b"100 => s3cret\n"), Places([etc])))


# -- half-written files -----------------------------------------------------------------------------------------------------------------

def test_an_old_file_is_taken_at_once_whatever_it_looks_like(etc):
    for data in (b"", b"no newline", b"x\n"):
        clock = Clock(2000.0)
        assert read(put(etc / "a.conf", data), Places([etc], clock)).data == data
        assert clock.waited == 0


def test_a_fresh_file_is_watched_until_it_has_been_left_alone(etc):
    put(etc / "a.conf", b"x\n")
    for mtime_ahead_s in (0.0, 3600.0):  # a clock that was set back must not let a torn file through, nor block for an hour
        clock = Clock(1000.0 - mtime_ahead_s)
        assert read(etc / "a.conf", Places([etc], clock)).data == b"x\n"
        assert 0.05 <= clock.waited < 0.1


@pytest.mark.parametrize("torn", [b"", b"[default]\n100 =>", b"[default]\n"], ids=["truncated", "cut in a line", "cut at a line's end"])
def test_a_file_caught_between_truncate_and_append_is_not_accepted(etc, torn):
    """ext4 has held such a file still for 18 ms; here it stays so for 900 ms."""
    whole = b"[default]\n" + b"100 => 1234,Ada\n" * 10
    path = put(etc / "a.conf", whole)
    clock = Clock(2000.0)
    places = Places([etc], clock)
    assert read(path, places).data == whole
    put(path, torn, 2000.0)
    clock.act = lambda waited_s: put(path, whole + b"101 => 1\n", clock.wall_s()) if 0.9 < waited_s < 0.906 else None
    assert read(path, places).data == whole + b"101 => 1\n"


def test_a_file_that_vanishes_for_a_moment_is_waited_for(etc):
    """What vim does: rename the old one away, write the new one."""
    path = put(etc / "a.conf", b"old\n")
    clock = Clock(2000.0)
    places = Places([etc], clock)
    read(path, places)
    path.rename(etc / "a.conf~")
    clock.act = lambda waited_s: put(path, b"new\n", clock.wall_s()) if 0.3 < waited_s < 0.306 else None
    assert read(path, places).data == b"new\n"


def test_a_file_that_really_became_empty_or_vanished_is_believed_after_a_second(etc):
    path = put(etc / "a.conf", b"old\n")
    clock = Clock(2000.0)
    places = Places([etc], clock)
    read(path, places)
    put(path, b"", 2000.0)
    assert read(path, places).data == b"" and 0.9 < clock.waited < 1.1
    path.unlink()
    assert read(path, places).data is None


def test_a_file_that_is_rewritten_all_the_time_is_unavailable(etc):
    path = put(etc / "a.conf", b"x\n")
    counter = iter(range(10**6))
    clock = Clock(1000.0, lambda waited_s: put(path, b"%d\n" % next(counter), clock.wall_s()))
    with pytest.raises(errors.Unavailable, match="keeps writing"):
        read(path, Places([etc], clock))
    assert clock.waited < 5


def test_what_we_wrote_ourselves_is_taken_at_once(etc):
    path = put(etc / "a.conf", b"no newline", 2000.0)
    clock = Clock(2000.0)
    places = Places([etc], clock)
    places.remember(str(path), b"no newline")
    assert read(path, places).data == b"no newline" and clock.waited == 0


def test_no_torn_read_is_accepted_beside_a_writer_that_truncates_and_appends(etc):
    """A real one, as app_voicemail and UpdateConfig write: pieces through one open file, without a pause between two rewrites."""
    path = put(etc / "a.conf", b"[default]\n;end 0\n")
    stop, dice = threading.Event(), random.Random(1)

    def rewrite():
        number = 0
        while not stop.is_set():
            number += 1
            with open(path, "wb", buffering=0) as file:
                file.write(b"[default]\n")
                for box in range(dice.randint(20, 30)):
                    file.write(b"%d => 1234,A name\n" % box)
                file.write(b";end %d\n" % number)
            stop.wait(0.001)

    writer = threading.Thread(target=rewrite)
    places, taken, refused = Places([etc]), 0, 0
    read(path, places)      # a good one first: by it a cut one is known
    writer.start()
    try:
        while taken + refused < 300 and refused < 3:
            try:
                data = read(path, places).data
            except errors.Unavailable:      # an honest answer, on a busy machine
                refused += 1
                continue
            assert data.startswith(b"[default]\n") and data.splitlines()[-1].startswith(b";end "), data
            taken += 1
    finally:
        stop.set()
        writer.join()
    print(f"\n{taken} reads beside a writer in place: 0 torn ones accepted, {refused} refused")
    assert taken > 50


# -- noticing changes -------------------------------------------------------------------------------------------------------------------

def test_a_settled_reading_is_checked_by_a_stat(etc):
    path = put(etc / "a.conf", b"x\n")
    reading = read(path, Places([etc]))
    assert not changed(reading)
    put(path, b"y\n")
    assert changed(reading)


def test_a_file_that_appears_vanishes_or_is_linked_elsewhere_has_changed(etc):
    clock = Clock(2000.0)
    places = Places([etc], clock)
    missing = read(etc / "b.conf", places)
    assert not changed(missing)
    put(etc / "b.conf", b"x\n")
    assert changed(missing)
    there = read(etc / "b.conf", places)
    (etc / "b.conf").unlink()
    assert changed(there)
    (etc / "b.conf").symlink_to("/etc/passwd")
    assert changed(there) and changed(missing)


def test_a_second_write_within_the_same_tick_of_the_clock_is_noticed(etc):
    class Coarse(Clock):
        """Times as coarse as they can be: they never move."""

        def lstat(self, name, folder=None):
            return freeze(super().lstat(name, folder))

        def fstat(self, fd):
            return freeze(super().fstat(fd))

    def freeze(status):
        return type("Status", (), {**{name: getattr(status, name) for name in dir(status) if name.startswith("st_")},
                                   "st_mtime_ns": 2000 * 10**9, "st_ctime_ns": 2000 * 10**9})

    path = put(etc / "a.conf", b"pin=1\n")
    clock = Coarse(2000.0)
    places = Places([etc], clock)
    places.remember(str(path), b"pin=1\n")
    reading = read(path, places)
    assert not changed(reading)
    path.write_bytes(b"pin=2\n")
    assert changed(reading)
    path.write_bytes(b"pin=1\n")
    clock.waited += 1
    assert not changed(reading) and reading.settled
