"""Every system call of a change over four files, failing or the last one ever: afterwards all are as before, or all as meant.

The four: one modified twice the size, one modified, one new, one removed. Prints how many points were tried and how many went wrong.
"""

import copy
import errno
import random

import pytest

from agent import errors
from agent.transaction import Journal, Kernel, Places, read, recover
from tests.transaction.kernels import CAN_BE_READ_ONLY, CAN_RUN_OUT_OF_SPACE, Death, Failing, Fallback, Model

BEFORE = {"voicemail.conf": b"[default]\n100 => 1,A\n", "pjsip.conf": b"[100]\ntype=aor\n", "extensions.conf": None, "old.conf": b"x\n"}
AFTER = {"voicemail.conf": b"[default]\n100 => 22,A\n" * 2, "pjsip.conf": b"[100]\ntype=endpoint\n", "extensions.conf": b"[a]\n", "old.conf": None}


def make(tmp_path, content=BEFORE):
    etc = tmp_path / "etc"
    if not etc.exists():
        etc.mkdir()
    for path in etc.iterdir():
        path.unlink()
    for name, data in content.items():
        if data is not None:
            (etc / name).write_bytes(data)
    return etc


def write(kernel, etc, journal, end="keep"):
    """One change; returns whether it was promised to stand."""
    places = Places([etc], kernel)
    readings = {name: read(f"{etc}/{name}", places) for name in BEFORE}
    with Journal(journal, places).begin("four files", {"name": "ada"}) as change:
        for name, data in AFTER.items():
            change.replace(readings[name], data)
        change.apply()
        if end == "undo":
            change.undo({"why": "refused"})
            return False
        change.keep({"reload": "done"})
    return True


def recovered(kernel, etc, journal):
    for _ in range(2):
        recover(Journal(journal, Places([etc], kernel)))


def content(etc):
    return {path.name: path.read_bytes() for path in etc.iterdir()}


def there(wanted):
    return {name: data for name, data in wanted.items() if data is not None}


def points(tmp_path, make_kernel, kernel=None, end="keep", **options):
    """Run the change with the n-th call failing, for each n until none is left; yield (n, kernel, error raised or None, promised)."""
    for n in range(1, 2000):
        etc = make(tmp_path)
        failing = make_kernel(kernel or Kernel(), n)
        promised, raised = False, None
        try:
            promised = write(failing, etc, tmp_path / f"journal{n}", end)
        except (errors.Fault, Death) as error:
            raised = error
        failing.leave_behind()
        if failing.hit is None:
            return
        yield n, failing, raised, promised
    raise AssertionError("there was always one more call")


FAILURES = {errno.EIO: None, errno.ENOSPC: CAN_RUN_OUT_OF_SPACE, errno.EDQUOT: {"write", "fchown"}, errno.EMFILE: {"open"},
            errno.EROFS: CAN_BE_READ_ONLY}


@pytest.mark.parametrize("code, kernel", [*((code, Kernel) for code in FAILURES), (errno.EIO, Fallback)],
                         ids=lambda value: errno.errorcode.get(value) if isinstance(value, int) else value.__name__)
def test_a_call_that_fails_once_leaves_every_file_as_before_and_names_the_reason(tmp_path, code, kernel):
    tried = 0
    for n, failing, raised, promised in points(tmp_path, lambda real, n: Failing(real, n, code, only=FAILURES[code]), kernel()):
        tried += 1
        left = content(tmp_path / "etc")
        if promised:
            recovered(Kernel(), tmp_path / "etc", tmp_path / f"journal{n}")
            left = content(tmp_path / "etc")
        assert left == there(AFTER if promised else BEFORE), f"call {n}: {failing.hit} {raised}"
        if code in (errno.ENOSPC, errno.EDQUOT) and not promised:
            assert isinstance(raised, errors.NoSpace), f"call {n}: {failing.hit} {raised!r}"
    print(f"\n{errno.errorcode[code]} once, {kernel.__name__}: {tried} points, 0 files lost")
    assert tried > 10


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EROFS], ids=errno.errorcode.get)
def test_a_disk_that_stays_broken_is_put_right_at_the_next_start(tmp_path, code):
    only = {"write", "mkdir"} if code == errno.ENOSPC else None
    tried = damaged = 0
    for n, failing, raised, promised in points(tmp_path, lambda real, n: Failing(real, n, code, lasting=True, only=only)):
        tried += 1
        damaged += isinstance(raised, errors.Damaged)
        assert not (damaged and code == errno.ENOSPC), "putting back needs no room"
        recovered(Kernel(), tmp_path / "etc", tmp_path / f"journal{n}")
        left = content(tmp_path / "etc")
        assert left in (there(BEFORE), there(AFTER)), f"call {n}: {failing.hit} {raised}"
        assert left == there(AFTER) or not promised
    print(f"\n{errno.errorcode[code]} from then on: {tried} points, {damaged} reported as damaged, 0 files lost after recovery")


@pytest.mark.parametrize("end", ["keep", "undo"])
@pytest.mark.parametrize("kernel", [Kernel, Fallback])
def test_death_at_any_call_is_recovered_twice_to_all_before_or_all_after(tmp_path, kernel, end):
    tried = after = 0
    for n, failing, raised, promised in points(tmp_path, lambda real, n: Failing(real, n, Death, lasting=True), kernel(), end):
        tried += 1
        recovered(kernel(), tmp_path / "etc", tmp_path / f"journal{n}")
        left = content(tmp_path / "etc")
        assert left in (there(BEFORE), there(AFTER)), f"call {n}: {failing.hit}"
        after += left == there(AFTER)
    print(f"\ndeath, {kernel.__name__}, {end}: {tried} points, {after} of them after the change stood, 0 files lost")
    assert (after > 0) == (end == "keep") and tried > 150


# -- power cuts: only what was fsynced is sure to be there ------------------------------------------------------------------------------

def whole(node):
    return node.data


def synced(node):
    return node.durable or b""


def cuts(seed):
    """The ways to lose unsynced work: nothing of it survives, all, names without bytes, bytes without names, and two of a mixture."""
    yield lambda count: 0, synced
    yield lambda count: count, whole
    yield lambda count: count, synced
    yield lambda count: 0, whole
    for more in range(2):
        dice = random.Random(seed * 2 + more)
        yield lambda count, dice=dice: dice.randint(0, count), lambda node, dice=dice: _some(node, dice)


def _some(node, dice):
    if node.durable == node.data:
        return node.data
    return dice.choice([synced(node), node.data, node.data[:len(node.data) // 2], b"\0" * len(node.data)])


def moments(act):
    """Run act(model) once; return a list with the model as it was before each call and at the end."""
    model = Model()
    model.make("/etc")
    model.make("/var")
    for name, data in there(BEFORE).items():
        model.make(f"/etc/{name}", data)
    return _moments(model, act)


def _moments(model, act):
    seen = []
    model.watch = lambda name: seen.append(_copy(model))
    act(model)
    model.watch = None
    return [*seen, model]


def _copy(model):
    """A copy that keeps apart what is synced and what isn't; nodes are shared as they were."""
    watch, model.watch = model.watch, None
    try:
        return copy.deepcopy(model)
    finally:
        model.watch = watch


def look(model):
    return {name: model.bytes_at(f"/etc/{name}") for name in model.names_at("/etc")}


def recover_model(model):
    recover(Journal("/var/journal", Places(["/etc"], model)))


def test_a_power_cut_at_any_call_loses_nothing_that_was_promised():
    seen = moments(lambda model: write(model, "/etc", "/var/journal"))
    tried = after = 0
    for n, moment in enumerate(seen):
        for names, data in cuts(n):
            model = moment.crash(names, data)
            for _ in range(2):
                recover_model(model)
            tried += 1
            assert look(model) in (there(BEFORE), there(AFTER)), f"call {n} of {len(seen)}"
            after += look(model) == there(AFTER)
            if moment is seen[-1]:
                assert look(model) == there(AFTER), "promised, and lost"
    print(f"\npower cut: {len(seen)} calls, {tried} points, {after} of them after the change stood, 0 files lost, 0 promises broken")
    assert 0 < after < tried


def test_a_power_cut_after_undo_stays_undone():
    seen = moments(lambda model: write(model, "/etc", "/var/journal", "undo"))
    for n, moment in enumerate(seen):
        for names, data in cuts(n):
            model = moment.crash(names, data)
            recover_model(model)
            assert look(model) == there(BEFORE), f"call {n} of {len(seen)}"
    print(f"\npower cut, undone change: {len(seen)} calls, 0 files lost")


def test_a_power_cut_during_recovery_is_recovered_by_the_next():
    first = moments(lambda model: write(model, "/etc", "/var/journal"))
    tried = 0
    for n in range(0, len(first), 37):
        for names, data in list(cuts(n))[1:3]:
            for moment in _moments(first[n].crash(names, data), recover_model):
                for more_names, more_data in list(cuts(n))[:3]:
                    model = moment.crash(more_names, more_data)
                    recover_model(model)
                    tried += 1
                    assert look(model) in (there(BEFORE), there(AFTER)), f"call {n} of {len(first)}"
    print(f"\npower cut during recovery: {tried} points, 0 files lost")
    assert tried > 500
