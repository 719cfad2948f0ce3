"""Runs each scenario of tests/scenarios against the whole agent; the reader and the format are in scenario.py.

    !!! asterisk hides BOX | shows | away | back | refuses REASON
    !!! agent restarts
    !!! setting SECTION.NAME VALUE          before the first request
    !!! account NAME PASSWORD               a line in users.ht, by the real formats
    !!! spool PATH                          a file under the spool folder; `spool has PATH` and `spool lacks PATH` look
"""

import dataclasses
import time
from pathlib import Path

import pytest
from passlib.hash import apr_md5_crypt

from tests import scenario

FOLDER = Path(__file__).parent / "scenarios"
SCENARIOS = [each for file in sorted(FOLDER.glob("*/*.txt")) for each in scenario.read(file)]


@pytest.mark.parametrize("each", SCENARIOS, ids=lambda each: each.name)
def test_scenario(each, box):
    run = Run(box)
    for block in [*each.blocks, None]:
        try:
            run.step(block) if block else run.finish()
        except AssertionError as error:
            raise AssertionError(f"{each.file.name}:{block.number if block else 'its end'}: {error}") from error


class Run:
    """One scenario under way."""

    def __init__(self, box):
        self._box = box
        self._files = {}
        self._reply = None
        self._reloads = []
        self._files_after = {}

    def step(self, block):
        {"---": self._by_hand, ">>>": self._request, "<<<": self._answer, "+++": self._file, "***": self._reload, "!!!": self._event}[block.marker](block)

    def finish(self):
        """Look at what the last request left: files not named stay, reloads not named don't happen."""
        if self._reply is None:
            return
        assert self._box.files() == {**self._files, **self._files_after}, "a file that isn't named by +++ has changed"
        self._files = self._box.files()
        assert self._box.asterisk.reloads == self._reloads, "modules reloaded"
        self._box.asterisk.reloads.clear()
        self._reply, self._reloads, self._files_after = None, [], {}

    def _by_hand(self, block):
        self.finish()
        self._box.write(block.argument, block.text())
        self._files[block.argument] = block.text()

    def _request(self, block):
        self.finish()
        method, path, *over = block.argument.split(" ")
        headers, body = block.message()
        headers = {name: None if value == "-" else value for name, value in headers.items()}
        self._reply = self._box.request(method, path, body.encode() or None, headers=headers, over=over[0] if over else "loopback")

    def _answer(self, block):
        headers, body = block.message()
        assert self._reply.status_int == int(block.argument), f"status {self._reply.status}, body {self._reply.text}"
        for name, value in headers.items():
            assert value in self._reply.headers.getall(name), f"{name}: {self._reply.headers.getall(name)}"
        if body or self._reply.status_int != 200 or self._reply.request.method != "GET":
            assert scenario.same_body(body, self._reply.text.rstrip("\n")), f"body {self._reply.text}"

    def _file(self, block):
        found = self._box.files().get(block.argument)
        wanted = block.text()
        if "¿".encode() in wanted:      # a character that isn't known beforehand
            assert len(wanted.decode()) == len(found.decode()), f"{found}"
            wanted = "".join(f if w == "¿" else w for w, f in zip(wanted.decode(), found.decode())).encode()
        assert found == wanted, f"{block.argument} is\n{found and found.decode()}"
        self._files_after[block.argument] = found

    def _reload(self, block):
        verb, *modules = block.argument.split()
        assert verb == "reload"
        self._reloads = modules

    def _event(self, block):
        self.finish()
        who, what, *words = block.argument.split(" ")
        getattr(self, f"_event_{who}")(what, *words)

    def _event_asterisk(self, what, *words):
        self._box.asterisk.script(what, *words)
        if what == "back":
            assert self._box.agent.ami.wait_booted(20)
            until = time.monotonic() + 10
            while self._box.agent.apply.pending() and time.monotonic() < until:
                time.sleep(0.02)

    def _event_agent(self, what):
        assert what == "restarts"
        self._box.restart()

    def _event_setting(self, name, value):
        section, _, name = name.partition(".")
        declared = {each.name: each for each in dataclasses.fields(getattr(self._box.settings, section))}
        self._box.change_settings(section, **{name: declared[name].metadata["cast"](value)})

    def _event_account(self, name, password):
        with open(self._box.settings.access.users, "a", encoding="utf-8") as file:
            file.write(f"{name}:{apr_md5_crypt.hash(password)}\n")

    def _event_spool(self, what, path=None):
        if path is None:
            (self._box.spool / what).parent.mkdir(parents=True, exist_ok=True)
            (self._box.spool / what).write_bytes(b"RIFF")
        else:
            assert (self._box.spool / path).exists() == (what == "has"), f"{path} in the spool"
