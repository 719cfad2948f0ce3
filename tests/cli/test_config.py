"""`pbx-agent config`: any file, on a folder without an agent.conf; run in this process."""

import json

import pytest

from agent.cli import main
from agent.document import Configuration
from tests.document.test_corpus import CORPUS

PJSIP = b"""; by hand
[t](!)
type=endpoint
allow=ulaw
[100](t)
context=internal\t; here
allow=alaw
[100]
type=aor
max_contacts=1
[200](t)
"""


@pytest.fixture
def etc(tmp_path, monkeypatch):
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "pjsip.conf").write_bytes(PJSIP)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return folder


@pytest.fixture
def run(etc, capfdbinary):
    """Return a function: words of the command -> (exit status, output, errors)."""
    def run(*words):
        status = main([*words, "--dir", str(etc)])
        out, err = capfdbinary.readouterr()
        return status, out.decode("utf-8", "surrogateescape"), err.decode()
    return run


def test_show_prints_what_asterisk_has_and_where_it_stands(run):
    status, out, _ = run("config", "show", "pjsip.conf", "200")
    assert status == 0
    assert out == "[200](t)    ; pjsip.conf:11\ntype = endpoint    ; pjsip.conf:3, inherited\nallow = ulaw    ; pjsip.conf:4, inherited\n"


def test_show_json_has_the_form_of_getconfig(run, etc):
    (etc / "x.conf").write_bytes(b"[a](!)\nn=\xe9\n[b](a)\nm=\xc3\xa9\njunk\n")
    status, out, _ = run("config", "show", "x.conf", "--json")
    found = json.loads(out)
    assert found["status"] == "ok" and status == 0
    assert found["categories"] == [{"name": "a", "template": True, "parents": "", "vars": [["n", "\xe9"]]},
                                   {"name": "b", "template": False, "parents": "a", "vars": [["n", "\xe9"], ["m", "\xc3\xa9"]]}]
    assert len(found["warnings"]) == 1 and found["warnings"][0].startswith("x.conf:5: ")


def test_a_file_that_asterisk_rejects_has_no_categories(run, etc):
    (etc / "x.conf").write_bytes(b"[a]\nn=1\n[broken\n")
    found = json.loads(run("config", "show", "x.conf", "--json")[1])
    assert (found["status"], found["categories"]) == ("rejected", []) and "x.conf:3: " in found["warnings"][0]
    assert run("config", "show", "x.conf")[0] == 1


@pytest.mark.parametrize("case", sorted(each.name for each in (CORPUS / "torture").iterdir()))
def test_show_json_of_each_torture_case_is_what_asterisk_answered(case, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    golden = json.loads((CORPUS / "torture_golden.json").read_text())[case]["22.10.1"]
    assert main(["config", "show", "main.conf", "--json", "--dir", str(CORPUS / "torture" / case)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["status"] == "ok", found["categories"]) == (golden["status"] == "ok", golden["categories"])


def test_get_prints_every_value(run):
    assert run("config", "get", "pjsip.conf", "100", "allow")[:2] == (0, "ulaw\nalaw\n")
    status, out, err = run("config", "get", "pjsip.conf", "100", "nothing")
    assert (status, out) == (1, "") and "[100] has no nothing" in err


def test_set_changes_the_value_and_no_other_byte(run, etc):
    assert run("config", "set", "pjsip.conf", "100", "context", "other")[:2] == (0, "record 1\n")
    assert (etc / "pjsip.conf").read_bytes() == PJSIP.replace(b"internal", b"other")
    assert run("config", "set", "pjsip.conf", "100", "context", "other")[:2] == (0, "nothing to change\n")


def test_set_adds_what_is_not_there_and_an_own_line_over_an_inherited_value(run, etc):
    assert run("config", "set", "pjsip.conf", "200", "context", "x")[0] == 0
    assert run("config", "set", "pjsip.conf", "200", "allow", "g722")[0] == 0
    assert run("config", "get", "pjsip.conf", "200", "allow")[1] == "ulaw\ng722\n"
    after = (etc / "pjsip.conf").read_bytes()
    assert after.startswith(PJSIP) and sorted(after[len(PJSIP):].split()) == [b"allow=g722", b"context=x"]


@pytest.mark.parametrize("words", [
    ("set", "pjsip.conf", "100", "type", "auth"),               # two categories have one
    ("add", "pjsip.conf", "100", "deny", "0.0.0.0/0"),          # two categories of that name
    ("unset", "pjsip.conf", "100"),
    ("set", "pjsip.conf", "t", "type", "aor"),                  # a template, not asked for
    ("set", "pjsip.conf", "t", "type", "a\nb", "--template"),
    ("unset", "pjsip.conf", "t", "--template"),                 # a parent in use
    ("unset", "pjsip.conf", "200", "allow"),                    # inherited
    ("unset", "pjsip.conf", "200", "nothing"),
    ("set", "pjsip.conf", "nothing", "a", "b"),
    ("add", "pjsip.conf", "200"),
    ("add", "pjsip.conf", "300", "x"),
    ("add", "pjsip.conf", "a]b"),
    ("add", "pjsip.conf", "x" * 80),
    ("set", "nothing.conf", "a", "b", "c"),
    ("set", "../outside.conf", "a", "b", "c"),
    ("set", "/etc/passwd", "a", "b", "c"),
])
def test_what_is_ambiguous_or_impossible_is_refused_and_every_byte_stays(run, etc, words):
    status, out, err = run("config", *words)
    assert status == 1 and err.startswith("pbx-agent: ") and out == ""
    assert {each.name: each.read_bytes() for each in etc.iterdir()} == {"pjsip.conf": PJSIP}


def test_a_template_is_edited_when_asked(run, etc):
    assert run("config", "set", "pjsip.conf", "t", "allow", "g722", "--template")[0] == 0
    assert (etc / "pjsip.conf").read_bytes() == PJSIP.replace(b"allow=ulaw", b"allow=g722")


def test_add_and_unset_are_each_others_undoing(run, etc):
    assert run("config", "add", "pjsip.conf", "300")[0] == 0
    assert run("config", "add", "pjsip.conf", "300", "type", "aor")[0] == 0
    assert Configuration.load("pjsip.conf", Disk(etc)).find("300", "type").value == "aor"
    assert run("config", "unset", "pjsip.conf", "300", "type")[0] == 0
    assert run("config", "unset", "pjsip.conf", "300")[0] == 0
    assert (etc / "pjsip.conf").read_bytes() == PJSIP


def test_a_dry_run_shows_the_difference_exits_2_and_changes_nothing(run, etc):
    status, out, _ = run("config", "set", "pjsip.conf", "100", "context", "other", "--dry-run")
    assert status == 2 and "-context=internal\t; here\n+context=other\t; here\n" in out
    assert (etc / "pjsip.conf").read_bytes() == PJSIP
    assert run("config", "set", "pjsip.conf", "100", "context", "internal", "--dry-run")[:2] == (0, "")


def test_an_edit_is_made_in_the_included_file_where_the_thing_stands(run, etc):
    (etc / "main.conf").write_bytes(b"#include sub/x.conf\n[b]\nn=1\n")
    (etc / "sub").mkdir()
    (etc / "sub/x.conf").write_bytes(b"[a]\nn = 1 ; one\n")
    assert run("config", "set", "main.conf", "a", "n", "2")[0] == 0
    assert (etc / "sub/x.conf").read_bytes() == b"[a]\nn = 2 ; one\n" and (etc / "main.conf").read_bytes() == b"#include sub/x.conf\n[b]\nn=1\n"


def test_check_names_file_line_and_reason_and_fails_for_a_refused_file(run, etc):
    assert run("config", "check") == (0, "", "")
    (etc / "a.conf").write_bytes(b"[a]\njunk\n#exec /bin/true\n")
    status, out, _ = run("config", "check", "a.conf")
    assert status == 0 and [line.split(": ")[0] for line in out.splitlines()] == ["a.conf:2", "a.conf:3"]
    (etc / "b.conf").write_bytes(b"x=1\n")
    status, out, _ = run("config", "check")
    assert status == 1 and "b.conf:1: " in out and "the whole file is refused" in out


def test_reading_and_dry_runs_leave_no_trace_anywhere(run, etc, tmp_path):
    (etc / "voicemail.conf").write_bytes(b"[default]\n100 => 1\n")
    run("config", "show", "voicemail.conf")
    run("config", "check")
    run("config", "set", "voicemail.conf", "default", "100", "2", "--dry-run")
    assert run("config", "set", "voicemail.conf", "nothing", "100", "2")[0] == 1
    assert [each for each in (tmp_path / "state").rglob("*") if each.name not in ("pbx-agent", "lock") and len(each.name) != 16] == []
    assert sorted(each.name for each in etc.iterdir()) == ["pjsip.conf", "voicemail.conf"]


def test_history_and_undo_know_the_folder(run, etc):
    run("config", "set", "pjsip.conf", "100", "context", "other")
    assert "config set pjsip.conf 100 context" in run("history")[1]
    assert run("undo")[0] == 0
    assert (etc / "pjsip.conf").read_bytes() == PJSIP
    assert [each.name for each in etc.iterdir()] == ["pjsip.conf"], "the folder itself holds nothing of ours"


class Disk:
    """A folder as `document` reads it."""

    def __init__(self, folder):
        self._folder = folder

    def read(self, path):
        return (self._folder / path).read_bytes()

    def entries(self, folder):
        return []
