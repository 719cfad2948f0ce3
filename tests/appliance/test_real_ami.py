"""The AMI client against Asterisk 22 and 16: what the fake only claims."""

import time

import pytest

from agent.asterisk.ami import ACTIONS, Ami


def wait_until(holds, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it didn't come about in time"
        time.sleep(0.01)


def test_it_logs_in_and_is_told_fully_booted(ami, appliance):
    assert ami.state == "connected"
    assert ami.action("CoreSettings").fields["AsteriskVersion"] == appliance.facts["version"]


@pytest.mark.parametrize("action", sorted(ACTIONS - {"Login", "Logoff"}))
def test_the_agents_account_may_do_all_it_ever_asks_for(ami, action):
    message = ami.action(action, [("Module", "nope.so")] if action == "Reload" else []).message
    assert "denied" not in message.lower() and "unknown command" not in message.lower()


def test_a_line_at_our_limit_is_one_that_asterisk_takes(ami):
    response = ami.action("VoicemailUserStatus", [("Mailbox", "1" * (1000 - len("Mailbox: "))), ("Context", "default")])
    assert response.ok and response.events == []


def test_a_hundred_headers_are_what_asterisk_takes(ami):
    assert ami.action("Ping", [(f"X{number}", "y") for number in range(100)]).ok


def test_a_list_of_thousands_arrives_whole(ami, appliance, reload):
    mailboxes = "".join(f"{number} => 1234,User {number},u{number}@example.org\n" for number in range(10000, 14000))
    appliance.write("voicemail.conf", f"[general]\n[default]\n{mailboxes}")
    reload.apply(["app_voicemail.so"])
    for _ in range(5):
        response = ami.action("VoicemailUsersList")
        assert len(response.events) == 4000 == int(response.summary["ListItems"])


def test_a_refused_login_stays_away(appliance):
    client = Ami(appliance.address, appliance.user, "wrong")
    client.start()
    wait_until(lambda: "refused" in client.state)
    client.close()


def test_a_restarted_asterisk_is_found_again(ami, appliance):
    booted = []
    ami.on_booted = lambda: booted.append(True)
    appliance.cli("core restart now")
    wait_until(lambda: booted and ami.booted)
    assert ami.action("Ping").ok
