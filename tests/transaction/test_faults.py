"""Every system call of a change over four files, failing or the last one ever: afterwards all are as before, or all as meant.

The four: one modified to twice its size, one modified, one new, one removed. Prints how many points were tried; each must hold. Most run
on the model of kernels.py, which is quick; that it isn't kinder than a real file system is what the tests on tmp_path are for.
"""

import errno
import os
import random
import shutil

import pytest

from agent import errors
from agent.transaction import Journal, Kernel, Places, read, recover
from tests.transaction.kernels import CAN_BE_READ_ONLY, CAN_RUN_OUT_OF_SPACE, Death, Failing, FallbackModel, Model

BEFORE = {"voicemail.conf": b"[default]\n100 => 1,A\n", "pjsip.conf": b"[100]\ntype=aor\n", "old.conf": b"x\n"}
AFTER = {"voicemail.conf": b"[default]\n100 => 22,A\n" * 2, "pjsip.conf": b"[100]\ntype=endpoint\n", "extensions.conf": b"[a]\n"}
FILES = sorted({*BEFORE, *AFTER})


def world(kind):
    """A model holding the files as before."""
    model = kind()
    model.make("/etc")
    model.make("/var")
    for name, data in BEFORE.items():
        model.make(f"/etc/{name}", data)
    return model


def look(model):
    """Everything in the folder, leftovers too."""
    return {name: model.bytes_at(f"/etc/{name}") for name in model.names_at("/etc")}


def change_all(kernel, end="keep", etc="/etc", journal="/var/journal"):
    """Make the change; return whether it was promised to stand."""
    places = Places([etc], kernel)
    readings = {name: read(f"{etc}/{name}", places) for name in FILES}
    with Journal(journal, places).begin("four files", {"name": "ada"}) as change:
        for name in FILES:
            change.replace(readings[name], AFTER.get(name))
        change.apply()
        if end == "undo":
            change.undo({"why": "refused"})
            return False
        change.keep({"reload": "done"})
    return True


def recover_all(kernel, times=2, etc="/etc", journal="/var/journal"):
    for _ in range(times):
        recover(Journal(journal, Places([etc], kernel)))


def points(make_world, fail, end="keep", **where):
    """Make the change with the n-th call failing, for each n until none is left; yield (world, "call n: name", error or None, promised)."""
    for n in range(1, 2000):
        here = make_world()
        failing = fail(here, n)
        promised, raised = False, None
        try:
            promised = change_all(failing, end, **where)
        except (errors.Fault, Death) as error:
            raised = error
        failing.leave_behind()
        if failing.hit is None:
            return
        yield here, f"call {n}: {failing.hit}, {raised!r}", raised, promised
    raise AssertionError("there was always one more call")


ONCE = {errno.EIO: None, errno.ENOSPC: CAN_RUN_OUT_OF_SPACE, errno.EDQUOT: {"write", "fchown"}, errno.EMFILE: {"open"},
        errno.EROFS: CAN_BE_READ_ONLY}


@pytest.mark.parametrize("kind", [Model, FallbackModel])
@pytest.mark.parametrize("code", ONCE, ids=errno.errorcode.get)
def test_a_call_that_fails_once_leaves_every_file_as_before_and_names_the_reason(code, kind):
    tried = 0
    for model, point, raised, promised in points(lambda: world(kind), lambda real, n: Failing(real, n, code, only=ONCE[code])):
        tried += 1
        if promised:  # the change stood already; what lies about is tidied at the next start
            recover_all(model)
        assert look(model) == (AFTER if promised else BEFORE), point
        if code in (errno.ENOSPC, errno.EDQUOT):
            assert promised or isinstance(raised, errors.NoSpace), point
    print(f"\n{errno.errorcode[code]} once, {kind.__name__}: {tried} points, 0 files lost")
    assert tried >= 5


LASTING = {errno.EIO: None, errno.ENOSPC: {"write", "mkdir"}, errno.EROFS: CAN_BE_READ_ONLY}


@pytest.mark.parametrize("kind", [Model, FallbackModel])
@pytest.mark.parametrize("code", LASTING, ids=errno.errorcode.get)
def test_a_disk_that_stays_broken_is_put_right_at_the_next_start(code, kind):
    tried = damaged = 0
    for model, point, raised, promised in points(
            lambda: world(kind), lambda real, n: Failing(real, n, code, lasting=True, only=LASTING[code])):
        tried += 1
        damaged += isinstance(raised, errors.Damaged)
        if code == errno.ENOSPC:
            assert look(model) in (BEFORE, AFTER), f"putting back needs no room; {point}"
        recover_all(model)
        assert look(model) in (BEFORE, AFTER), point
        assert look(model) == AFTER or not promised, point
    print(f"\n{errno.errorcode[code]} from then on, {kind.__name__}: {tried} points, {damaged} told as Damaged, 0 files lost")
    assert tried > 5


@pytest.mark.parametrize("end", ["keep", "undo"])
@pytest.mark.parametrize("kind", [Model, FallbackModel])
def test_death_at_any_call_is_recovered_to_all_before_or_all_after(kind, end):
    tried = after = 0
    for model, point, _, _ in points(lambda: world(kind), lambda real, n: Failing(real, n, Death, lasting=True), end):
        tried += 1
        recover_all(model)
        assert look(model) in (BEFORE, AFTER), point
        after += look(model) == AFTER
    print(f"\ndeath, {kind.__name__}, {end}: {tried} points, {after} of them after the change stood, 0 files lost")
    assert (after > 0) == (end == "keep") and tried > 250


def test_death_at_any_call_on_the_real_file_system_too(tmp_path):
    etc = tmp_path / "etc"
    etc.mkdir()

    def fresh():
        shutil.rmtree(tmp_path / "journal", ignore_errors=True)
        for path in etc.iterdir():
            path.unlink()
        for name, data in BEFORE.items():
            (etc / name).write_bytes(data)
            os.utime(etc / name, (1, 1))
        return Kernel()

    tried = 0
    where = {"etc": str(etc), "journal": str(tmp_path / "journal")}
    for real, point, _, _ in points(fresh, lambda real, n: Failing(real, n, Death, lasting=True), **where):
        tried += 1
        recover_all(Failing(real, 0, Death), **where)
        assert {path.name: path.read_bytes() for path in etc.iterdir()} in (BEFORE, AFTER), point
    print(f"\ndeath, real files: {tried} points, 0 files lost")
    assert tried > 250


# -- power cuts: only what was fsynced is sure to be there ------------------------------------------------------------------------------

def cuts(seed):
    """The ways to lose unsynced work: nothing of it survives, all, names without bytes, bytes without names, and two of a mixture."""
    yield lambda count: 0, synced
    yield lambda count: count, lambda node: node.data
    yield lambda count: count, synced
    yield lambda count: 0, lambda node: node.data
    for more in range(2):
        dice = random.Random(seed * 2 + more)
        yield lambda count, dice=dice: dice.randint(0, count), lambda node, dice=dice: some(node, dice)


def synced(node):
    return node.durable or b""


def some(node, dice):
    if node.durable == node.data:
        return node.data
    return dice.choice([synced(node), node.data, node.data[:len(node.data) // 2], b"\0" * len(node.data)])


def moments(model, act):
    """Run act(model) once; return a list with the model as it was before each call, and at the end."""
    seen = []
    model.watch = lambda name: seen.append(model.copy())
    act(model)
    model.watch = None
    return [*seen, model]


@pytest.mark.parametrize("kind", [Model, FallbackModel])
def test_a_power_cut_at_any_call_loses_nothing_that_was_promised(kind):
    seen = moments(world(kind), change_all)
    tried = after = 0
    for n, moment in enumerate(seen):
        for names, data in cuts(n):
            model = moment.crash(names, data)
            recover_all(model)
            tried += 1
            assert look(model) in (BEFORE, AFTER), f"call {n} of {len(seen)}"
            assert look(model) == AFTER or moment is not seen[-1], "promised, and lost"
            after += look(model) == AFTER
    print(f"\npower cut, {kind.__name__}: {len(seen)} moments, {tried} points, {after} after it stood, 0 files lost, 0 promises broken")
    assert 0 < after < tried


def test_a_power_cut_never_brings_back_what_was_undone():
    seen = moments(world(Model), lambda model: change_all(model, "undo"))
    for n, moment in enumerate(seen):
        for names, data in cuts(n):
            model = moment.crash(names, data)
            recover_all(model, times=1)
            assert look(model) == BEFORE, f"call {n} of {len(seen)}"
    print(f"\npower cut, undone change: {len(seen)} moments, {6 * len(seen)} points, 0 files lost")


def test_a_power_cut_during_recovery_is_recovered_by_the_next():
    first = moments(world(Model), change_all)
    tried = 0
    for n in range(0, len(first), 61):
        for names, data in list(cuts(n))[1:3]:
            for moment in moments(first[n].crash(names, data), lambda model: recover_all(model, times=1)):
                for more_names, more_data in list(cuts(n))[:3]:
                    model = moment.crash(more_names, more_data)
                    recover_all(model, times=1)
                    tried += 1
                    assert look(model) in (BEFORE, AFTER), f"call {n} of {len(first)}"
    print(f"\npower cut during recovery: {tried} points, 0 files lost")
    assert tried > 500
