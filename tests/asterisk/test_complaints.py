"""Asterisk's log: only what came since, only what concerns the reload, bounded, over a rotation, and without a password."""

import os
import time

from agent.asterisk.complaints import Log

VOICEMAIL = ["app_voicemail.so"]


def line(text, source="app_voicemail.c", level="WARNING"):
    return f"[Nov 25 10:28:19] {level}[2014] {source}: {text}\n"


def gained(path, text, modules=VOICEMAIL, most=20):
    """What a Log reports after a text was appended."""
    with Log(path) as log:
        with open(path, "a", encoding="utf-8", newline="") as file:
            file.write(text)
        return [each.partition(": ")[2] for each in log.lines(modules, most)]


def test_only_what_came_since_counts(tmp_path):
    (tmp_path / "messages").write_text(line("old"))
    assert gained(tmp_path / "messages", line("new")) == ["new"]


def test_only_warnings_and_errors_count(tmp_path):
    text = line("a", level="NOTICE") + line("b", level="ERROR") + line("c", level="VERBOSE") + line("d", level="DEBUG")
    assert gained(tmp_path / "messages", text) == ["b"]


def test_lines_of_other_parts_of_a_busy_pbx_are_left_out(tmp_path):
    text = line("call", "chan_sip.c") + line("parse", "config.c") + line("dial", "app_dial.c") + line("x", "res_pjsip/config_auth.c")
    assert gained(tmp_path / "messages", text) == ["parse"]
    assert gained(tmp_path / "messages", text, ["res_pjsip.so"]) == ["parse", "x"]
    assert gained(tmp_path / "messages", line("y", "confbridge/conf_config_parser.c"), ["app_confbridge.so"]) == ["y"]


def test_other_date_formats_call_ids_and_source_lines_are_understood(tmp_path):
    text = ("[2026-11-25 10:28:19.123] ERROR[7][C-0000001a] app_voicemail.c: one\n"
            "[Nov 25 10:28:19] WARNING[7] app_voicemail.c:123 load_config: two\n")
    assert gained(tmp_path / "messages", text) == ["one", "two"]


def test_a_message_of_two_lines_is_one(tmp_path):
    # Seen on 16.28.0 and 22.10.1 for a password that begins with `*`.
    text = line("Invalid password detected for mailbox 106.  The password\n\tmust be reset in voicemail.conf.")
    (joined,) = gained(tmp_path / "messages", text)
    assert joined.endswith("mailbox 106.  The password must be reset in voicemail.conf.")


def test_no_password_is_shown(tmp_path):
    text = "".join(map(line, ("bad line '100 => canary1,Ada'", "bad line '100=can=ary2,Ada'", "bad 100 => canary3", "secret = canary4",
                              "Password: canary5, and more", "md5_cred=canary6")))
    shown = "\n".join(gained(tmp_path / "messages", text))
    assert "ary" not in shown and shown.count("***") == 6 and "Ada" in shown


def test_control_characters_cannot_forge_a_line_of_ours(tmp_path):
    assert gained(tmp_path / "messages", line("a\x1b[31m\x85b\rc")) == ["a?[31m?b?c"]


def test_lines_are_few_and_short(tmp_path):
    found = gained(tmp_path / "messages", line("x" * 1000) * 100, most=5)
    assert len(found) == 5 and all(len(each) <= 400 for each in found)


def test_a_huge_log_is_read_in_part_only(tmp_path):
    began = time.monotonic()
    gained(tmp_path / "messages", "x" * 50_000_000)
    assert time.monotonic() - began < 3


def test_a_log_renamed_meanwhile_is_read_to_its_end_and_the_new_one_from_its_beginning(tmp_path):
    path = tmp_path / "messages"
    path.write_text(line("old"))
    with Log(path) as log:
        with open(path, "a") as file:
            file.write(line("last of the old file"))
        os.rename(path, tmp_path / "messages.1")
        path.write_text(line("first of the new file"))
        assert [each.partition(": ")[2] for each in log.lines(VOICEMAIL, 9)] == ["last of the old file", "first of the new file"]


def test_a_log_emptied_in_place_is_read_from_its_beginning(tmp_path):
    path = tmp_path / "messages"
    path.write_text(line("old") * 10)
    with Log(path) as log:
        path.write_text(line("new"))
        assert len(log.lines(VOICEMAIL, 9)) == 1


def test_a_line_that_comes_a_moment_later_is_waited_for(tmp_path):
    path = tmp_path / "messages"
    path.write_text("")
    with Log(path) as log:
        real, looks = log._gained, []

        def late(limit):
            looks.append(limit)
            if len(looks) == 3:
                path.write_text(line("late"))
            return real(limit)

        log._gained = late
        assert len(log.lines(VOICEMAIL, 9)) == 1


def test_a_log_that_is_missing_or_no_file_has_no_lines(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (None, tmp_path / "missing", tmp_path, tmp_path / "pipe"):
        with Log(path) as log:
            assert log.lines(VOICEMAIL, 9) == []


def test_a_log_that_appears_meanwhile_is_read(tmp_path):
    with Log(tmp_path / "messages") as log:
        (tmp_path / "messages").write_text(line("first words"))
        assert len(log.lines(VOICEMAIL, 9)) == 1
