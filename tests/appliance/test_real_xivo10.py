"""The walking appliance: the agent as a process, XiVO 1.0 over HTTP and TLS, and the real Asterisk 22 and 16 answering for every mailbox."""

import difflib

import pytest

from tests.process import AgentProcess

COMMENTED = """; voicemail.conf, kept by hand since 2009 ¶
[general]
format = wav49|gsm|wav\t; first one is sent
attach=yes
;-- emailbody=old
   text --;
[zonemessages]
european=Europe/Copenhagen|'vm-received' a d b 'digits/at' HM

[quiet](!)\t\t; for rooms
900 => 9,Ringing Room

[default]
  100 =>  1234,Ada Lovelace,ada@example.org,,tz=european|attach=no   ; front desk ¶
101=>-4242,Charles\t; cannot change his password
;102 => 1,Commented Out

[rooms](quiet)
901 => 1,Émile
""".replace("¶", "").replace("\n;102", "\r\n;102")


@pytest.fixture
def agent(appliance, tmp_path):
    appliance.write("voicemail.conf", COMMENTED)
    appliance.cli("module reload app_voicemail.so")
    with AgentProcess(tmp_path, etc=appliance.config_dir, spool=appliance.spool_dir, log=appliance.log_dir, ami=appliance.facts["ami"],
                      ami_user=appliance.user, ami_secret=appliance.secret) as process:
        until_connected(process)
        yield process


def until_connected(process):
    for _ in range(500):
        if process.request("GET", "/agent/1.0/status")[2]["asterisk"] == "connected":
            return
    raise AssertionError(process.log.read_text())


def mailboxes(ami):
    """{"100@default": fields} as Asterisk itself lists them."""
    events = ami.action("VoicemailUsersList").events
    return {f"{each['VoiceMailbox']}@{each['VMContext']}": each for each in events if "VoiceMailbox" in each}


def changed_lines(appliance, before):
    """The lines taken away and added since, split as Asterisk does, on LF only."""
    lines = [data.decode().split("\n") for data in (before, (appliance.config_dir / "voicemail.conf").read_bytes())]
    return [line for line in difflib.ndiff(*lines) if line[0] in "+-"]


def test_a_mailbox_made_by_post_is_listed_by_asterisk_and_opens_with_its_password(agent, appliance, ami):
    before = (appliance.config_dir / "voicemail.conf").read_bytes()
    body = {"mailbox": "123", "password": "4711", "fullname": "Jürgen Ünal", "email": "j@example.org", "attach": 0, "deleteaftersend": 1}
    status, headers, _ = agent.request("POST", "/1.0/voicemails/", body, tls=True, account="ada:s3cret")
    assert status == 201 and headers["Location"].startswith(f"https://localhost:{agent.https}/1.0/voicemails/")
    found = mailboxes(ami)["123@default"]
    assert {name: found[name] for name in ("Fullname", "Email", "AttachMessage", "DeleteMessage")} == {
        "Fullname": "Jürgen Ünal", "Email": "j@example.org", "AttachMessage": "No", "DeleteMessage": "Yes"}
    assert appliance.authenticates("123@default", "4711") and not appliance.authenticates("123@default", "4712")
    assert changed_lines(appliance, before) == ["+ 123=>4711,Jürgen Ünal,j@example.org,,attach=no|delete=yes\r"]     # as its neighbour ends


def test_a_change_is_a_diff_of_exactly_one_line_and_asterisk_has_it(agent, appliance, ami):
    before = (appliance.config_dir / "voicemail.conf").read_bytes()
    number = the_id(agent, "100")
    assert agent.request("PUT", f"/1.0/voicemails/{number}", {"password": "7895", "email": "xivo@avencall.com"})[0] == 200
    assert changed_lines(appliance, before) == [
        "-   100 =>  1234,Ada Lovelace,ada@example.org,,tz=european|attach=no   ; front desk ",
        "+   100 =>  7895,Ada Lovelace,xivo@avencall.com,,tz=european|attach=no   ; front desk "]
    assert mailboxes(ami)["100@default"]["Email"] == "xivo@avencall.com"
    assert appliance.authenticates("100@default", "7895")


def test_a_deleted_mailbox_is_gone_from_asterisk_and_undo_brings_it_back(agent, appliance, ami):
    before = (appliance.config_dir / "voicemail.conf").read_bytes()
    assert agent.request("DELETE", f"/1.0/voicemails/{the_id(agent, '101')}")[0] == 200
    assert changed_lines(appliance, before) == ["- 101=>-4242,Charles\t; cannot change his password\r"]
    assert "101@default" not in mailboxes(ami)
    assert agent.run("undo").returncode == 0
    assert (appliance.config_dir / "voicemail.conf").read_bytes() == before
    assert "101@default" in mailboxes(ami)


def test_what_an_admin_types_between_two_requests_survives_and_is_served(agent, appliance, ami):
    number = the_id(agent, "100")
    file = appliance.config_dir / "voicemail.conf"
    appliance.write("voicemail.conf", file.read_bytes().replace(b"[default]\n", b"[default]\n55 => 5,Typed In Vim  ; new\n"))
    assert agent.request("PUT", f"/1.0/voicemails/{number}", {"password": "1"})[0] == 200
    assert b"55 => 5,Typed In Vim  ; new\n" in file.read_bytes()
    assert mailboxes(ami)["55@default"]["Fullname"] == "Typed In Vim"
    assert agent.request("GET", f"/1.0/voicemails/{the_id(agent, '55')}")[2]["fullname"] == "Typed In Vim"


def test_a_new_name_of_a_user_is_the_name_asterisk_says(agent, ami):
    number = the_id(agent, "100")
    headers = agent.request("POST", "/1.0/users", {"firstname": "Ada", "lastname": "Byron", "voicemailid": number})[1]
    user = headers["Location"].rpartition("/")[2]
    assert agent.request("PUT", f"/1.0/users/{user}", {"lastname": "King"})[0] == 200
    assert mailboxes(ami)["100@default"]["Fullname"] == "Ada King"


def test_templates_and_contexts_are_listed_as_asterisk_has_them(agent, ami):
    ours = {(each["mailbox"], each["fullname"]) for each in agent.request("GET", "/1.0/voicemails/")[2]["items"]}
    theirs = {(each["VoiceMailbox"], each["Fullname"]) for each in mailboxes(ami).values()}
    assert ours == theirs and ("900", "Ringing Room") in ours


def test_asterisk_stopped_the_change_waits_and_is_told_when_it_is_back(agent, appliance, ami):
    number = the_id(agent, "100")
    appliance.cli("core restart now")
    until(lambda: agent.request("GET", "/agent/1.0/status")[2]["asterisk"] != "connected")
    status, headers, _ = agent.request("PUT", f"/1.0/voicemails/{number}", {"password": "8642"})
    assert status == 200
    until(lambda: agent.request("GET", "/agent/1.0/status")[2] == {"version": "0.1.0", "asterisk": "connected", "pending": []})
    assert appliance.authenticates("100@default", "8642")


def until(claim, times=2000):
    for _ in range(times):
        if claim():
            return
    raise AssertionError("it never came true")


def the_id(agent, mailbox):
    return next(each["id"] for each in agent.request("GET", "/1.0/voicemails/")[2]["items"] if each["mailbox"] == mailbox)
