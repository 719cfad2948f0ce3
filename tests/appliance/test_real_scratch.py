"""tools/appliance itself: the scratch Asterisk that parsers are compared with, and that nothing is left of what it started."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "appliance"


def tool(*arguments):
    return subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, text=True, timeout=120)


@pytest.fixture
def scratch(appliance):
    facts = json.loads(tool("start", appliance.facts["suite"], "--scratch").stdout)
    yield facts
    tool("stop", str(facts["pid"]))


def ask(link, *headers):
    link.sendall("".join(f"{each}\r\n" for each in headers).encode() + b"\r\n")
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        data += link.recv(65536)
    return data.decode()


def test_cases_are_swapped_and_read_while_it_runs(scratch):
    with socket.create_connection(("127.0.0.1", scratch["ami_port"]), timeout=5) as link:
        ask(link, "Action: Login", f"Username: {scratch['ami_user']}", f"Secret: {scratch['ami_secret']}", "Events: off")
        for number in range(3):
            case = Path(scratch["cases_dir"]) / str(number)
            case.mkdir()
            (case / "main.conf").write_text(f"[t](!)\na={number}\n#include part.inc\n")
            (case / "part.inc").write_text("[inner]\nb = 1\n")
            link_path = Path(scratch["config_dir"])
            (link_path.parent / "next").symlink_to(f"cases/{number}")
            (link_path.parent / "next").replace(link_path)
            answer = ask(link, "Action: GetConfig", "Filename: main.conf", "Filter: TEMPLATES=include")
            assert f"Line-000000-000000: a={number}\r\n" in answer and "Category-000001: inner\r\n" in answer


def test_a_stopped_one_leaves_no_process_and_no_folder(scratch):
    assert tool("stop", scratch["instance"]).returncode == 0
    assert not os.path.exists(scratch["instance"])
    status = Path(f"/proc/{scratch['pid']}/status")
    assert not status.exists() or "State:\tZ" in status.read_text()      # ended, if not yet reaped by the machine's init
    assert tool("stop", scratch["instance"]).returncode == 3


def test_nothing_serves_beyond_loopback(appliance):
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        if int(local.split(":")[1], 16) == appliance.facts["ami_port"] and state == "0A":
            assert local.startswith("0100007F:")
    assert f"127.0.0.1:{appliance.facts['sip_port']}" in appliance.cli("pjsip show transports")
