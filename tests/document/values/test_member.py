"""member.py: a queue's member as its parts, of which the untouched ones keep their bytes."""

import pytest

from agent.document.values import QueueMember
from agent.errors import Invalid


@pytest.mark.parametrize("value, parts", [
    ("PJSIP/1", ["PJSIP/1"] + [None] * 6),
    ("PJSIP/1 , 5 , Ada L ,Custom:x , yes ,9 , no ", ["PJSIP/1 ", " 5", " Ada L", "Custom:x", " yes", "9", " no"]),
    ('"PJSIP/1",5,"Lovelace, Ada",,no', ["PJSIP/1", "5", "Lovelace, Ada", "", "no", None, None]),
    ("P\\,1,5,a(b,c),[x,y]", ["P,1", "5", "a(b,c)", "[x,y]", None, None, None]),
    ('P,1,a)b,"c,d', ["P", "1", "a)b", "c,d", None, None, None]),
    ('P,,,,,"5",yes,rest', ["P", "", "", "", "", "5", "yes,rest"]),
    ('P,,,,,5,"yes"', ["P", "", "", "", "", "5", '"yes"']),
    ("P,", ["P", ""] + [None] * 5),
    ("P,5\\", ["P", "5"] + [None] * 5),
    ("P,1,   ,x", ["P", "1", "   ", "x", None, None, None]),
    ("", [None] * 7),
])
def test_the_parts_are_what_asterisk_takes(value, parts):
    member = QueueMember.parse(value)
    assert [getattr(member, name) for name in QueueMember.PARTS] == parts and str(member) == value


def test_asterisk_16_has_no_paused_and_wrapuptime_is_the_rest():
    member = QueueMember.parse('P,,,,,"9",yes', has_paused=False)
    assert (member.wrapuptime, member.wrapuptime_s, member.paused, member.is_paused) == ('"9",yes', 0, None, False)


@pytest.mark.parametrize("value, meaning", [
    ("P", ("P", "P", 0, None, 0, False)),
    ('P,5x,"Ada",Custom:y,oN,7s,t', ("Ada", "Custom:y", 5, True, 7, True)),
    ("P,-5,,,f,-1,f", ("P", "P", 0, False, 0, False)),
    ("P,3000000000,,, yes,x,maybe", ("P", "P", 0, None, 0, False)),
])
def test_their_meaning_is_asterisks(value, meaning):
    member = QueueMember.parse(value)
    assert (member.shown_name, member.watched_interface, member.penalty_number, member.rings_in_use, member.wrapuptime_s,
            member.is_paused) == meaning


@pytest.mark.parametrize("value, changes, result", [
    ("PJSIP/1,5,Ada", {"penalty": "7"}, "PJSIP/1,7,Ada"),
    ('PJSIP/1,5 ,"A, B" , x', {"penalty": "7"}, 'PJSIP/1,7 ,"A, B" , x'),
    ("PJSIP/1", {"membername": "Ada"}, "PJSIP/1,,Ada"),
    ("PJSIP/1,5,x", {"membername": 'A "B", (C'}, 'PJSIP/1,5,A \\"B\\"\\, \\(C'),
    ("PJSIP/1,,,,no", {"paused": "yes", "wrapuptime": "5"}, "PJSIP/1,,,,no,5,yes"),
    ("PJSIP/1,5,Ada", {"membername": None}, "PJSIP/1,5"),
    ('"PJSIP/1",5', {"interface": "PJSIP/2"}, "PJSIP/2,5"),
    ('"PJSIP/1",5', {"interface": "PJSIP/1"}, '"PJSIP/1",5'),
    ("PJSIP/1,5", {"membername": ""}, "PJSIP/1,5"),
    ("PJSIP/1,5,Ada,,no,5", {"membername": ""}, "PJSIP/1,5,,,no,5"),
])
def test_a_changed_part_is_all_that_changes(value, changes, result):
    assert str(QueueMember.parse(value).replace(**changes)) == result


@pytest.mark.parametrize("value, changes", [
    ("P,5,Ada", {"penalty": None}), ("P,5,Ada", {"membername": "Ada "}), ("P(,1", {"membername": "x"}), ("P,1\\", {"membername": "x"}),
    ("P", {"interface": None})])
def test_what_would_say_something_else_is_refused(value, changes):
    with pytest.raises(Invalid):
        QueueMember.parse(value).replace(**changes)


def test_paused_cannot_be_written_for_an_asterisk_without_it():
    with pytest.raises(Invalid):
        QueueMember.parse("P,,,,,5", has_paused=False).replace(paused="yes")


@pytest.mark.parametrize("value",
                         ["", ",1", "P" * 80, "P,1," + "ä" * 40, "P,x", "P,-1", "P,5x", "P,,,,maybe", "P,,,, yes", "P,,,,,x",
                          "P,,,,,,yes,no", "P,3000000000"])
def test_what_is_not_understood_says_why(value):
    assert QueueMember.parse(value).problem and not QueueMember.parse(value).understood


@pytest.mark.parametrize("value", ["P", "P,", "P, 5 ,Ada", "P,5,Ada,Custom:x,no,9,yes", 'P,"5"'])
def test_what_is_understood_has_no_problem(value):
    assert QueueMember.parse(value).problem is None
