"""Reloading and reading back against a fake Asterisk: when a change counts as taken, and what is said when it isn't."""

import time

import pytest

from agent.asterisk.ami import Ami
from agent.asterisk.reload import READERS, Reload
from agent.errors import Rejected, Unavailable
from tests.fakes.asterisk import FakeAsterisk

MODULE = "app_voicemail.so"
VOICEMAIL = "[general]\n[default]\n100 => 1234,Ada Lovelace,ada@example.org\n101 => 1,Blaise Pascal\n"
ADA = ("mailbox", "100@default", {"Fullname": "Ada Lovelace", "Email": "ada@example.org"})


@pytest.fixture
def fake(tmp_path):
    (tmp_path / "voicemail.conf").write_text(VOICEMAIL)
    log_file = tmp_path / "messages"
    log_file.write_text("[Nov 25 10:00:00] WARNING[1] app_voicemail.c: an old complaint\n")
    with FakeAsterisk(tmp_path, log_file=log_file) as fake:
        yield fake


@pytest.fixture
def reload(fake):
    ami = Ami(fake.address, fake.user, fake.secret, timeout_s=1)
    ami.start()
    assert ami.wait_booted(5)
    yield Reload(ami, fake.log_file)
    ami.close()


def reasons_of(reload, *arguments):
    with pytest.raises(Rejected) as caught:
        reload.apply(*arguments)
    return caught.value.reasons


def test_what_is_as_meant_is_taken(reload, fake):
    (fake.config_dir / "voicemail.conf").write_text(VOICEMAIL + "102 => 1,Grace Hopper,,,attach=no|deletevoicemail=yes\n")
    grace = {"Fullname": "Grace Hopper", "Email": "", "AttachMessage": "No", "DeleteMessage": "Yes"}
    reload.apply([MODULE], [ADA, ("mailbox", "102@default", grace), ("mailbox", "103@default", None)])
    assert fake.reloads == [MODULE]


def test_a_mailbox_without_a_word_on_its_email_has_none(reload):
    reload.apply([MODULE], [("mailbox", "101@default", {"Email": ""})])


def test_each_module_is_reloaded_once_in_order(reload, fake):
    reload.apply(["app_queue.so", MODULE, "app_queue.so"])
    assert fake.reloads == ["app_queue.so", MODULE]


def test_few_mailboxes_are_asked_for_singly_many_at_once(reload, fake):
    reload.apply([MODULE], [ADA, ("mailbox", "101@default", {})])
    assert [name for name, _ in fake.actions] == ["Reload", "VoicemailUserStatus", "VoicemailUserStatus"]
    fake.actions.clear()
    reload.apply([MODULE], [ADA, *(("mailbox", f"{number}@default", None) for number in range(200, 300))])
    assert [name for name, _ in fake.actions] == ["Reload", "VoicemailUsersList"]


def test_a_hidden_mailbox_a_wrong_field_and_a_left_over_one_are_each_named(reload, fake):
    fake.hidden = {"100@default"}
    fake.shown = {("101@default", "Fullname"): "Bl\x1baise"}
    wanted = [ADA, ("mailbox", "101@default", {"Fullname": "Blaise Pascal", "Nonsense": "x"}), ("mailbox", "101@Other", None)]
    assert reasons_of(reload, [MODULE], wanted) == [
        "mailbox 100@default: is missing",
        'mailbox 101@default: Fullname should be "Blaise Pascal", is "Bl?aise"',
        'mailbox 101@default: Nonsense should be "x", is missing',
    ]
    assert reasons_of(reload, [MODULE], [("mailbox", "101@default", None)]) == ["mailbox 101@default: should be gone, is still there"]


def test_a_secret_that_differs_is_not_shown(reload, fake):
    (reason,) = reasons_of(reload, [MODULE], [("mailbox", "101@default", {"Password": "canary"})])
    assert reason == "mailbox 101@default: Password isn't as wanted"


def test_a_broken_file_that_asterisk_calls_a_success_is_rejected_with_its_log_lines(reload, fake):
    (fake.config_dir / "voicemail.conf").write_text("[general\n[default]\n100 => 1,New Name\n")
    reasons = reasons_of(reload, [MODULE], [("mailbox", "100@default", {"Fullname": "New Name"})])
    assert reasons[0] == 'mailbox 100@default: Fullname should be "New Name", is "Ada Lovelace"'
    assert "no closing ']', line 1 of voicemail.conf" in reasons[1] and "invalid format" in reasons[2]
    assert not any("old complaint" in each for each in reasons)


def test_a_refused_module_is_rejected_and_what_comes_after_it_is_left(reload, fake):
    fake.refusal = "An unknown error occurred"
    fake.log_lines = ["[Nov 25 10:28:19] ERROR[7][C-00000001] confbridge/conf_config_parser.c: bad option"]
    reasons = reasons_of(reload, ["app_confbridge.so", MODULE], [ADA])
    assert reasons == ["reload of app_confbridge.so: An unknown error occurred", fake.log_lines[0]]
    assert fake.reloads == ["app_confbridge.so"]


def test_complaints_of_a_reload_that_did_what_was_meant_reject_nothing(reload, fake):
    fake.log_lines = ["[Nov 25 10:28:19] WARNING[7] app_voicemail.c: Ignoring duplicated mailbox 100 in context default"]
    reload.apply([MODULE], [ADA])


def test_somebody_elses_reload_is_waited_for(reload, fake):
    fake.in_progress = 2
    reload.apply([MODULE], [ADA])
    assert fake.reloads == [MODULE] and [name for name, _ in fake.actions].count("Reload") == 3


def test_a_reload_that_never_ends_is_given_up(reload, fake, monkeypatch):
    monkeypatch.setattr("agent.asterisk.reload.IN_PROGRESS_S", 0.15)
    fake.in_progress = 1000
    assert reasons_of(reload, [MODULE]) == ["reload of app_voicemail.so: A reload is in progress"]


def test_an_incomplete_list_is_asked_for_again_and_not_taken_for_a_missing_mailbox(reload, fake):
    many = [("mailbox", f"{number}@default", None) for number in range(200, 300)]
    fake.dropped = 1
    reload.apply([MODULE], [ADA, *many])
    assert [name for name, _ in fake.actions].count("VoicemailUsersList") == 2


def test_away_before_means_nothing_was_reloaded(reload, fake):
    fake.away()
    deadline = time.monotonic() + 5
    while reload.available:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    with pytest.raises(Unavailable, match="nothing was reloaded"):
        reload.apply([MODULE])
    assert fake.reloads == [] and reload.state.startswith("away: ")


def test_silence_midway_says_what_was_reloaded(reload, fake):
    fake.raw = {}
    answers = iter([False, True])
    real = fake._do_reload

    def first_only(headers):
        data = real(headers)
        fake.silent = {"Reload"} if next(answers) else set()
        return data

    fake._do_reload = first_only
    with pytest.raises(Unavailable, match="reloaded before: app_queue.so; app_voicemail.so may or may not be"):
        reload.apply(["app_queue.so", MODULE])


def test_going_away_before_the_read_back_is_unavailable_not_rejected(reload, fake):
    fake.silent = {"VoicemailUserStatus"}
    with pytest.raises(Unavailable, match="not read back"):
        reload.apply([MODULE], [ADA])


def test_an_account_that_may_not_look_is_unavailable_not_a_missing_mailbox(reload, fake):
    fake.raw = {"VoicemailUserStatus": b"Response: Error\r\nActionID: @ID@\r\nMessage: Permission denied\r\n\r\n"}
    with pytest.raises(Unavailable, match="Permission denied"):
        reload.apply([MODULE], [ADA])


def test_a_later_kind_is_one_entry_in_the_table(reload, monkeypatch):
    monkeypatch.setitem(READERS, "queue", lambda ami, keys: {"sales": {"Strategy": "ringall"}})
    reload.apply(["app_queue.so"], [("queue", "sales", {"Strategy": "ringall"}), ADA])
    assert reasons_of(reload, ["app_queue.so"], [("queue", "sales", None)]) == ["queue sales: should be gone, is still there"]
