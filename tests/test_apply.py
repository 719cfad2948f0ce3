"""apply.py: the order of one write, seen from outside; the whole agent on a fake Asterisk."""

import threading

import pytest

from agent.apply import Job, Outcome
from agent.build import build
from agent.errors import Conflict, Damaged, Invalid, NoSpace, NotFound, Rejected, TooLarge, Unavailable
from agent.resources import users, voicemails
from agent.transaction import Lock

WHO = {"name": "test"}


@pytest.fixture
def apply(box):
    box.write("voicemail.conf", b"[default]\n100 => 1234,Ada   ; desk\n101 => 1\n")
    box.start()
    box.agent.apply.read(voicemails.find)       # the hand-made entries get their ids
    return box.agent.apply


def password(text):
    return lambda edit: voicemails.update(edit, 1, {"password": text})


def test_a_write_that_changes_nothing_leaves_no_trace(box, apply):
    stat, records = (box.etc / "voicemail.conf").stat(), len(box.agent.journal.records())
    outcome = apply.write(password("1234"), title="same", who=WHO)
    after = (box.etc / "voicemail.conf").stat()
    assert outcome.record is None and (after.st_ino, after.st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns)
    assert len(box.agent.journal.records()) == records and box.asterisk.reloads == []


def test_an_edit_that_fails_half_way_leaves_everything_as_it_was(box, apply):
    files, directory = box.files(), (box.state / "directory.json").read_bytes()

    def half(edit):
        voicemails.update(edit, 1, {"password": "9"})
        users.create(edit, {"firstname": "Ada", "lastname": ""})
        raise Invalid("no further")

    with pytest.raises(Invalid, match="no further"):
        apply.write(half, title="half", who=WHO)
    assert (box.files(), (box.state / "directory.json").read_bytes()) == (files, directory)


def test_a_bug_in_an_edit_is_raised_to_its_caller_and_the_next_write_works(apply):
    with pytest.raises(ZeroDivisionError):
        apply.write(lambda edit: 1 / 0, title="bug", who=WHO)
    assert apply.write(password("9"), title="fine", who=WHO).record


def test_what_asterisk_refuses_is_undone_and_the_old_is_loaded_again(box, apply):
    box.asterisk.script("refuses", "no such luck")
    files = box.files()
    with pytest.raises(Rejected) as caught:
        apply.write(password("9"), title="refused", who=WHO)
    assert any("no such luck" in reason for reason in caught.value.reasons)
    assert box.files() == files
    assert box.asterisk.reloads == ["app_voicemail.so"] * 2
    assert box.agent.journal.records()[0].state == "undone" and "no such luck" in str(box.agent.journal.records()[0].notes)


def test_writes_that_wait_go_together_with_one_reload_each_with_its_own_result(box, apply):
    def create(number):
        return lambda edit: voicemails.create(edit, {"mailbox": number}, context="default")

    results = together(apply, {"200": create("200"), "201": create("201"), "201 again": create("201"), "202": create("202")})
    assert sorted(type(each).__name__ for each in results.values()) == ["Exists", "Outcome", "Outcome", "Outcome", "Outcome"]
    assert box.asterisk.reloads == ["app_voicemail.so"]
    numbers = [row["mailbox"] for row in apply.read(voicemails.find)]
    assert sorted(numbers) == ["100", "101", "200", "201", "202"], "the doubled one failed alone"


def test_in_a_batch_the_one_that_asterisk_refuses_fails_alone(box, apply):
    box.asterisk.script("hides", "301@default")
    results = together(apply, {number: (lambda edit, number=number: voicemails.create(edit, {"mailbox": number}, context="default"))
                               for number in ("300", "301", "302")})
    assert isinstance(results["301"], Rejected)
    assert results["300"].record and results["302"].record
    assert [row["mailbox"] for row in apply.read(voicemails.find)] == ["100", "101", "300", "302"]


def test_a_foreign_write_between_read_and_replace_is_kept_and_the_edit_made_anew(box, apply):
    seen = []

    def meanwhile(edit):
        voicemails.update(edit, 1, {"password": "9"})
        if not seen:
            seen.append(1)
            box.write("voicemail.conf", b"; typed in vim\n[default]\n100 => 1234,Ada   ; desk\n101 => 1\n")

    apply.write(meanwhile, title="meanwhile", who=WHO)
    assert box.files()["voicemail.conf"] == b"; typed in vim\n[default]\n100 => 9,Ada   ; desk\n101 => 1\n"


def test_somebody_who_never_stops_writing_gives_a_conflict_and_nothing_of_theirs_is_lost(box, apply):
    texts = [b"; %d\n[default]\n100 => 1234,Ada   ; desk\n101 => 1\n" % number for number in range(9)]

    def meanwhile(edit):
        voicemails.update(edit, 1, {"password": "9"})
        box.write("voicemail.conf", texts.pop())

    with pytest.raises(Conflict, match="somebody else keeps writing"):
        apply.write(meanwhile, title="meanwhile", who=WHO)
    assert box.files()["voicemail.conf"].startswith(b"; %d\n" % len(texts))


def test_undo_puts_back_the_bytes_and_reloads_and_can_itself_be_undone(box, apply):
    before = box.files()
    record = apply.write(password("9"), title="set", who=WHO).record
    after = box.files()
    box.asterisk.reloads.clear()
    assert apply.undo(who=WHO).value == record
    assert box.files() == before and box.asterisk.reloads == ["app_voicemail.so"]
    apply.undo(who=WHO)
    assert box.files() == after


def test_undo_of_a_creation_never_gives_its_id_again(apply):
    number = apply.write(lambda edit: users.create(edit, {"firstname": "Ada", "lastname": ""}), title="create", who=WHO).value
    apply.undo(who=WHO)
    assert apply.read(users.find) == []
    assert apply.write(lambda edit: users.create(edit, {"firstname": "Bob", "lastname": ""}), title="create", who=WHO).value == number + 1


def test_undo_over_somebodys_later_edit_of_the_file_is_refused(box, apply):
    apply.write(password("9"), title="set", who=WHO)
    box.write("voicemail.conf", box.files()["voicemail.conf"] + b"; later\n")
    with pytest.raises(Conflict, match="has changed since record"):
        apply.undo(who=WHO)


def test_what_happens_after_the_change_and_fails_is_said_and_the_change_stands(box, apply):
    (box.spool / "voicemail").mkdir()
    (box.spool / "voicemail" / "default").symlink_to(box.folder)
    with pytest.raises(Damaged, match="the change is made, but this couldn't be done after it: remove mailbox default 100"):
        apply.write(lambda edit: voicemails.delete(edit, 1, spool=True), title="delete", who=WHO)
    assert box.files()["voicemail.conf"] == b"[default]\n101 => 1\n" and box.folder.exists()


def test_a_lock_held_by_somebody_else_is_waited_for_and_then_said(box):
    box.change_settings("limits", lock_s=1)
    box.start()
    with Lock(box.state / "lock").hold(), pytest.raises(Unavailable, match="lock|process"):
        box.agent.apply.write(lambda edit: users.create(edit, {"firstname": "Ada", "lastname": ""}), title="locked", who=WHO)


def test_pending_changes_survive_a_restart_and_are_told_when_asterisk_is_back(box, apply):
    box.asterisk.script("away")
    outcome = apply.write(password("9"), title="away", who=WHO)
    assert outcome.pending and apply.pending() == [outcome.record]
    box.restart()
    assert box.agent.apply.pending() == [outcome.record]
    box.asterisk.script("back")
    wait_for(lambda: not box.agent.apply.pending())
    assert box.asterisk.reloads == ["app_voicemail.so"]


def test_a_reload_that_took_too_long_is_told_again_though_asterisk_never_went_away(box, apply):
    box.asterisk.silent.add("Reload")
    box.agent.ami.timeout_s = 0.3
    outcome = apply.write(password("9"), title="slow", who=WHO)
    assert outcome.pending
    box.asterisk.silent.clear()
    stopped = threading.Event()
    thread = threading.Thread(target=apply.keep_catching_up, args=(threading.Event(), stopped, 0.05))
    thread.start()
    wait_for(lambda: not apply.pending())
    stopped.set()
    thread.join(5)
    assert box.agent.journal.record(outcome.record).notes["reload"] == "done"


def test_in_a_batch_the_last_word_counts_even_if_it_is_what_the_file_said_before(box, apply):
    results = together(apply, {"there": password("9"), "and back": password("1234")})
    assert all(isinstance(each, Outcome) for each in results.values())
    assert b"100 => 1234,Ada" in box.files()["voicemail.conf"] or b"100 => 9,Ada" in box.files()["voicemail.conf"]

    def both(edit):
        voicemails.update(edit, 1, {"password": "77"})

    def back(edit):
        assert voicemails.get(edit, 1)["password"] == "77"
        voicemails.update(edit, 1, {"password": "1234"})

    apply.write(password("1234"), title="as it was", who=WHO)
    in_order(apply, [both, back])
    assert b"100 => 1234,Ada" in box.files()["voicemail.conf"]


def test_an_undo_is_not_lost_to_the_edit_that_follows_it_in_its_batch(box, apply):
    record = apply.write(password("9"), title="set", who=WHO).record
    in_order(apply, [lambda edit: apply._put_back(edit, box.agent.journal.record(record)),
                     lambda edit: voicemails.update(edit, 2, {"password": "5"})])
    assert box.files()["voicemail.conf"] == b"[default]\n100 => 1234,Ada   ; desk\n101 => 5\n"


def test_a_half_done_edit_leaves_nothing_to_the_next_in_its_batch(box, apply):
    def half(edit):
        voicemails.update(edit, 1, {"password": "666"})
        edit.reload(["app_queue.so"])
        edit.afterwards("remove_mailbox", "default", "100")
        raise Invalid("no further")

    box.write("voicemail.conf", box.files()["voicemail.conf"])
    spool = box.spool / "voicemail/default/100"
    spool.mkdir(parents=True)
    results = in_order(apply, [half, lambda edit: voicemails.update(edit, 2, {"password": "5"})])
    assert isinstance(results[0], Invalid) and results[1].record
    assert box.files()["voicemail.conf"] == b"[default]\n100 => 1234,Ada   ; desk\n101 => 5\n"
    assert box.asterisk.reloads == ["app_voicemail.so"] and spool.exists()


def test_readers_beside_a_writer_never_miss_what_is_there(box, apply):
    missed, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            try:
                apply.read(lambda view: voicemails.get(view, 1))
            except NotFound as error:
                missed.append(error)

    readers = [threading.Thread(target=read) for _ in range(6)]
    for each in readers:
        each.start()
    for number in range(12):
        apply.write(password(str(number)), title="write", who=WHO)
    stop.set()
    for each in readers:
        each.join(10)
    assert missed == []


def test_a_change_that_cannot_be_kept_goes_back_in_asterisk_too(box, apply, monkeypatch):
    def full(*arguments, **named):
        monkeypatch.undo()
        raise NoSpace("the disk is full")

    monkeypatch.setattr(box.agent.journal, "finish", full)
    files = box.files()
    with pytest.raises(NoSpace):
        apply.write(lambda edit: voicemails.update(edit, 1, {"fullname": "Eve"}), title="full", who=WHO)
    assert box.files() == files and box.asterisk.reloads == ["app_voicemail.so"] * 2
    box.agent.asterisk.apply([], [("mailbox", "100@default", {"Fullname": "Ada"})])


def test_a_bug_while_asterisk_is_told_goes_back_too(box, apply):
    def odd(edit):
        voicemails.update(edit, 1, {"fullname": "Eve"})
        edit.expect("no such kind", "100@default", None)

    files = box.files()
    with pytest.raises(KeyError):
        apply.write(odd, title="odd", who=WHO)
    assert box.files() == files
    box.agent.asterisk.apply([], [("mailbox", "100@default", {"Fullname": "Ada"})])


def test_what_another_process_left_pending_is_told_too(box, apply):
    box.asterisk.script("away")
    other = build(box.settings)
    record = other.apply.write(password("9"), title="from the command line", who=WHO).record
    assert other.apply.pending() == [record]
    box.asterisk.script("back")
    wait_for(lambda: not apply.pending())


def test_a_pending_record_is_never_pruned(box, apply):
    box.change_settings("limits", history_records=10)
    box.restart()
    box.asterisk.script("away")
    pending = box.agent.apply.write(password("9"), title="pending", who=WHO).record
    for number in range(15):
        box.agent.apply.write(lambda edit: users.create(edit, {"firstname": str(number), "lastname": ""}), title="create", who=WHO)
    assert box.agent.apply.pending() == [pending]
    assert len(box.agent.journal.records()) <= 12


def test_messages_move_in_the_order_of_the_edits(box, apply):
    for mailbox in ("100", "101"):
        (box.spool / "voicemail/default" / mailbox).mkdir(parents=True)
        (box.spool / "voicemail/default" / mailbox / "of").write_text(mailbox)
    results = in_order(apply, [lambda edit: voicemails.update(edit, 1, {"mailbox": "102"}), lambda edit: voicemails.update(edit, 2, {"mailbox": "100"})])
    assert all(isinstance(each, Outcome) for each in results)
    assert [(box.spool / "voicemail/default" / mailbox / "of").read_text() for mailbox in ("102", "100")] == ["100", "101"]


def test_messages_stay_until_asterisk_has_let_the_mailbox_go(box, apply):
    folder = box.spool / "voicemail/default/100"
    folder.mkdir(parents=True)
    box.asterisk.script("away")
    apply.write(lambda edit: voicemails.delete(edit, 1, spool=True), title="delete", who=WHO)
    assert folder.exists()
    box.asterisk.script("back")
    wait_for(lambda: not apply.pending())
    assert not folder.exists()


def test_a_reader_is_served_though_new_lines_cannot_be_numbered_now(box):
    box.change_settings("limits", lock_s=1)
    box.write("voicemail.conf", b"[default]\n100 => 1\n")
    box.start()
    with Lock(box.state / "lock").hold():
        assert box.agent.apply.read(users.find) == []
    assert [each["mailbox"] for each in box.agent.apply.read(voicemails.find)] == ["100"]


def test_a_file_that_lies_outside_is_said_and_not_taken_for_an_empty_one(box, tmp_path):
    (tmp_path / "elsewhere.conf").write_bytes(b"[default]\n100 => 1\n")
    (box.etc / "voicemail.conf").symlink_to(tmp_path / "elsewhere.conf")
    box.start()
    with pytest.raises(Unavailable, match="outside the folders"):
        box.agent.apply.read(voicemails.find)
    box.change_settings("asterisk", other_dirs=(tmp_path,))
    assert [each["mailbox"] for each in box.restart().agent.apply.read(voicemails.find)] == ["100"]


def test_waiting_writers_never_take_every_thread(box):
    box.change_settings("limits", lock_s=4)
    box.start()
    refused = []

    def write():
        try:
            box.agent.apply.write(lambda edit: users.create(edit, {"firstname": "Ada", "lastname": ""}), title="wait", who=WHO)
        except Unavailable as error:
            refused.append(str(error))

    with Lock(box.state / "lock").hold():
        first = [threading.Thread(target=write) for _ in range(6)]
        for each in first:
            each.start()
        wait_for(lambda: len(box.agent.apply._waiting) >= 5)
        threading.Event().wait(2.1)
        write()
        assert "are waiting" in refused[0], "one more isn't let in where nothing moves"
        for each in first:
            each.join(20)
    assert len(refused) == 7


@pytest.mark.parametrize("by", ["an include", "a link"])
def test_our_own_state_is_nobodys_configuration(box, by):
    box.start()
    box.agent.apply.write(lambda edit: users.create(edit, {"firstname": "E", "lastname": "=", "password": "canary"}), title="create", who=WHO)
    ours = (box.state / "directory.json").read_bytes()
    if by == "an include":
        box.write("voicemail.conf", b"[default]\n100 => 1\n#tryinclude %s\n" % str(box.state / "directory.json").encode())
        assert [each["mailbox"] for each in box.agent.apply.read(voicemails.find)] == ["100"]
    else:
        (box.etc / "voicemail.conf").symlink_to(box.state / "directory.json")
        with pytest.raises(Unavailable, match="pbx-agent's own"):
            box.agent.apply.read(voicemails.find)
        assert (box.state / "directory.json").read_bytes() == ours
    assert box.agent.apply.read(users.find)[0]["password"] == "canary"


def test_what_could_not_be_read_again_is_not_written(box, monkeypatch):
    monkeypatch.setattr("agent.edit.LARGEST_BYTES", 2000)
    box.start()
    with pytest.raises(TooLarge):
        box.agent.apply.write(lambda edit: [users.create(edit, {"firstname": "A" * 100, "lastname": ""}) for _ in range(30)], title="many", who=WHO)
    assert box.agent.apply.read(users.find) == []


def test_an_undo_never_takes_an_id_away(box):
    box.write("voicemail.conf", b"[default]\n100 => 1\n")
    box.start()
    box.agent.apply.write(password("9"), title="set", who=WHO)
    box.agent.apply.undo(who=WHO)
    assert box.agent.apply.read(lambda view: voicemails.get(view, 1))["password"] == "1"
    with pytest.raises(Conflict, match="record 1 can't be undone: it only gave ids"):
        box.agent.apply.undo(1, who=WHO)
    with pytest.raises(NotFound):
        box.agent.apply.undo(0, who=WHO)


def test_a_file_no_module_is_known_to_read_is_changed_and_said(box):
    box.write("sub.d/other.conf", b"[a]\nx=1\n")
    box.start()
    outcome = box.agent.apply.write(lambda edit: change(edit.configuration("./sub.d/../sub.d/other.conf")), title="other", who=WHO)
    assert outcome.untold == ("sub.d/other.conf",) and box.files()["sub.d/other.conf"] == b"[a]\nx=2\n"


def change(configuration):
    configuration.set(configuration.find("a", "x"), "2")


def in_order(apply, functions):
    """Run several edits as one batch, in this order; return a list of Outcome or error."""
    jobs = [Job(function, "together", WHO) for function in functions]
    apply._write_all(jobs)
    return [job.error or job.outcome for job in jobs]


def together(apply, jobs):
    """Run several writes so that they wait for the same batch; return {name: Outcome or error}."""
    release, entered, results = threading.Event(), threading.Event(), {}

    def slow(edit):
        entered.set()
        release.wait(10)

    def write(name, function):
        try:
            results[name] = apply.write(function, title=name, who=WHO)
        except Exception as error:
            results[name] = error

    threads = [threading.Thread(target=write, args=("slow", slow))]
    threads[0].start()
    entered.wait(10)
    for name, function in jobs.items():
        threads.append(threading.Thread(target=write, args=(name, function)))
        threads[-1].start()
    wait_for(lambda: len(apply._waiting) == len(jobs))
    release.set()
    for each in threads:
        each.join(30)
    return results


def wait_for(claim, seconds=15):
    pause, left = threading.Event(), seconds / 0.01
    while not claim():
        left -= 1
        assert left > 0, "it never came true"
        pause.wait(0.01)
