"""The agent killed at random moments while it writes: each file is wholly before or wholly after, and it starts again."""

import http.client
import random
import re
import signal
import threading

from tests.process import AgentProcess

EDITS = 200
LINE = re.compile(rb"100 => ([0-9]+),Ada Lovelace   ; front desk\n")
BEFORE, AFTER = b"; by hand\n[general]\nformat = wav\n\n[default]\n", b"\n[other]\n200 => 1\n" + b"; filler\n" * 2000


def test_a_kill_at_a_random_moment_never_damages_a_file_and_loses_no_acknowledged_write(tmp_path):
    randomness = random.Random(2)
    file = tmp_path / "etc" / "voicemail.conf"
    agent = AgentProcess(tmp_path)
    file.write_bytes(BEFORE + b"100 => 0,Ada Lovelace   ; front desk\n" + AFTER)
    acknowledged, kills = 0, 0
    agent.start()
    for number in range(1, EDITS + 1):
        timer = None
        if randomness.random() < 0.2:
            process = agent.process
            timer = threading.Timer(randomness.uniform(0, 0.02), process.send_signal, [signal.SIGKILL])
            timer.start()
        try:
            status, _, body = agent.request("PUT", "/1.0/voicemails/1", {"password": str(number)})
            assert status == 200, body
            acknowledged = number
        except (OSError, http.client.HTTPException):
            assert timer is not None, "the agent hung up by itself"
        if timer is not None:
            timer.join()
            agent.process.wait(10)
            kills += 1
            data = file.read_bytes()
            found = LINE.fullmatch(data[len(BEFORE):-len(AFTER)])
            assert data.startswith(BEFORE) and data.endswith(AFTER) and found, data[:200]
            agent.start()
        found = int(LINE.search(file.read_bytes())[1])
        assert acknowledged <= found <= number, f"{acknowledged} was acknowledged, {found} is in the file, {number} was being written"
    assert kills > 20
    assert agent.request("GET", "/1.0/voicemails/1")[2]["password"] == LINE.search(file.read_bytes())[1].decode()
    assert not [each for each in (tmp_path / "etc").iterdir() if each.name != "voicemail.conf"], "nothing lies about"
    assert agent.stop() == 0
