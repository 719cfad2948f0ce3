"""text.py: what may be stored so that it stays one value on one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import Invalid
from agent.resources import text


@pytest.mark.parametrize("value", ["Ada", "Jürgen Ünal", "李小龍", "O'Brien (Sales)", "a & b", "100 $", "", "-", "= x", "#1"])
def test_names_of_people_are_taken(value):
    assert text.free("name", value, maximum_bytes=79) == value


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\x00b", "a\tb", "a\x1bb", "a\x7fb", "a\x85b", "a\u2028b", "a;b", "a,b", "a|b", "a\\b", 'a"b', "<b>", "[b]",
                                   "${SHELL(id)}", "$[1+1]", "--;", "\udcff"])
def test_what_would_mean_something_else_is_refused_by_name(value):
    with pytest.raises(Invalid) as caught:
        text.free("fullname", value, maximum_bytes=79)
    assert list(caught.value.fields) == ["fullname"]


def test_length_is_counted_in_bytes_as_asterisk_does():
    assert text.free("name", "ü" * 39, maximum_bytes=79)
    with pytest.raises(Invalid, match="longer than 79 bytes"):
        text.free("name", "ü" * 40, maximum_bytes=79)


@given(st.text(max_size=50), st.integers(0, 90))
def test_cutting_never_leaves_half_a_character(value, size):
    value = value.encode("utf-8", "ignore").decode()
    cut = text.cut(value, size)
    assert value.startswith(cut) and len(cut.encode()) <= size


def test_patterns_match_whole_strings_and_ascii_digits_only():
    assert text.matching("n", "123", r"[0-9]+", "digits") == "123"
    for value in ("123\n", "١٢٣", "1 2", ""):
        with pytest.raises(Invalid, match="n must be digits"):
            text.matching("n", value, r"[0-9]+", "digits")
