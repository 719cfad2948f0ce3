"""The folders of recorded messages, `voicemail/<context>/<mailbox>` under the spool; called by `apply` after Asterisk let a mailbox go.

A context or mailbox that isn't one plain name is refused before a path is made of it. Deliberately nothing here reads a message.
"""

import os
import re
import shutil
from pathlib import Path


class Spool:
    """The voicemail part of Asterisk's spool folder."""

    def __init__(self, spool_dir):
        self._voicemail = Path(spool_dir) / "voicemail"

    def remove_mailbox(self, context, mailbox):
        """Remove a mailbox's folder with all messages; nothing to remove is fine. Raise OSError.

        A symbolic link in the folder's place is refused, and one inside is removed itself, never what it points to.
        """
        folder = self._folder(context, mailbox)
        if folder.is_symlink():
            raise OSError(f"{folder} is a symbolic link; what it points to stays")
        if folder.exists():
            shutil.rmtree(folder)

    def move_mailbox(self, context, mailbox, new_mailbox):
        """Let a mailbox keep its messages under its new number. Raise OSError if the new number has messages already."""
        old, new = self._folder(context, mailbox), self._folder(context, new_mailbox)
        if not old.exists():
            return
        if new.exists() or new.is_symlink():
            raise FileExistsError(f"{new} is there already; the messages stay in {old}")
        os.rename(old, new)

    def _folder(self, context, mailbox):
        for name in (context, mailbox):
            if not re.fullmatch(r"(?!\.{1,2}\Z)[^/\0]{1,79}", name):
                raise OSError(f"{name!r} can't be the name of a folder")
        if (self._voicemail / context).is_symlink():
            raise OSError(f"{self._voicemail / context} is a symbolic link")
        return self._voicemail / context / mailbox
