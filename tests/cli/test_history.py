"""cli: serve, status, history, diff, undo; what root types over SSH; on real processes, with the daemon running or not."""

import json

import pytest

from tests.process import AgentProcess

TEXT = b"[default]\n100 => 1234,Ada   ; desk\n"


@pytest.fixture
def agent(tmp_path):
    process = AgentProcess(tmp_path)
    (process.etc / "voicemail.conf").write_bytes(TEXT)
    with process:
        yield process


def test_history_diff_and_undo_show_and_take_back_a_change(agent):
    agent.request("GET", "/1.0/voicemails/1")
    agent.request("PUT", "/1.0/voicemails/1", {"password": "4321"})
    assert [each["title"] for each in json.loads(agent.run("history", "--json").stdout)] == ["PUT /1.0/voicemails/1", "number entries made by hand"]
    assert "PUT /1.0/voicemails/1" in agent.run("history").stdout
    diff = agent.run("diff", "2").stdout
    assert "-100 => 1234,Ada   ; desk\n+100 => 4321,Ada   ; desk\n" in diff
    undone = agent.run("undo")
    assert (undone.returncode, undone.stdout) == (0, "record 2 is undone by record 3\n")
    assert (agent.etc / "voicemail.conf").read_bytes() == TEXT
    assert agent.request("GET", "/1.0/voicemails/1")[2]["password"] == "1234", "the running agent sees it"


def test_commands_work_while_the_daemon_is_stopped(agent):
    agent.request("PUT", "/1.0/voicemails/1", {"password": "4321"})
    assert agent.stop() == 0
    assert json.loads(agent.run("status", "--json").stdout) == {"records": 2, "last": 2, "pending": []}
    refused = agent.run("undo", "1")
    assert refused.returncode == 1 and "record 1 can't be undone: it only gave ids" in refused.stderr
    assert agent.run("undo").stdout == "record 2 is undone by record 3\n"
    assert (agent.etc / "voicemail.conf").read_bytes() == TEXT
    assert agent.start().request("GET", "/1.0/voicemails/1")[2]["password"] == "1234", "and it has its id still"


def test_what_cannot_be_done_is_said_in_one_line_with_status_1(agent):
    for words in (["undo"], ["undo", "0"], ["undo", "7"], ["diff", "7"]):
        refused = agent.run(*words)
        assert refused.returncode == 1 and refused.stderr.startswith("pbx-agent: ") and "Traceback" not in refused.stderr


@pytest.mark.parametrize("file, text, reason", [
    ("agent.conf", "[listen]\nhttpp = 1\n", "agent.conf:2: [listen] has no setting httpp"),
    ("acl.conf", "allow 10.0.0.0/8\nallow everyone\n", "acl.conf:2"),
])
def test_a_bad_file_refuses_the_start_and_names_line_and_reason(tmp_path, file, text, reason):
    process = AgentProcess(tmp_path)
    (tmp_path / file).write_text(text)
    refused = process.run("serve")
    assert refused.returncode == 1 and reason in refused.stderr and "Traceback" not in refused.stderr


def test_sigterm_ends_it_quietly_and_the_port_is_free_again(agent):
    assert agent.request("GET", "/1.0/users/")[0] == 200
    assert agent.stop() == 0
    agent.start()
    assert agent.request("GET", "/1.0/users/")[0] == 200
    assert "Traceback" not in agent.log.read_text()


def test_over_tls_an_account_is_needed_and_the_certificate_is_ours(agent):
    assert agent.request("GET", "/1.0/users/", tls=True)[0] == 401
    status, _, body = agent.request("GET", "/1.0/users/", tls=True, account="ada:s3cret")
    assert (status, body) == (200, {"total": 0, "items": []})
