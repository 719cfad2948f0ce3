"""settings.py: one frozen object, or a refusal that names file, line and reason."""

import dataclasses
from pathlib import Path

import pytest

from agent.errors import Invalid
from agent.settings import Address, Settings, load


def write(folder, text, name="agent.conf"):
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def test_an_empty_file_gives_the_defaults(tmp_path):
    assert load(write(tmp_path, "# nothing\n\n; nothing either\n")) == Settings()


def test_settings_cannot_be_changed_once_read():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().limits.threads = 3


def test_addresses_are_several_of_both_kinds_or_none(tmp_path):
    found = load(write(tmp_path, "[listen]\nhttp = 127.0.0.1:80 [fe80::1%eth0]:8080 pbx.example:1\nhttps =\n")).listen
    assert found.http == (Address("127.0.0.1", 80), Address("fe80::1%eth0", 8080), Address("pbx.example", 1))
    assert found.https == ()


def test_no_ami_means_no_asterisk(tmp_path):
    assert load(write(tmp_path, "[asterisk]\nami =\n")).asterisk.ami is None


def test_relative_paths_start_at_the_file_that_holds_them(tmp_path):
    file = write(tmp_path, "[access]\nusers = users.ht\nacl = /etc/acl\n")
    write(tmp_path, "[state]\ndir = ../state\n", "agent.conf.d/local.conf")
    found = load(file)
    assert (found.access.users, found.access.acl) == (tmp_path / "users.ht", Path("/etc/acl"))
    assert found.state.dir == tmp_path / "state"


def test_files_beside_it_win_in_the_order_of_their_names(tmp_path):
    file = write(tmp_path, "[xivo]\nvoicemail_context = a\ndelete_spool = yes\n")
    write(tmp_path, "[xivo]\nvoicemail_context = c\n", "agent.conf.d/20.conf")
    write(tmp_path, "[xivo]\nvoicemail_context = b\n", "agent.conf.d/10.conf")
    write(tmp_path, "rubbish", "agent.conf.d/30.conf.example")
    assert load(file).xivo == dataclasses.replace(Settings().xivo, voicemail_context="c", delete_spool=True)


@pytest.mark.parametrize("text, line, reason", [
    ("[listen]\nhtpp = 127.0.0.1:1\n", 2, r"\[listen\] has no setting htpp; it has http, https"),
    ("[lisen]\nhttp = 127.0.0.1:1\n", 2, r"there is no section \[lisen\]"),
    ("[listen]\n\nhttp = 127.0.0.1\n", 3, r"http must be HOST:PORT"),
    ("[listen]\nhttp = 127.0.0.1:70000\n", 2, r"http must be HOST:PORT"),
    ("[listen]\nhttp = 127.0.0.1:٥\n", 2, r"http must be HOST:PORT"),
    ("http = 127.0.0.1:1\n", 1, r"before the first \[section\]"),
    ("[listen]\nhello\n", 2, "neither"),
    ("[access]\nloopback = maybe\n", 2, "one of: trusted, root, password"),
    ("[xivo]\ndelete_spool = 1\n", 2, "yes or no"),
    ("[limits]\nthreads = 0\n", 2, "from 1 to 64"),
    ("[limits]\nthreads = 2\nthreads = 3\n", 3, "set twice"),
])
def test_what_is_not_understood_refuses_the_start_and_says_where(tmp_path, text, line, reason):
    file = write(tmp_path, text)
    with pytest.raises(Invalid, match=reason) as caught:
        load(file)
    assert caught.value.where == f"{file}:{line}"


def test_a_missing_file_is_said_by_name(tmp_path):
    with pytest.raises(Invalid, match="can't be read") as caught:
        load(tmp_path / "none.conf")
    assert caught.value.where == str(tmp_path / "none.conf")
