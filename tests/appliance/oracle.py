"""A real Asterisk as the judge of a configuration file: what it reads, asked over AMI's GetConfig; facts.md §4.

Used by tools/fuzz, tools/bench and test_real_document.py. Needs root, as tools/appliance does. It deliberately judges nothing itself.
"""

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

APPLIANCE = Path(__file__).resolve().parents[2] / "tools" / "appliance"


class Asterisk:
    """A scratch Asterisk: `tree` is what it reads; started anew if it died."""

    def __init__(self, suite):
        self.suite = suite
        self.count = self.deaths = 0
        self.start()

    def start(self):
        out = subprocess.run([APPLIANCE, "start", self.suite, "--scratch"], check=True, capture_output=True, text=True).stdout
        self.about = json.loads(out)
        host, port = self.about["ami"].split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.stream = self.socket.makefile("rb")
        self.stream.readline()
        self.ask(b"Login", Username=self.about["tester_user"], Secret=self.about["tester_secret"], Events="off")
        self.cases = Path(self.about["cases_dir"])
        self.link = Path(self.about["config_dir"])
        self.folder = "/" + str(self.link.relative_to(self.about["root"]))

    def stop(self):
        self.socket.close()
        subprocess.run([APPLIANCE, "stop", str(self.about["pid"])], check=False, capture_output=True)

    def ask(self, action, **headers):
        lines = [b"Action: " + action, *(f"{key}: {value}".encode() for key, value in headers.items())]
        self.socket.sendall(b"\r\n".join(lines) + b"\r\n\r\n")
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            line = self.stream.readline()
            if not line:
                raise ConnectionError("Asterisk is gone")
            answer += line
            if answer == b"\r\n":
                answer = b""
        return answer

    def put(self, files):
        """Let `files` be the configuration folder."""
        self.count += 1
        folder = self.cases / f"case{self.count % 50}"
        shutil.rmtree(folder, ignore_errors=True)
        for path, data in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            target.chmod(0o666)     # Asterisk runs as its own user, and may be asked to write
        temporary = self.link.with_name("etc.new")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(f"cases/{folder.name}")
        os.rename(temporary, self.link)

    def tree(self, files, name="main.conf"):
        """Return what Asterisk reads of one of the files: None if it rejects, else [(name, is_template, parents, [b"name=value", …]), …].

        It is asked once more if it dies: 22.10.1, too, writes into freed memory when the comments after a last `+=` are kept, and that
        kills it once in 15,000 cases. (AMI and voicemail's password change read so; modules don't.)
        """
        for _ in range(2):
            self.put(files)
            try:
                return parsed(self.ask(b"GetConfig", Filename=name, Filter="TEMPLATES=include"))
            except OSError:
                self.deaths += 1
                self.stop()
                self.start()
        return "died twice"


def parsed(answer):
    if not answer.startswith(b"Response: Success"):
        return None
    tree = []
    for line in answer.split(b"\r\n"):
        key, _, value = line.partition(b": ")
        if key.startswith(b"Category-"):
            tree.append([value, False, b"", []])
        elif key.startswith(b"IsTemplate-"):
            tree[-1][1] = value == b"1"
        elif key.startswith(b"Templates-"):
            tree[-1][2] = value.strip(b'"')
        elif key.startswith(b"Line-"):
            tree[-1][3].append(value)
    return tree
