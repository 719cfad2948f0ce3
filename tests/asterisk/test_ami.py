"""The AMI client against a fake Asterisk on a real socket: what it sends, what it believes, and how it comes back."""

import logging
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.asterisk import ami as ami_module
from agent.asterisk.ami import ACTIONS, Ami
from agent.errors import Invalid, Unavailable
from tests.fakes.asterisk import FakeAsterisk

VOICEMAIL = "[general]\n[default]\n100 => 1234,Ada Lovelace,ada@example.org\n101 => 1,Blaise Pascal\n"


@pytest.fixture
def fake(tmp_path):
    (tmp_path / "voicemail.conf").write_text(VOICEMAIL)
    with FakeAsterisk(tmp_path) as fake:
        yield fake


@pytest.fixture
def ami(fake):
    with_ami = Ami(fake.address, fake.user, fake.secret, timeout_s=2)
    with_ami.start()
    assert with_ami.wait_booted(5)
    yield with_ami
    with_ami.close()


def wait_until(holds, timeout_s=5):
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it didn't come about in time"
        time.sleep(0.005)


def test_a_single_answer_has_its_fields_and_no_events(ami):
    response = ami.action("Ping")
    assert response.ok and response.fields["Ping"] == "Pong" and response.events == []


def test_a_list_has_its_entries_and_its_summary_apart(ami):
    response = ami.action("VoicemailUsersList")
    assert [each["Fullname"] for each in response.events] == ["Ada Lovelace", "Blaise Pascal"]
    assert response.summary["ListItems"] == "2"


def test_an_empty_list_is_an_answer_without_waiting(ami, fake):
    fake.hidden = {"100@default", "101@default"}
    assert ami.action("VoicemailUsersList").events == []


def test_a_refusal_is_an_answer_for_the_caller_to_judge(ami, fake):
    fake.refusal = "No such module"
    response = ami.action("Reload", [("Module", "nope.so")])
    assert not response.ok and response.message == "No such module"


def test_answers_in_another_order_reach_who_asked(ami, fake):
    fake.silent = {"CoreStatus"}
    slow = []
    asking = threading.Thread(target=lambda: slow.append(ami.action("CoreStatus")))
    asking.start()
    wait_until(lambda: any(name == "CoreStatus" for name, _ in fake.actions))
    assert ami.action("Ping").ok
    token = ami._token      # what a fake can't know otherwise: it was told it in an ActionID
    fake.send(f"Response: Success\r\nActionID: {token}-1\r\nCoreCurrentCalls: 7\r\n\r\n".encode())
    asking.join(5)
    assert slow[0].fields["CoreCurrentCalls"] == "7"


def test_many_threads_get_each_their_own_answer(ami):
    wrong = []

    def ask(mailbox):
        for _ in range(20):
            events = ami.action("VoicemailUserStatus", [("Mailbox", mailbox), ("Context", "default")]).events
            if [each["VoiceMailbox"] for each in events] != [mailbox]:
                wrong.append(events)

    threads = [threading.Thread(target=ask, args=(each,)) for each in ("100", "101") * 4]
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)
    assert wrong == []


@pytest.mark.parametrize("name", ["Originate", "Command", "UpdateConfig", "Login\r\nAction: Command", ""])
def test_only_listed_actions_are_ever_sent(ami, fake, name):
    with pytest.raises(Invalid):
        ami.action(name)
    assert fake.actions == [] and name not in ACTIONS


@pytest.mark.parametrize("header", [
    ("Module", "x\r\nAction: Command"), ("Module", "x\n"), ("Module", "x\r"), ("Module", "x\0"), ("Module", "\x7f"), ("Module", "\t"),
    ("Module\r\nAction", "Command"), ("Module: x\r\nY", "z"), ("", "x"), ("Mo dule", "x"), ("Module:", "x"), ("Modül", "x"),
    ("ActionID", "1"), ("actionid", "1"), ("Action", "Command"), ("Module", "x" * 1001), ("Module", "é" * 500), ("Module", "\ud800"),
])
def test_what_could_be_a_second_header_is_refused_before_a_byte_is_sent(ami, fake, header):
    with pytest.raises(Invalid):
        ami.action("Reload", [("Module", "ok.so"), header])
    assert ami.action("Ping").ok
    assert [name for name, _ in fake.actions] == ["Ping"]


def test_more_headers_than_asterisk_takes_are_refused(ami):
    with pytest.raises(Invalid):
        ami.action("Reload", [("Module", "x")] * 101)


@given(value=st.text(max_size=300))
def test_whatever_the_value_one_action_has_the_headers_it_was_given(value):
    try:
        lines = ami_module._lines("Reload", [("Module", value)])
    except Invalid:
        return
    assert ami_module._fields(ami_module._request("Reload", lines, "id-1")) == {"Action": "Reload", "Module": value, "ActionID": "id-1"}


@given(block=st.binary(max_size=400))
def test_any_bytes_are_taken_apart_without_a_fault(block):
    assert all(isinstance(text, str) for text in ami_module._fields(block).values())


def test_a_value_keeps_every_blank_but_the_one_after_the_colon():
    assert ami_module._fields(b"Email:   sp@x  \r\nPager: \r\nEmail: second\r\nnonsense") == {"Email": "  sp@x  ", "Pager": ""}


def test_bytes_that_are_not_utf8_come_back_as_they_were():
    assert ami_module._fields(b"Fullname: \xc9mile")["Fullname"].encode("utf-8", "surrogateescape") == b"\xc9mile"


def test_an_away_asterisk_is_said_at_once(tmp_path):
    fake = FakeAsterisk(tmp_path)
    fake.away()
    client = Ami(fake.address, "a", "b", timeout_s=5)
    began = time.monotonic()
    with pytest.raises(Unavailable):
        client.action("Ping")
    client.start()
    wait_until(lambda: "refused" in client.state)
    with pytest.raises(Unavailable, match="refused"):
        client.action("Ping")
    assert time.monotonic() - began < 3
    client.close()


def test_silence_ends_after_the_time_limit_and_a_late_answer_goes_nowhere(ami, fake):
    fake.silent = {"Ping"}
    with pytest.raises(Unavailable, match="within 0.1 s"):
        ami.action("Ping", timeout_s=0.1)
    fake.send(f"Response: Success\r\nActionID: {ami._token}-1\r\nPing: late\r\n\r\n".encode())
    fake.silent = set()
    assert ami.action("Ping").fields["Ping"] == "Pong"


def test_a_list_that_never_completes_ends_after_the_time_limit(ami, fake):
    fake.raw = {"VoicemailUsersList": b"Response: Success\r\nActionID: @ID@\r\nEventList: start\r\n\r\nEvent: X\r\nActionID: @ID@\r\n\r\n"}
    with pytest.raises(Unavailable, match="didn't answer"):
        ami.action("VoicemailUsersList", timeout_s=0.2)


def test_a_cut_fails_who_waits_and_the_connection_comes_back(ami, fake):
    fake.silent = {"Ping"}
    failures = []

    def ask():
        try:
            ami.action("Ping", timeout_s=20)
        except Unavailable as error:
            failures.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until(lambda: fake.actions)
    fake.cut()
    asking.join(5)
    assert "went away during Ping" in failures[0].message
    fake.silent = set()
    wait_until(lambda: ami.booted and fake.logins == 2)
    assert ami.action("Ping").ok


def test_a_restarted_asterisk_is_found_again_and_told_of(fake):
    booted = []
    client = Ami(fake.address, fake.user, lambda: fake.secret, on_booted=lambda: booted.append(client.booted))
    client.start()
    assert client.wait_booted(5)
    fake.away()
    wait_until(lambda: not client.booted)
    fake.secret = "another"         # the secret is asked for at each login
    fake.back()
    assert client.wait_booted(10)
    wait_until(lambda: booted == [True, True])
    client.close()


def test_until_fully_booted_it_counts_as_away(fake):
    fake.booted = False
    client = Ami(fake.address, fake.user, fake.secret)
    client.start()
    wait_until(lambda: "FullyBooted" in client.state)
    with pytest.raises(Unavailable, match="FullyBooted"):
        client.action("Ping")
    fake.boot()
    assert client.wait_booted(5) and client.state == "connected"
    client.close()


def test_a_refused_login_is_said_without_the_secret(fake, caplog):
    caplog.set_level(logging.DEBUG)
    client = Ami(fake.address, fake.user, "canary-secret")
    client.start()
    wait_until(lambda: "refused" in client.state)
    client.close()
    assert "canary" not in caplog.text + client.state + repr(client)


@pytest.mark.parametrize("secret", ["two\r\nlines", lambda: (_ for _ in ()).throw(OSError("no such file"))])
def test_a_secret_that_cannot_be_sent_makes_it_away(fake, secret, caplog):
    client = Ami(fake.address, fake.user, secret)
    client.start()
    wait_until(lambda: "not connected yet" not in client.state)
    client.close()
    assert fake.logins == 0 and "lines" not in caplog.text


@pytest.mark.parametrize("garbage", [
    b"\r\n\r\n\r\n\r\n", b"\xff\xfe\0\0\r\n\r\n", b"Response: Success\r\nActionID: nobody-1\r\n\r\n", b"ActionID: \r\n\r\n",
    b"Event: FullyBooted\r\n\r\n" * 3, b"Response\r\n: \r\n::\r\n\r\n",
])
def test_garbage_between_answers_harms_nothing(ami, fake, garbage):
    fake.send(garbage)
    assert ami.action("Ping").ok


def test_a_block_without_end_is_cut_off(ami, fake):
    try:
        for _ in range(40):
            fake.send(b"x" * 65536)
    except OSError:
        pass        # cut while we were sending
    wait_until(lambda: fake.logins == 2 and ami.booted, 10)


def test_an_answer_without_end_is_cut_off(ami, fake, monkeypatch):
    monkeypatch.setattr(ami_module, "ANSWER_BLOCKS", 50)
    start = b"Response: Success\r\nActionID: @ID@\r\nEventList: start\r\n\r\n"
    fake.raw = {"VoicemailUsersList": start + b"Event: X\r\nActionID: @ID@\r\n\r\n" * 60}
    with pytest.raises(Unavailable, match="too long"):
        ami.action("VoicemailUsersList")
    wait_until(lambda: ami.booted)


def test_a_silent_asterisk_is_asked_and_then_left(fake, monkeypatch):
    monkeypatch.setattr(ami_module, "TICK_S", 0.02)
    fake.silent = {"Ping"}
    client = Ami(fake.address, fake.user, fake.secret)
    client.start()
    wait_until(lambda: fake.logins == 2)
    assert ("Ping", {}) in fake.actions
    client.close()


def test_an_answering_asterisk_is_kept_however_quiet(fake, monkeypatch):
    monkeypatch.setattr(ami_module, "TICK_S", 0.02)
    client = Ami(fake.address, fake.user, fake.secret)
    client.start()
    wait_until(lambda: len(fake.actions) >= 3)
    assert fake.logins == 1
    client.close()


def test_a_login_that_is_never_answered_is_given_up(fake, monkeypatch):
    monkeypatch.setattr(ami_module, "TICK_S", 0.02)
    monkeypatch.setattr(ami_module, "LOGIN_S", 0.05)
    fake.raw = {}
    fake._log_in = lambda link, stream: stream.read() and False
    client = Ami(fake.address, fake.user, fake.secret)
    client.start()
    wait_until(lambda: "didn't answer the login" in client.state)
    client.close()


def test_events_are_handed_out_and_a_faulty_function_ends_nothing(fake):
    seen = []

    def on_event(fields):
        seen.append(fields)
        raise ValueError("a bug")

    client = Ami(fake.address, fake.user, fake.secret, on_event=on_event)
    client.start()
    assert client.wait_booted(5)
    fake.send(b"Event: PeerStatus\r\nPeer: PJSIP/100\r\n\r\n" * 2)
    wait_until(lambda: len(seen) == 2)
    assert seen[0] == {"Event": "PeerStatus", "Peer": "PJSIP/100"} and client.action("Ping").ok
    client.close()


def test_a_late_entry_of_a_list_is_not_taken_for_news(fake):
    seen = []
    client = Ami(fake.address, fake.user, fake.secret, on_event=seen.append)
    client.start()
    assert client.wait_booted(5)
    fake.send(f"Event: VoicemailUserEntry\r\nActionID: {client._token}-99\r\n\r\nEvent: PeerStatus\r\n\r\n".encode())
    wait_until(lambda: seen)
    assert seen == [{"Event": "PeerStatus"}]
    client.close()


def test_asking_from_the_readers_thread_is_refused_rather_than_waiting_for_itself(fake):
    refused = []

    def on_booted():
        try:
            client.action("Ping")
        except RuntimeError as error:
            refused.append(error)

    client = Ami(fake.address, fake.user, fake.secret, on_booted=on_booted)
    client.start()
    wait_until(lambda: refused)
    client.close()


def test_closing_is_quick_and_wakes_who_waits(ami, fake):
    fake.silent = {"Ping"}
    failures = []

    def ask():
        try:
            ami.action("Ping", timeout_s=20)
        except Unavailable as error:
            failures.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until(lambda: fake.actions)
    began = time.monotonic()
    ami.close()
    asking.join(2)
    assert failures and time.monotonic() - began < 2
    assert not ami.booted


def test_attempts_to_connect_become_rarer_but_not_too_rare(monkeypatch, tmp_path):
    fake = FakeAsterisk(tmp_path)
    fake.away()
    monkeypatch.setattr(ami_module, "RETRY_S", (0.01, 0.05))
    client = Ami(fake.address, "a", "b")
    pauses = []
    waiting = client._closing.wait
    client._closing.wait = lambda timeout: (pauses.append(timeout), waiting(timeout))[1]
    client.start()
    wait_until(lambda: len(pauses) >= 8)
    client.close()
    assert pauses[0] <= 0.01 and max(pauses) <= 0.05 and pauses[5] >= 0.025
