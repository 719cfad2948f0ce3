"""The agent as a process of its own, on free ports of loopback: started, spoken to over HTTP and TLS, stopped or killed by its process id."""

import base64
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

from passlib.hash import apr_md5_crypt

ROOT = Path(__file__).parent.parent
START_S = 20


class AgentProcess:
    """Make one with a folder; `etc` is its /etc/asterisk unless another is given. A context manager: starts, and is stopped at the end."""

    def __init__(self, folder, *, etc=None, spool=None, log=None, ami=None, ami_user="pbx-agent", ami_secret="", more=""):
        self.folder = Path(folder)
        self.etc = Path(etc) if etc else self.folder / "etc"
        for each in (self.etc, self.folder / "spool", self.folder / "log", self.folder / "state"):
            each.mkdir(exist_ok=True)
        self.http, self.https = free_port(), free_port()
        (self.folder / "users.ht").write_text(f"ada:{apr_md5_crypt.hash('s3cret')}\n")
        (self.folder / "users.ht").chmod(0o640)
        (self.folder / "ami.secret").write_text(ami_secret + "\n")
        (self.folder / "agent.conf").write_text(f"""[listen]
http = 127.0.0.1:{self.http}
https = 127.0.0.1:{self.https}
[asterisk]
config_dir = {self.etc}
spool_dir = {spool or 'spool'}
log_dir = {log or 'log'}
ami = {ami or ''}
ami_user = {ami_user}
ami_secret_file = ami.secret
[access]
users = users.ht
acl = acl.conf
[tls]
certificate = tls/cert.pem
key = tls/key.pem
[state]
dir = state
{more}""")
        self.process = None
        self.log = self.folder / "agent.log"

    def __enter__(self):
        return self.start()

    def __exit__(self, *exception):
        if self.process is not None:
            self.stop()

    def command(self, *words):
        """The argument list of a `pbx-agent` command on this agent's settings."""
        return [sys.executable, "-m", "agent", "--config", str(self.folder / "agent.conf"), *words]

    def run(self, *words):
        """Run a command to its end; return the finished process, its output as text."""
        return subprocess.run(self.command(*words), cwd=ROOT, capture_output=True, text=True, timeout=60)

    def start(self):
        """Start, and return when the first request is answered."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command("serve"), cwd=ROOT, stdout=log, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"})
        until = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.http), timeout=1).close()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise AssertionError(f"the agent didn't start: {self.log.read_text()}") from None
                time.sleep(0.01)

    def stop(self, how=signal.SIGTERM):
        """Stop it by a signal, and return the exit status."""
        process, self.process = self.process, None
        process.send_signal(how)
        return process.wait(30)

    def request(self, method, path, body=None, *, tls=False, account=None, timeout_s=30):
        """Send one request on a connection of its own; return (status, headers, JSON or text). Raise OSError or HTTPException."""
        if tls:
            context = ssl.create_default_context(cafile=self.folder / "tls/cert.pem")
            connection = http.client.HTTPSConnection("localhost", self.https, timeout=timeout_s, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=timeout_s)
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if account:
            headers["Authorization"] = "Basic " + base64.b64encode(account.encode()).decode()
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            data = answer.read()
            is_json = answer.headers.get_content_type() == "application/json" and data
            return answer.status, answer.headers, json.loads(data) if is_json else data.decode()
        finally:
            connection.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
