"""What all interpretations promise: any text comes back as it was, a changed part leaves the others, and what isn't understood is kept.

That they read as Asterisk does is proved in tests/appliance/test_real_values.py.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.document.values import (AccessLine, AccessList, CodecList, ExtensionLine, MailboxLine, QueueMember, effective_codecs, is_false,
                                   is_true)
from agent.errors import Invalid
from tests.document.values import generate

TEXT = st.one_of(st.text("ab1,|()[]/&=!+\\\"n ._-:", max_size=25), st.text(max_size=25))
KINDS = [ExtensionLine.parse, lambda text: ExtensionLine.parse(text, "same"), QueueMember.parse,
         lambda text: QueueMember.parse(text, has_paused=False),
         CodecList.parse, AccessLine.parse, MailboxLine.parse]


@pytest.mark.parametrize("parse", KINDS)
@given(text=TEXT)
def test_any_value_comes_back_as_it_was(parse, text):
    assert str(parse(text)) == text


@given(text=TEXT, data=st.data())
def test_a_changed_part_leaves_all_others_or_is_refused(text, data):
    kind = data.draw(st.sampled_from([ExtensionLine.parse, QueueMember.parse]))
    before = kind(text)
    name = data.draw(st.sampled_from(before.PARTS))
    wanted = data.draw(st.one_of(st.none(), st.text("abc1,(\\", min_size=1, max_size=4)))
    try:
        after = kind(str(before.replace(**{name: wanted})))
    except Invalid:
        return
    assert getattr(after, name) == wanted
    if wanted is not None:
        assert [getattr(after, each) for each in before.PARTS if each != name and getattr(before, each)] == [
            getattr(before, each) for each in before.PARTS if each != name and getattr(before, each)]


@pytest.mark.parametrize("value, parts", [
    ("100,1,NoOp()", dict(extension="100", priority="1", application="NoOp", arguments="", label=None, cidmatch=None)),
    ("_1XX/555, n+2(in) , Dial(PJSIP/100,30,t)",
     dict(extension="_1XX", cidmatch="555", priority="n", plus="2", label="in", application="Dial", arguments="PJSIP/100,30,t")),
    ("100,hint,PJSIP/100&Custom:x,CustomPresence:p", dict(kind="hint", devices=["PJSIP/100", "Custom:x"], presence="CustomPresence:p")),
])
def test_an_extension_line_is_seen_as_its_parts(value, parts):
    line = ExtensionLine.parse(value)
    assert {name: getattr(line, name) for name in parts} == parts and line.understood


@pytest.mark.parametrize("value, changes, result", [
    ("100, n(in) ,Dial(PJSIP/100,30)   ", dict(arguments="PJSIP/101,20"), "100, n(in) ,Dial(PJSIP/101,20)   "),
    ("100,n,NoOp(x)", dict(label="here"), "100,n(here),NoOp(x)"),
    ("100,n(here),NoOp(x)", dict(label=None), "100,n,NoOp(x)"),
    ("100,1,NoOp(a(b)c)", dict(extension="101"), "101,1,NoOp(a(b)c)"),
])
def test_an_extension_line_is_changed_in_place(value, changes, result):
    assert str(ExtensionLine.parse(value).replace(**changes)) == result


@pytest.mark.parametrize("value", ["", "100", "100,", "100,0,NoOp()", "100,1", "100,n(x,NoOp()", "${X},1,NoOp()"])
def test_a_line_asterisk_would_drop_is_kept_and_says_why(value):
    line = ExtensionLine.parse(value)
    assert not line.understood and line.problem and str(line) == value


def test_a_queue_member_is_seen_as_its_parts_and_changed_in_place():
    member = QueueMember.parse('PJSIP/100,5,"Lovelace, Ada",Custom:x,yes')
    assert (member.interface, member.penalty_number, member.membername, member.state_interface, member.rings_in_use) == (
        "PJSIP/100", 5, "Lovelace, Ada", "Custom:x", True)
    assert str(member.replace(penalty="7")) == 'PJSIP/100,7,"Lovelace, Ada",Custom:x,yes'
    assert QueueMember.parse(str(member.replace(membername="A, B"))).membername == "A, B"


def test_an_access_list_lets_in_by_the_last_rule_that_matches():
    rules = AccessList.parse([("deny", "0.0.0.0/0.0.0.0"), ("permit", "10.0.0.0/8,!10.1.0.0/16"), ("permit", "fd00::/8")])
    assert rules.understood
    assert [rules.permits(each) for each in ("10.0.0.1", "10.1.0.1", "192.0.2.1", "fd00::1")] == [True, False, False, True]


def test_codecs_are_the_list_that_allow_and_disallow_give_together():
    found = effective_codecs([("allow", "g722"), ("disallow", "all"), ("allow", "ulaw, alaw:20"), ("allow", "!ulaw,gsm")])
    assert found.codecs == (("alaw", 20), ("gsm", 0)) and found.problems == ()
    assert effective_codecs([("allow", "ulaw,nosuch")]).problems == ("there is no codec 'nosuch'",)


def test_generated_lists_come_back_as_they_were():
    for seed in range(200):
        assert all(str(CodecList.parse(value)) == value for _, value in generate.codec_lists(seed))
        assert all(str(AccessLine.parse(value, sense)) == value for sense, value in generate.access_list(seed))


@pytest.mark.parametrize("text, meaning",
                         [("yes", (True, False)), ("Off", (False, True)), ("", (False, False)), ("maybe", (False, False)),
                          ("ſ", (False, False))])
def test_a_flag_may_be_neither_true_nor_false(text, meaning):
    assert (is_true(text), is_false(text)) == meaning
