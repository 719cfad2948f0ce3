"""Real Asterisks for tests: `appliance` starts one of each suite by tools/appliance, once a session, and stops it afterwards.

Needs root, and a root folder that is made at first use (about 20 s a suite, from Debian's archive). Without, these tests are skipped, and
the summary says why. A test may change the configuration as it likes: `appliance.restore()` runs after each.
"""

import json
import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agent.asterisk.ami import Ami
from agent.asterisk.reload import Reload

TOOL = Path(__file__).parents[2] / "tools" / "appliance"
SUITES = ("sid", "bullseye")
PROOF_S = 10
skipped = {}        # {suite: why}, for the summary


class Appliance:
    """One running Asterisk; `config_dir`, `spool_dir`, `log_dir` are paths, the rest of `facts` is what tools/appliance prints."""

    def __init__(self, facts):
        self.facts = facts
        self.release = facts["release"]
        self.config_dir, self.spool_dir, self.log_dir = (Path(facts[name]) for name in ("config_dir", "spool_dir", "log_dir"))
        self.log_file = self.log_dir / "messages"
        host, _, port = facts["ami"].rpartition(":")
        self.address, self.user, self.secret = (host, int(port)), facts["ami_user"], facts["ami_secret"]
        self._files = {path: path.read_bytes() for path in self.config_dir.iterdir() if path.is_file()}

    def write(self, name, text):
        """Give a file of the configuration a new text, as an editor does: a new file, renamed over the old one."""
        aside = self.config_dir / f".{name}.new"
        aside.write_bytes(text if isinstance(text, bytes) else text.encode())
        aside.replace(self.config_dir / name)

    def restore(self):
        for path in set(self.config_dir.iterdir()) - set(self._files):
            path.unlink()
        changed = [path for path, data in self._files.items() if not path.exists() or path.read_bytes() != data]
        for path in changed:
            self.write(path.name, self._files[path])
        if changed:
            self.cli("module reload app_voicemail.so")

    def stop(self):
        subprocess.run([sys.executable, TOOL, "stop", self.facts["instance"]], check=True, timeout=60)

    def cli(self, command):
        """Run a console command; return its output."""
        asked = [sys.executable, TOOL, "cli", self.facts["instance"], command]
        return subprocess.run(asked, capture_output=True, text=True, errors="surrogateescape", timeout=30).stdout

    def authenticates(self, mailbox, password):
        """Whether a caller gets into a mailbox ("100@default") with a password: it is dialled into VMAuthenticate. Takes about 0.8 s."""
        proof = secrets.token_hex(8)
        with socket.create_connection(self.address, timeout=PROOF_S) as link:
            request = (
                f"Action: Login\r\nUsername: {self.facts['tester_user']}\r\nSecret: {self.facts['tester_secret']}\r\nEvents: user\r\n\r\n"
                f"Action: Originate\r\nAsync: true\r\nChannel: Local/mailbox@prove\r\nApplication: SendDTMF\r\nData: {password}#,50,50\r\n"
                f"Variable: __MAILBOX={mailbox},__PROOF={proof}\r\n\r\n"
            )
            link.sendall(request.encode())
            ours = False
            for line in link.makefile("rb"):
                ours = ours and line != b"\r\n" or line == f"Proof: {proof}\r\n".encode()
                if ours and line.startswith(b"Result: "):
                    return line == b"Result: yes\r\n"
        raise AssertionError("Asterisk hung up before the proof")


@pytest.fixture(scope="session", params=SUITES)
def running(request):
    """The facts of a running Asterisk; use `appliance` instead."""
    started = start(request.param)
    yield started
    started.stop()


@pytest.fixture
def appliance(running):
    """A real Asterisk, 22 and 16, with the configuration that tools/appliance gives it."""
    yield running
    running.restore()


@pytest.fixture
def ami(appliance):
    """Our client, connected to it with the rights the agent has."""
    client = Ami(appliance.address, appliance.user, appliance.secret, timeout_s=10)
    client.start()
    assert client.wait_booted(10), client.state
    yield client
    client.close()


@pytest.fixture
def reload(ami, appliance):
    return Reload(ami, appliance.log_file)


def start(suite):
    """Start an Asterisk of the suite; return its Appliance, to be stopped by whoever asked. Skips the test where that can't be."""
    start_or_skip(suite)
    started = subprocess.run([sys.executable, TOOL, "start", suite], capture_output=True, text=True)
    if started.returncode:
        _skip(suite, (started.stderr.strip() or f"exit status {started.returncode}").splitlines()[-1])
    return Appliance(json.loads(started.stdout))


def start_or_skip(suite):
    """Skip the test, loudly, where no Asterisk of the suite can be started or its root folder made."""
    if os.geteuid() != 0:
        _skip(suite, "needs root: a real Asterisk is started by chroot")
    made = subprocess.run([sys.executable, TOOL, "make", suite], capture_output=True, text=True)
    if made.returncode:
        _skip(suite, (made.stderr.strip() or f"exit status {made.returncode}").splitlines()[-1])


def _skip(suite, reason):
    skipped[suite] = reason
    pytest.skip(f"no real Asterisk of {suite}: {reason}")


def pytest_terminal_summary(terminalreporter):
    for suite, reason in skipped.items():
        terminalreporter.write_line(f"SKIPPED: every test with a real Asterisk of {suite}: {reason}", yellow=True, bold=True)
