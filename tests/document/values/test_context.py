"""context.py: the lines of a context read together; that Asterisk does the same is proved in tests/appliance/test_real_values.py."""

import pytest

from agent.document.values import PRIORITY_HINT, Context


def context(*lines):
    return Context([("same", line[1:]) if line.startswith(">") else ("exten", line) for line in lines])


def priorities(*lines):
    return {step.index: step.priority for step in context(*lines).steps}


@pytest.mark.parametrize("lines, numbers", [
    (["100,1,A", ">n,B", ">n+2,C", ">s+10,D", "101,1,E"], [1, 2, 5, 15, 1]),
    (["100,1(top),A", "100,top+5,B", ">next,C"], [1, 6, 7]),
    (["100,1,A", "101,n,B"], [1, 2]),
    (["100,1x,A", ">1 2,B", ">2,C"], [1, None, 2]),
    (["100,n,A"], [None]),
    ([">n,A", "100,1,B"], [None, 1]),
    (["100,hint,Custom:a", ">n,A", ">n,B"], [PRIORITY_HINT, None, None]),
    (["100,hint,Custom:a", ">1,A", ">n,B"], [PRIORITY_HINT, 1, 2]),
    (["100,1,A", "100,1,B", ">n,C"], [1, None, 2]),
    (["100,4294967297,A", "100,99999999999999999999,B", "100,0,C"], [1, None, None]),
    (["1 0 0,1(top),A", "1 0 0,top+1,B"], [1, None]),
    (["100/555,1(top),A", "100,top+1,B"], [1, None]),
    (["100,1(top),A", "100/555,top+1,B"], [1, 2]),
    (["100,1(top,A", "100,2,B"], [None, 2]),
    ([",1,A", ">n,B"], [None, None]),
])
def test_priorities_are_what_they_stand_for_or_the_line_is_dropped(lines, numbers):
    found = context(*lines)
    assert priorities(*lines) == {index: number for index, number in enumerate(numbers) if number is not None}
    assert sorted(found.dropped) == [index for index, number in enumerate(numbers) if number is None] and all(found.dropped.values())


def test_an_extension_is_kept_without_blanks_and_a_callerid_shrunk():
    steps = context(" 1 0-0 /(555) 12-3.4.,1,A", "_[1 -5]X Y,1,B").steps
    assert [(step.extension, step.cidmatch) for step in steps] == [("10-0", "5551234."), ("_[1 -5]XY", None)]


def test_dashes_and_the_spelling_of_a_pattern_make_no_other_extension():
    assert priorities("100,1,A", "1-00,1,B", "_1xx,1,C", "_1XX,1,D", "_[12],1,E", "_[1-2],1,F") == {0: 1, 2: 1, 4: 1}


def test_a_same_line_goes_on_with_the_callerid_too():
    assert [step.cidmatch for step in context("100/555,1,A", ">n,B").steps] == ["555", "555"]


def test_a_label_given_twice_is_lost_and_its_line_stays():
    found = context("100,1(top),A", ">n(top),B")
    assert [step.label for step in found.steps] == ["top", None] and list(found.unlabelled) == [1]


def test_an_extension_longer_than_asterisks_buffer_is_cut():
    assert [(len(step.extension), step.cidmatch) for step in context("1" * 300 + ",1,A", "1" * 253 + "/234,1,A").steps] == [(255, None),
                                                                                                                            (253, "2")]


def test_other_variables_of_a_context_are_passed_over():
    found = Context([("include", "other"), ("Exten", "100,1,A"), ("sameish", "n,B"), ("ignorepat", "9")])
    assert [(step.index, step.priority) for step in found.steps] == [(1, 1), (2, 2)] and not found.dropped


def test_the_steps_of_an_extension_come_by_priority():
    assert [step.application for step in context("100,2,B", "101,1,X", "100,1,A", "100,hint,Custom:a").of("100")] == ["Custom:a", "A", "B"]


@pytest.mark.parametrize("lines, deadly", [
    (["5-5,hint,Custom:a", "100,1(top),A", "100,top+5,B", "5-5,1,C"], [2]),
    (["100,2,A", "7,nowhere,B", "1-00,hint,Custom:a", "100,5,C"], [1]),
    (["_1XX,2,A", "7,nowhere,B", "_1xx,hint,Custom:a", "_1XX,5,C"], [1]),
    (["_[12]X,2,A", "7,nowhere,B", "_[1-2]X,hint,Custom:a", "_[12]X,5,C"], [1]),
    (["55,hint,Custom:a", "100,1(top),A", "100,top+5,B", "55,1,C"], []),
    (["5-5,hint,Custom:a", "5-5,1(top),A", "5-5,n,B"], []),
])
def test_a_label_as_priority_beside_a_dash_or_two_spellings_is_named_deadly(lines, deadly):
    assert list(context(*lines).deadly) == deadly


def test_ten_thousand_priorities_of_one_extension_take_no_time_to_speak_of():
    assert len(context("100,1,A", *[">n,A"] * 10_000).steps) == 10_001
