"""Asterisk's own words on a reload: the warnings and errors that its log gained since a moment. Called by `reload`.

It deliberately never waits for long, reads no more than a bounded piece, and shows no password: log lines may quote configuration lines.
"""

import os
import re
import stat
import time

READ_BYTES = 256 * 1024
LINE_CHARACTERS = 400
WAIT_S = 0.4            # Asterisk's logger has a thread of its own: lines may come a moment after the reload's answer,
POLL_S = 0.05           # and have all come when a look finds nothing more

#: "[Nov 25 10:28:19] WARNING[2014][C-0000001] config.c: parse error"; `dateformat` in logger.conf may put anything into the first brackets.
ENTRY = re.compile(r"\[[^\]]*\]\s+(?P<level>[A-Z]+)\[\d+\](\[[^\]]*\])?\s+(?P<source>[^\s:]+)(:\d+\s+\S+)?:\s")
#: Whose lines count whatever the module: the readers of files that all modules share.
SHARED = ("config.c", "config_options.c", "loader.c", "sorcery.c", "res_sorcery_config.c")

#: What follows `=>`, and `=` if a comma comes after it, up to the comma (a mailbox's password); and values of names that say what they are.
PASSWORDS = (
    re.compile(r"(=>\s*|=\s*(?=[^,]*,))[^,]*"),
    re.compile(r"((?:password|secret|md5_cred|pin)\w*\s*(?:=|:)\s*)[^,]*", re.IGNORECASE),
)


class Log:
    """The log from the moment of entering: a context manager. path: None or a file that isn't there has no lines."""

    def __init__(self, path):
        self._path, self._file = path, None

    def __enter__(self):
        self._file = _opened(self._path)
        if self._file is not None:
            self._file.seek(0, os.SEEK_END)
        return self

    def __exit__(self, *exception):
        if self._file is not None:
            self._file.close()

    def lines(self, modules, most):
        """Given modules, return what they and the readers of files have complained of since, oldest first, at most so many lines."""
        until = time.monotonic() + WAIT_S
        data = b""
        while True:
            gained = self._gained(READ_BYTES - len(data))
            data += gained
            found = [line for line in _complaints(data.decode("utf-8", "replace")) if _concerns(line, modules)]
            if found and not gained or time.monotonic() > until or self._path is None:
                return [_shown(line) for line in found[:most]]
            time.sleep(POLL_S)

    def _gained(self, limit):
        """What was written since the last look; over a rotation, the rest of the old file and the beginning of the new one."""
        data = b""
        if self._file is not None:
            if os.fstat(self._file.fileno()).st_size < self._file.tell():
                self._file.seek(0)          # emptied in place
            data = self._file.read(limit)
        fresh = _opened(self._path)
        if fresh is not None:
            if self._file is None or os.fstat(fresh.fileno()).st_ino != os.fstat(self._file.fileno()).st_ino:
                fresh, self._file = self._file, fresh
                data += self._file.read(limit - len(data))
            if fresh is not None:
                fresh.close()
        return data


def _opened(path):
    """The file, if there is one that has a beginning and an end."""
    if path is None:
        return None
    try:
        file = open(path, "rb", opener=_without_waiting)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    return None


def _without_waiting(name, flags):
    return os.open(name, flags | os.O_NONBLOCK)     # a pipe in the log's place must not hold us up


def _complaints(text):
    """Each warning and error as one line: what goes on in a line that begins otherwise is joined."""
    lines = []
    for line in text.split("\n"):
        match = ENTRY.match(line)
        if match:
            lines.append(line if match["level"] in ("WARNING", "ERROR") else "")
        elif lines and lines[-1] and line.strip():
            lines[-1] += " " + line.strip()
    return list(filter(None, lines))


def _concerns(line, modules):
    source = ENTRY.match(line)["source"]        # "app_voicemail.c", "res_pjsip/config_auth.c"
    stems = [module.removesuffix(".so").partition("_")[2] or module for module in modules]
    return source in SHARED or any(stem in source for stem in stems)


def _shown(line):
    for pattern in PASSWORDS:
        line = pattern.sub(r"\1***", line)
    return "".join(each if each.isprintable() else "?" for each in line[:LINE_CHARACTERS])
