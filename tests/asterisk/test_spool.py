"""spool.py: messages of one mailbox, and never anything beside it."""

import pytest

from agent.asterisk.spool import Spool


@pytest.fixture
def spool(tmp_path):
    for each in ("default/100/INBOX", "default/101/INBOX"):
        (tmp_path / "voicemail" / each).mkdir(parents=True)
        (tmp_path / "voicemail" / each / "msg0000.wav").write_bytes(b"RIFF")
    return tmp_path / "voicemail", Spool(tmp_path)


def test_a_mailbox_is_removed_with_its_messages_and_no_other(spool):
    folder, messages = spool
    messages.remove_mailbox("default", "100")
    assert not (folder / "default/100").exists() and (folder / "default/101/INBOX/msg0000.wav").exists()
    messages.remove_mailbox("default", "100")       # nothing there is fine


@pytest.mark.parametrize("context, mailbox", [("default", ""), ("", "100"), ("default", "."), ("default", ".."), ("..", "voicemail"), ("default", "a/b"), ("default", "100\0"),
                                              ("default/100", "INBOX"), ("default", "x" * 80)])
def test_what_is_not_one_plain_name_is_refused(spool, context, mailbox):
    folder, messages = spool
    with pytest.raises(OSError):
        messages.remove_mailbox(context, mailbox)
    with pytest.raises(OSError):
        messages.move_mailbox(context, "100", mailbox) if context == "default" else messages.move_mailbox(context, mailbox, "1")
    assert (folder / "default/100/INBOX/msg0000.wav").exists()


def test_links_are_not_followed(spool, tmp_path):
    folder, messages = spool
    outside = tmp_path / "outside"
    (outside / "100").mkdir(parents=True)
    (folder / "default/102").symlink_to(outside)
    (folder / "other").symlink_to(outside)
    (folder / "default/100/INBOX/link").symlink_to(outside)
    for context, mailbox in (("default", "102"), ("other", "100")):
        with pytest.raises(OSError, match="symbolic link"):
            messages.remove_mailbox(context, mailbox)
    messages.remove_mailbox("default", "100")
    assert (outside / "100").exists()


def test_messages_move_with_their_mailbox_but_onto_nothing(spool):
    folder, messages = spool
    messages.move_mailbox("default", "100", "200")
    assert (folder / "default/200/INBOX/msg0000.wav").exists()
    messages.move_mailbox("default", "100", "300")      # nothing there is fine
    with pytest.raises(OSError, match="is there already"):
        messages.move_mailbox("default", "200", "101")
