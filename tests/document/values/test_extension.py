"""extension.py: an extension line as its parts, of which the untouched ones keep their bytes."""

import pytest

from agent.document.values import ExtensionLine
from agent.errors import Invalid

NAMES = ExtensionLine.PARTS


@pytest.mark.parametrize("value, parts", [
    ("100,1,NoOp(a)", ["100", None, "1", None, None, "NoOp", "a"]),
    (" 100/555 , n+2(in)x , Dial (a,(b),c) rest", ["100", "555 ", "n", "2", "in", "Dial ", "a,(b),c"]),
    ("10\\,1,1,NoOp", ["10\\,1", None, "1", None, None, "NoOp", None]),
    ("_[1,2]X,1,NoOp", ["_[1,2]X", None, "1", None, None, "NoOp", None]),
    ("100/,1,NoOp", ["100", "", "1", None, None, "NoOp", None]),
    ("100,n (x),NoOp", ["100", None, "n ", None, "x", "NoOp", None]),
    ("100,n(x)+2,NoOp(a)b)c", ["100", None, "n", None, "x", "NoOp", "a)b"]),
    ("100,1,NoOp(x", ["100", None, "1", None, None, "NoOp", "x"]),
    ("100,1,${X}NoOp(x)", ["100", None, "1", None, None, "${X}NoOp(x)", None]),
    ("100,1,)(", ["100", None, "1", None, None, ")", ""]),
    ("100,1", ["100", None, "1", None, None, None, None]),
    ("100", ["100", None, None, None, None, None, None]),
    ("", ["", None, None, None, None, None, None]),
])
def test_the_parts_are_what_asterisk_takes(value, parts):
    line = ExtensionLine.parse(value)
    assert [getattr(line, name) for name in NAMES] == parts and str(line) == value


@pytest.mark.parametrize("name", ["same", "SAME", "sameish"])
def test_a_same_line_has_no_extension(name):
    line = ExtensionLine.parse("n(in),NoOp(a,b)", name)
    assert (line.is_same, line.extension, line.priority, line.label, line.arguments) == (True, None, "n", "in", "a,b") and line.understood


@pytest.mark.parametrize("text, kind, number",
                         [("1", "number", 1), ("1x", "number", 1), ("n", "next", None), ("next", "next", None), ("s", "same", None),
                                                ("same", "same", None), ("hint", "hint", None), ("N", "label", None),
                          ("top", "label", None),
                                                ("4294967297", "number", 1)])
def test_a_priority_is_of_one_kind(text, kind, number):
    line = ExtensionLine.parse(f"100,{text},NoOp")
    assert (line.kind, line.number) == (kind, number)


@pytest.mark.parametrize("value, devices, presence", [
    ("Custom:a", ["Custom:a"], None), ("Custom:a&PJSIP/x,CustomPresence:p", ["Custom:a", "PJSIP/x"], "CustomPresence:p"),
    ("Custom:a,b,c", ["Custom:a,b"], "c"), ("Custom:a & Custom:b", ["Custom:a ", " Custom:b"], None),
    (",CustomPresence:p", [""], "CustomPresence:p"),
    ("", [], None)])
def test_a_hint_has_devices_and_after_its_last_comma_presence(value, devices, presence):
    line = ExtensionLine.parse(f"100,hint,{value}")
    assert (line.devices, line.presence) == (devices, presence)
    assert ExtensionLine.parse(f"100,1,{value}").devices == []


@pytest.mark.parametrize("value, changes, result", [
    ("100 , 1 (in)x, Dial(a) ;", {"extension": "2"}, "2 , 1 (in)x, Dial(a) ;"),
    ("100,1,NoOp", {"cidmatch": "5"}, "100/5,1,NoOp"),
    ("100/5,1,NoOp", {"cidmatch": None}, "100,1,NoOp"),
    ("100,1,NoOp", {"plus": "2", "label": "in"}, "100,1+2(in),NoOp"),
    ("100,n+2(in),NoOp(x)", {"plus": None, "label": None}, "100,n,NoOp(x)"),
    ("100,1, NoOp", {"arguments": "a,b"}, "100,1, NoOp(a,b)"),
    ("100,1,NoOp(x", {"arguments": "y"}, "100,1,NoOp(y"),
    ("100,1,NoOp(x", {"arguments": None}, "100,1,NoOp"),
    ("100", {"application": "NoOp", "priority": "1", "arguments": ""}, "100,1,NoOp()"),
    ("100,1", {"application": "NoOp"}, "100,1,NoOp"),
    ("100,hint,Custom:a&Custom:b", {"application": "Custom:c"}, "100,hint,Custom:c"),
    ("100,1,NoOp", {"application": "NoOp", "label": None}, "100,1,NoOp"),
])
def test_a_changed_part_is_all_that_changes(value, changes, result):
    assert str(ExtensionLine.parse(value).replace(**changes)) == result


@pytest.mark.parametrize("value, changes", [
    ("100,1,NoOp", {"extension": "1,2"}), ("100,1,NoOp", {"extension": " 1"}), ("100,1,NoOp", {"extension": None}),
    ("100,1,NoOp", {"priority": "1,2"}),
    ("100,1,NoOp", {"label": "a)b"}), ("100,1,NoOp", {"application": "No(Op"}), ("100", {"label": "a"}),
    ("100,1,NoOp(a", {"arguments": "b)c"}),
    ("100,1", {"arguments": "a"}), ("100,1,NoOp(x)y", {"arguments": None}), ("100,1,NoOp(a)", {"application": "${X}"})])
def test_what_would_say_something_else_is_refused(value, changes):
    with pytest.raises(Invalid):
        ExtensionLine.parse(value).replace(**changes)


@pytest.mark.parametrize("name", ["extension", "cidmatch"])
def test_a_same_line_gets_no_extension_of_its_own(name):
    with pytest.raises(Invalid):
        ExtensionLine.parse("n,NoOp", "same").replace(**{name: "100"})


@pytest.mark.parametrize("value",
                         ["${X},1,NoOp", "1$[1+1],1,NoOp", "100\\", ",1,NoOp", "1" * 256 + ",1,NoOp", "100,n(x,NoOp", "100,,NoOp",
                          "100,0,NoOp", "100,1",
                                   "100,1,NoOp(x", "100,hint,PJSIP/${EXTEN}"])
def test_what_is_not_understood_says_why(value):
    assert ExtensionLine.parse(value).problem and not ExtensionLine.parse(value).understood


@pytest.mark.parametrize("value", ["100\\\\,1,NoOp", "1" * 255 + ",1,NoOp", "100,1,NoOp(${X})", "100,top,NoOp", "100,1,NoOp()x"])
def test_what_is_understood_has_no_problem(value):
    assert ExtensionLine.parse(value).problem is None
