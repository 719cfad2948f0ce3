"""A whole agent in a folder: real files, real journal, a fake Asterisk on a real socket, requests over WSGI."""

import contextlib
import dataclasses
from pathlib import Path

import webtest

from agent.build import build, web
from agent.settings import Access, Address, Asterisk, Limits, Settings, State, Tls
from tests.fakes.asterisk import FakeAsterisk

ENVIRONS = {
    "loopback": {"REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "40000", "HTTP_HOST": "127.0.0.1:50050", "wsgi.url_scheme": "http",
                 "pbx_agent.listener": {"tls": False, "loopback": True, "proxied": False}},
    "tls": {"REMOTE_ADDR": "192.0.2.7", "REMOTE_PORT": "40000", "HTTP_HOST": "pbx.example:50051", "wsgi.url_scheme": "https",
            "pbx_agent.listener": {"tls": True, "loopback": False, "proxied": False}},
    "proxy": {"REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "40000", "HTTP_HOST": "127.0.0.1:50050", "wsgi.url_scheme": "http",
              "pbx_agent.listener": {"tls": False, "loopback": True, "proxied": True}},
}


class Box:
    """Make one with a folder; `etc` is its /etc/asterisk, `asterisk` its FakeAsterisk, `settings` may be replaced before `start`."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.etc, self.spool, self.log, self.state = (self.folder / name for name in ("etc", "spool", "log", "state"))
        for each in (self.etc, self.spool, self.log, self.state):
            each.mkdir(mode=0o750)
        self.asterisk = FakeAsterisk(self.etc)
        (self.folder / "ami.secret").write_text(self.asterisk.secret)
        self.settings = Settings(
            asterisk=Asterisk(config_dir=self.etc, spool_dir=self.spool, log_dir=self.log, ami=Address(*self.asterisk.address),
                              ami_user=self.asterisk.user, ami_secret_file=self.folder / "ami.secret"),
            access=Access(users=self.folder / "users.ht", acl=self.folder / "acl.conf"),
            tls=Tls(self.folder / "cert.pem", self.folder / "key.pem"), state=State(self.state), limits=Limits(ami_s=3))
        self.agent = self.web = None
        self._connected = contextlib.ExitStack()

    def __enter__(self):
        self.asterisk.__enter__()
        return self

    def __exit__(self, *exception):
        self.stop()
        self.asterisk.__exit__(*exception)

    def start(self):
        """Build the agent from the settings, recover, connect to the fake Asterisk."""
        self.agent = build(self.settings)
        self.web = web(self.agent)
        self.agent.recover()
        self._connected.enter_context(self.agent.connected(5 if self.asterisk.listening else 0))
        return self

    def stop(self):
        if self.agent and self.agent.ami:
            self.agent.ami.close()
        self.agent = None

    def restart(self):
        self.stop()
        return self.start()

    def change_settings(self, section, **values):
        self.settings = dataclasses.replace(self.settings, **{section: dataclasses.replace(getattr(self.settings, section), **values)})

    def request(self, method, path, body=None, *, headers=None, over="loopback"):
        """Send a request, and return webtest's response, whatever its status. A header of None isn't sent."""
        if self.agent is None:
            self.start()
        sent = {"Accept": "application/json", **({"Content-Type": "application/json"} if body is not None else {}), **(headers or {})}
        request = webtest.TestRequest.blank(path, method=method, environ=dict(ENVIRONS[over]), body=body or b"")
        for name in ("Accept", "Content-Type"):
            request.headers.pop(name, None)
        request.headers.update({name: value for name, value in sent.items() if value is not None})
        return webtest.TestApp(self.web, lint=True).request(request, status="*")

    def files(self):
        """The configuration folder as it is: {relative path: bytes}."""
        return {str(each.relative_to(self.etc)): each.read_bytes() for each in sorted(self.etc.rglob("*")) if each.is_file()}

    def write(self, name, data):
        """Do as an admin's editor does: a new file renamed over the old one."""
        target = self.etc / name
        target.parent.mkdir(exist_ok=True)
        aside = target.with_name(f".{target.name}.swp")
        aside.write_bytes(data)
        aside.replace(target)
