"""Reloading and reading back against Asterisk 22 and 16, and that the fake Asterisk of the quick tests answers as they do."""

import pytest

from agent.asterisk.ami import Ami
from agent.errors import Rejected
from tests.fakes.asterisk import FakeAsterisk

MODULES = ["app_voicemail.so"]
HEAD = "[general]\nformat = wav\n\n[default]\n"


def box(number, **properties):
    return ("mailbox", f"{number}@default", properties)


def reasons_of(reload, expectations, modules=MODULES):
    with pytest.raises(Rejected) as caught:
        reload.apply(modules, expectations)
    return caught.value.reasons


def test_a_change_is_taken_and_seen(reload, appliance):
    appliance.write("voicemail.conf", HEAD + "100 => 1234,Ada King,a@x|b@y\n101 => 5,Émile\n")
    ada, emile = box(100, Fullname="Ada King", Email="a@x|b@y"), box(101, Fullname="Émile", Email="")
    reload.apply(MODULES, [ada, emile, ("mailbox", "102@default", None)])


def test_bytes_that_are_not_utf8_are_compared_too(reload, appliance):
    appliance.write("voicemail.conf", HEAD.encode() + b"100 => 1234,\xc9mile \x93x\n")
    reload.apply(MODULES, [box(100, Fullname=b"\xc9mile \x93x".decode("utf-8", "surrogateescape"))])


@pytest.mark.parametrize("options, delete, attach", [
    ("delete=yes", "Yes", "Yes"), ("deletevoicemail=yes", "Yes", "Yes"), ("delete=1|attach=no", "Yes", "No"), ("attach=0", "No", "No"),
    ("deletevoicemail=yes|delete=no", "No", "Yes"), ("delete=no|deletevoicemail=yes", "Yes", "Yes"), ("foo=bar", "No", "Yes"),
    ("", "No", "Yes"), ("delete = yes", "No", "Yes"), ("DELETE=YES", "Yes", "Yes"), ("delete=on", "Yes", "Yes"), ("delete=maybe", "No", "Yes"),
])
def test_how_options_are_spelled_and_the_last_one_wins(reload, appliance, options, delete, attach):
    appliance.write("voicemail.conf", HEAD + f"100 => 1234,Ada,,,{options}\n")
    reload.apply(MODULES, [box(100, DeleteMessage=delete, AttachMessage=attach)])


def test_the_general_attach_counts_where_the_mailbox_says_nothing(reload, appliance):
    appliance.write("voicemail.conf", "[general]\nattach = no\n[default]\n100 => 1,Ada\n101 => 1,Bea,,,attach=yes\n")
    reload.apply(MODULES, [box(100, AttachMessage="No"), box(101, AttachMessage="Yes")])


def test_of_two_lines_for_one_mailbox_the_first_counts(reload, appliance):
    appliance.write("voicemail.conf", HEAD + "100 => 1,First\n100 => 2,Second\n")
    reload.apply(MODULES, [box(100, Fullname="First")])
    reasons = reasons_of(reload, [box(100, Fullname="Second")])
    assert reasons[0].endswith('Fullname should be "Second", is "First"') and "duplicated mailbox 100" in reasons[1]


def test_a_template_gives_its_child_its_mailboxes_and_has_none_itself(reload, appliance):
    appliance.write("voicemail.conf", "[general]\n[t](!)\n900 => 1,T\n[child](t)\n901 => 2,C\n")
    reload.apply(MODULES, [("mailbox", "900@child", {"Fullname": "T"}), ("mailbox", "901@child", {}), ("mailbox", "900@t", None)])


def test_a_broken_file_is_a_success_to_asterisk_and_rejected_by_us(reload, appliance):
    appliance.write("voicemail.conf", "[general\n[default]\n100 => 90210canary,New Name\n")
    reasons = reasons_of(reload, [box(100, Fullname="New Name")])
    assert reasons[0] == 'mailbox 100@default: Fullname should be "New Name", is "Ada Lovelace"'
    assert any("no closing ']', line 1" in each for each in reasons[1:])
    assert "canary" not in "".join(reasons)


def test_a_name_that_asterisk_cuts_is_rejected(reload, appliance):
    appliance.write("voicemail.conf", HEAD + f"100 => 1,{'n' * 80}\n101 => 1,{'n' * 79}\n")
    reload.apply(MODULES, [box(101, Fullname="n" * 79)])
    assert "should be" in reasons_of(reload, [box(100, Fullname="n" * 80)])[0]


def test_a_file_without_mailboxes_has_none(reload, appliance):
    appliance.write("voicemail.conf", "[general]\n")
    reload.apply(MODULES, [("mailbox", "100@default", None)])


def test_a_module_that_is_not_there_is_refused(reload):
    assert reasons_of(reload, [], ["nope.so"])[0] == "reload of nope.so: No such module"


def test_an_option_that_confbridge_refuses_is_rejected_with_its_words(reload, appliance):
    appliance.write("confbridge.conf", "[sales]\ntype = bridge\nmax_members = many\n")
    reasons = reasons_of(reload, [], ["app_confbridge.so"])
    assert reasons[0].startswith("reload of app_confbridge.so: ") and any("max_members" in each for each in reasons[1:])


def test_many_mailboxes_at_once_are_the_same_as_one_by_one(reload, appliance):
    appliance.write("voicemail.conf", HEAD + "".join(f"{number} => 1,Name {number}\n" for number in range(200, 300)))
    reload.apply(MODULES, [box(number, Fullname=f"Name {number}", Email="") for number in range(200, 300)])


def test_a_password_gets_its_caller_in_and_another_does_not(reload, appliance):
    appliance.write("voicemail.conf", HEAD + "100 => 4711,Ada\n101 => -4712,Bea\n")
    reload.apply(MODULES, [box(100)])
    assert appliance.authenticates("100@default", "4711") and appliance.authenticates("101@default", "4712")
    assert not appliance.authenticates("100@default", "4712") and not appliance.authenticates("102@default", "4711")


PARITY = """\
[general]
attach = yes
aliasescontext = aliases
[zonemessages]
eastern = America/New_York|'vm-received' Q
[t](!)
900 => 1,T
[default]
100 => 1234,Ada Lovelace,ada@example.org
100 => 9,Second
101 =>
102 => 12,Émile,a@x|b@y,p@z,attach=yes|delete=yes|tz=central|serveremail=s@e|language=fr_FR|saycid=yes
108 => 12,Zoë,,,callback=cb|dialout=do|exitcontext=ec
103 => 12,N,,,deletevoicemail=yes|attach=no|review=yes|operator=yes|fromstring=F S|attachfmt=gsm|maxmsg=50|envelope=no
104 = -12
105 => 5,With\\;semi,  sp@x  ,  ; a comment
;-- 106 => 1,Hidden
--;
[other]
100 => 77,Other Ada
[aliases]
555@default => 100@default
[child](t)
901 => 2,C
[default](+)
107 => 1,Added
"""


def test_the_fake_asterisk_answers_as_the_real_one_does(reload, ami, appliance, tmp_path):
    (tmp_path / "voicemail.conf").write_text(PARITY)
    appliance.write("voicemail.conf", PARITY)
    reload.apply(MODULES)
    with FakeAsterisk(tmp_path) as fake:
        other = Ami(fake.address, fake.user, fake.secret)
        other.start()
        assert other.wait_booted(5)
        for name, headers in (
            ("VoicemailUsersList", []), ("VoicemailUserStatus", [("Mailbox", "103"), ("Context", "default")]),
            ("VoicemailUserStatus", [("Mailbox", "1"), ("Context", "default")]), ("Reload", [("Module", "app_voicemail.so")]),
        ):
            assert _told(other.action(name, headers)) == _told(ami.action(name, headers))
        other.close()


def _told(response):
    """All of an answer but the ActionIDs, and a field that 16 lacks."""
    blocks = [response.fields, *response.events, response.summary]
    return [{name: text for name, text in block.items() if name not in ("ActionID", "CanMarkUrgent")} for block in blocks]
