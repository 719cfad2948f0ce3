"""The effective view, its places and warnings, and that reading always ends. (What equals Asterisk's own answers: test_corpus.py.)"""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.document import Configuration, Where
from agent.errors import Invalid
from tests.document import generate
from tests.document.memory import Memory

PHONES = b"""[phone](!)
context = internal
allow = ulaw
[desk](phone)
allow = alaw
secret = x
[Desk]
other = 1
"""


def load(main, **files):
    return Configuration.load("main.conf", Memory({"main.conf": main, **{name.replace("_", "."): data for name, data in files.items()}}))


def test_each_value_knows_its_file_and_line_and_whether_it_is_inherited():
    desk = load(PHONES).category("desk")
    assert [(each.name, each.where.line, each.inherited) for each in desk.variables] == [
        ("context", 2, True), ("allow", 3, True), ("allow", 5, False), ("secret", 6, False)]
    assert str(desk.where) == "main.conf:4"


def test_an_included_value_stands_in_its_own_file():
    configuration = load(b"[a]\n#include x.conf\n", x_conf=b"; x\nb=1\n")
    assert configuration.find("a", "b").where == Where("x.conf", 2)


def test_names_are_found_without_regard_to_ascii_case_but_templates_only_when_asked():
    configuration = load(PHONES)
    assert configuration.category("DESK").where.line == 4
    assert configuration.category("phone") is None
    assert configuration.category("PHONE", template=True).is_template
    assert configuration.find("DeSk", "SECRET").value == "x"
    assert configuration.find("phone", "context") is None


def test_find_looks_on_in_the_next_category_of_that_name():
    assert load(PHONES).find("desk", "other").where.line == 8


def test_the_last_value_wins_unless_the_first_is_asked_for():
    desk = load(PHONES).category("desk")
    assert desk.get("allow") == "alaw"
    assert desk.get("allow", first=True) == "ulaw"
    assert [each.value for each in desk.all("ALLOW")] == ["ulaw", "alaw"]
    assert desk.get("nope") is None
    assert desk.get("nope", "default") == "default"


def test_bases_are_the_direct_parents():
    assert load(b"[a](!)\n[b](!,a)\n[c](b,a)\n").category("c").bases == ["b", "a"]


def test_bytes_that_are_not_utf8_survive_as_text():
    configuration = load(b"[\xe9]\n\xff=\xc3\xa9\n")
    assert configuration.find("\udce9", "\udcff").value == "é"


def test_a_name_that_no_file_can_hold_is_invalid():
    with pytest.raises(Invalid):
        load(PHONES).find("desk", "\ud800")


@pytest.mark.parametrize("main, line, reason", [
    (b"a=1\n", 1, "before any category"),
    (b"[a]\n[b\n", 2, "no closing `]`"),
    (b"[a]\n[b](a\n", 2, "no closing `)`"),
    (b"[a]\n[b](c)\n", 2, "the parent [c] doesn't exist"),
    (b"[a]\n[b](+)\n", 2, "no category [b] to append to"),
    (b"[a]\n\\\n", 2, "nothing to escape"),
    (b"[a]\n\n#include nope\n", 3, "#include of nope finds nothing"),
])
def test_a_rejected_file_says_where_and_why_and_keeps_what_came_before(main, line, reason):
    configuration = load(main)
    assert configuration.status == "rejected"
    assert configuration.rejection.where == Where("main.conf", line)
    assert reason in configuration.rejection.reason
    assert not configuration.rejection.is_deadly
    assert len(configuration.categories) == main.count(b"[a]")


def test_a_missing_main_file_is_rejected():
    configuration = Configuration.load("nope.conf", Memory({}))
    assert (configuration.status, configuration.documents) == ("rejected", {})


WARNINGS = [
    (b"[a]\nb\n", 2, "no `=`"),
    (b"[a]\n=1\n", 2, "no name before the `=`"),
    (b"[a]\n#foo x\n", 2, "unknown directive `#foo`"),
    (b"[a]\n#include\n", 2, "needs an argument"),
    (b"[a]\n#exec /bin/true\n", 2, "#exec is never run"),
    (b"[a]\nb=" + b"x" * 9000 + b"\nc=1\n", 2, "too long"),
    (b"[a]\n#tryinclude nope\n", 2, "finds nothing"),
    (b"[a]\n;-- x\nb=1\n", 2, "never closed"),
    (b"[a]\nb=x--;\nc=1\n", 2, "stray `--;`"),
    (b"[a]\n#include x.conf\n#include x.conf\n", 3, "more than once"),
]


@pytest.mark.parametrize("main, line, message", WARNINGS, ids=lambda value: repr(value)[:30])
def test_what_asterisk_ignores_is_a_warning_with_its_place(main, line, message):
    configuration = load(main, x_conf=b"")
    assert configuration.status == "ok"
    assert [where for where, text in configuration.warnings if message in text] == [Where("main.conf", line)]


def test_a_broken_include_is_a_warning_in_its_own_file():
    configuration = load(b"[a]\n#include x.conf\nb=1\n", x_conf=b"[x]\n[y\nz=1\n")
    assert [category.name for category in configuration.categories] == ["a", "x"]
    assert configuration.find("a", "b").value == "1"
    assert configuration.warnings[0][0] == Where("x.conf", 2)


DEADLY = [
    b"[a]\n" + b";--\n" * 129,
    b"[a]\nb=" + b"--; " * 100 + b"\n" + b";--\n" * 7,
    b"[a]\nb=1\n[a](+,a)\n",
    b"[a]\nb=1\n[a](+,)\n",
    b"[a]\n" + b"#tryinclude " + b"x" * 300 + b"\n" + b"#tryinclude " + b"x" * 300 + b"\n",
    b"[a]\n" + b"#tryinclude main.conf\n" * 8,
    b"[a]\nb=1\n" + b"".join(b"[c%d](c%d,c%d)\n" % (i + 1, i, i) for i in range(40)).replace(b"c0", b"a"),
    b"[a]\nb=1\n[a](+b=1{200}{200}{200})\n",
    b"[a]\nb=1\n[a](+b=1" + b"*" * 8000 + b")\n",
    b"[a]\nb=1\n[a](+b=" + b"(" * 8000 + b")\n",
    b"[a]\n#tryinclude " + b"{a,b}" * 40 + b"\n",
]


@pytest.mark.parametrize("main", DEADLY, ids=lambda value: repr(value[:40]))
def test_what_would_hang_or_kill_asterisk_is_named_and_does_not_hang_us(main):
    start = time.monotonic()
    configuration = load(main)
    assert configuration.rejection.is_deadly
    assert time.monotonic() - start < 30
    assert configuration.documents["main.conf"].to_bytes() == main


def test_many_additions_to_a_value_cost_no_more_than_their_bytes():
    configuration = load(b"[a]\nb=1\n" + b"b+=1\n" * 500)
    assert configuration.find("a", "b").value == "1" * 501


@given(st.integers(0, 10**9))
def test_reading_never_raises_and_never_changes_a_byte(seed):
    files = generate.case(seed)
    configuration = Configuration.load("main.conf", Memory(files))
    assert configuration.changed() == {}
    assert all(document.to_bytes() == files[path] for path, document in configuration.documents.items())
    assert (configuration.rejection is None) == (configuration.status == "ok")
