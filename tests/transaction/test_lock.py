import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import agent
from agent import errors
from agent.transaction import Kernel, Lock

ROOT = Path(agent.__file__).parent.parent

COUNTER = """
import sys
from agent.transaction import Journal, Kernel, Lock, Places, read
class Quick(Kernel):
    def fsync(self, fd): pass       # nobody cuts the power here
folder, times = sys.argv[1], int(sys.argv[2])
places = Places([folder], Quick())
journal, lock = Journal(folder + "/journal", places, records=20), Lock(folder + "/lock")
for _ in range(times):
    with lock.hold(timeout_s=60), journal.begin("count", {}) as change:
        reading = read(folder + "/counter", places)
        change.replace(reading, b"%d\\n" % (int(reading.data) + 1))
        change.apply()
        change.keep()
"""


def test_two_processes_count_to_a_thousand_and_no_step_is_lost(tmp_path):
    (tmp_path / "counter").write_bytes(b"0\n")
    command = [sys.executable, "-c", COUNTER, str(tmp_path), "500"]
    both = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    assert [each.wait(timeout=120) for each in both] == [0, 0]
    assert (tmp_path / "counter").read_bytes() == b"1000\n"
    assert {path.name for path in tmp_path.iterdir()} == {"counter", "journal", "lock"}


def test_threads_exclude_each_other(tmp_path):
    lock, inside, seen = Lock(tmp_path / "lock"), [], []

    def work():
        for _ in range(20):
            with lock.hold():
                inside.append(1)
                seen.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(timeout=30)
    assert seen == [1] * 80


def test_two_locks_on_one_file_exclude_each_other_and_waiting_ends(tmp_path):
    with Lock(tmp_path / "lock").hold():
        started = time.monotonic()
        with pytest.raises(errors.Unavailable, match="lock wasn't free within 0.05 s"):
            with Lock(tmp_path / "lock").hold(timeout_s=0.05):
                pass
        assert 0.05 <= time.monotonic() - started < 5
    with Lock(tmp_path / "lock").hold(timeout_s=0):
        pass


def test_another_thread_waits_no_longer_than_it_said(tmp_path):
    lock, raised = Lock(tmp_path / "lock"), []

    def wait():
        try:
            with lock.hold(timeout_s=0.05):
                pass
        except errors.Unavailable as error:
            raised.append(error)

    with lock.hold():
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(timeout=10)
    assert len(raised) == 1


def test_a_lock_file_that_was_replaced_while_waiting_is_opened_anew(tmp_path):
    path = tmp_path / "lock"

    class Late(Kernel):
        """Gets the lock of a file that is deleted in that moment."""

        times = 0

        def flock(self, fd):
            super().flock(fd)
            self.times += 1
            if self.times == 1:
                path.unlink()

    with Lock(path, Late()).hold(timeout_s=5):
        with pytest.raises(errors.Unavailable):
            with Lock(path).hold(timeout_s=0):
                pass


def test_the_lock_file_is_private_and_held_for_the_block_only(tmp_path):
    lock = Lock(tmp_path / "lock")
    with pytest.raises(ZeroDivisionError):
        with lock.hold():
            1 / 0
    with lock.hold(timeout_s=0):
        assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600


def test_holding_it_twice_in_one_thread_is_a_bug_and_says_so_at_once(tmp_path):
    lock = Lock(tmp_path / "lock")
    with lock.hold(), pytest.raises(RuntimeError, match="already"):
        with lock.hold():
            pass
    with lock.hold(timeout_s=0):
        pass


def test_a_missing_folder_or_a_link_in_its_place_is_a_clear_error(tmp_path):
    with pytest.raises(errors.NotFound, match="lock file"):
        with Lock(tmp_path / "nowhere" / "lock").hold():
            pass
    (tmp_path / "lock").symlink_to(tmp_path / "target")
    with pytest.raises(errors.Unavailable, match="lock file"):
        with Lock(tmp_path / "lock").hold():
            pass
    assert not (tmp_path / "target").exists()
