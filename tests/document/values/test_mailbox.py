"""values/mailbox.py: a value seen as its parts, of which the untouched ones keep their bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.document.values import MailboxLine, is_true


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=60))
def test_any_value_comes_back_as_it_was(value):
    assert str(MailboxLine.parse(value)) == value


@given(st.text("ab,|= ", max_size=30), st.sampled_from(["password", "fullname", "email", "pager"]))
def test_a_changed_part_leaves_the_others(value, name):
    before = MailboxLine.parse(value)
    after = MailboxLine.parse(str(before.replace(**{name: "new"})))
    assert getattr(after, name) == "new"
    assert [getattr(after, other) or "" for other in MailboxLine._fields if other != name] == [
        getattr(before, other) or "" for other in MailboxLine._fields if other != name]


@pytest.mark.parametrize("value, changes, result", [
    ("1234", {"fullname": "Ada"}, "1234,Ada"),
    ("1234,Ada", {"email": ""}, "1234,Ada"),
    ("1234,Ada,a@b", {"email": ""}, "1234,Ada,"),
    ("1234", {"email": "a@b"}, "1234,,a@b"),
    ("1234, Ada ,,555,tz=x", {"password": "9"}, "9, Ada ,,555,tz=x"),
    ("", {"password": "9"}, "9"),
])
def test_parts_are_set_where_they_belong(value, changes, result):
    assert str(MailboxLine.parse(value).replace(**changes)) == result


@pytest.mark.parametrize("value, result", [
    ("1,,,", "1,,,,delete=yes"),
    ("1,,,,tz=x", "1,,,,tz=x|delete=yes"),
    ("1,,,,tz=x|delete=no|attach=yes", "1,,,,tz=x|delete=yes|attach=yes"),
    ("1,,,,DELETE=no|delete=no", "1,,,,DELETE=no|delete=yes"),
    ("1,,,,deletevoicemail=no", "1,,,,deletevoicemail=yes"),
    ("1,,,,delete", "1,,,,delete|delete=yes"),
])
def test_an_option_is_set_where_the_last_of_its_names_stands(value, result):
    assert str(MailboxLine.parse(value).with_option("yes", "delete", "deletevoicemail")) == result


def test_the_last_option_wins_as_in_asterisk():
    assert MailboxLine.parse("1,,,,attach=yes|tz=x|Attach=no").option("attach") == "no"
    assert MailboxLine.parse("1,,,").option("attach") is None


def test_an_option_is_removed_with_all_its_names():
    line = MailboxLine.parse("1,,,,delete=yes|tz=x|deletevoicemail=yes").without_option("delete", "deletevoicemail")
    assert str(line) == "1,,,,tz=x"


@pytest.mark.parametrize("text, meaning",
                         [("yes", True), ("TRUE", True), ("1", True), ("on", True), ("y", True), ("no", False), ("2", False),
                                           ("", False), ("yes ", False), ("yes\n", False), (None, False)])
def test_truth_is_asterisks(text, meaning):
    assert is_true(text) is meaning
