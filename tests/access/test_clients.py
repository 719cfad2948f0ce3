"""Real clients against real accounts: what curl and the standard library send for Basic and Digest is understood."""

import contextlib
import hashlib
import shutil
import subprocess
import threading
import urllib.error
import urllib.request

import pytest

from agent.access import htpasswd
from agent.access.accounts import Accounts
from agent.access.digest import Digest
from agent.access.htpasswd import Passwords
from agent.access.throttle import Throttle
from agent.errors import Throttled, Unauthenticated
from agent.server import Listener, Server

CURL = pytest.mark.skipif(not shutil.which("curl"), reason="curl isn't installed: real curl is NOT tested")
HTDIGEST = pytest.mark.skipif(not (shutil.which("htdigest") and shutil.which("script")),
    reason="no htdigest or script: its file is NOT tested")


def application(accounts):
    """The least that stands between a request and its Caller; `web` does the same with more words."""
    def app(environ, start_response):
        environ["wsgi.input"].read()
        try:
            caller = accounts.authenticate(authorization=environ.get("HTTP_AUTHORIZATION"), method=environ["REQUEST_METHOD"],
                                           uri=environ["REQUEST_URI"], address=environ["REMOTE_ADDR"])
        except Unauthenticated as refusal:
            status = "429 Too Many" if isinstance(refusal, Throttled) else "401 Unauthorized"
            start_response(status, [("WWW-Authenticate", each) for each in refusal.challenges] + [("Content-Length", "0")])
            return [b""]
        body = f"{caller.name} by {caller.how} ".encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    return app


@pytest.fixture
def url(tmp_path):
    (tmp_path / "users.ht").write_text(f"bob:{htpasswd.apr_md5_crypt.hash('S3cret:x')}\njörg:{htpasswd.apr_md5_crypt.hash('grün')}\n")
    secret = hashlib.md5(b"bob:XivoRealm:S3cret:x").hexdigest()
    (tmp_path / "users.digest").write_text(f"bob:XivoRealm:{secret}\n")
    accounts = Accounts(Passwords(tmp_path / "users.ht"), Digest(tmp_path / "users.digest", settle_s=0), Throttle(clock=lambda: 1000.0))
    server = Server(application(accounts), [Listener("127.0.0.1", 0, False)], allows=lambda address: True)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield f"http://127.0.0.1:{server.addresses[0].port}/1.0/users/?_page=1&_pagesize=2"
    server.stop()
    thread.join(20)


def curl(*arguments):
    run = subprocess.run(["curl", "-sS", "--max-time", "10", "-w", "%{http_code} ", *arguments], capture_output=True, check=False,
        timeout=20)
    return run.stdout.decode() + run.stderr.decode()


@CURL
def test_curl_logs_in_by_basic(url):
    assert curl("-u", "bob:S3cret:x", url) == "bob by basic 200 "
    assert curl("-u", "jörg:grün", url) == "jörg by basic 200 "
    assert curl("-u", "bob:wrong", url) == "401 " and curl(url) == "401 "


@CURL
@pytest.mark.parametrize("method", ["--digest", "--anyauth"])
def test_curl_logs_in_by_digest_and_goes_on_with_the_same_nonce(url, method):
    assert curl(method, "-u", "bob:S3cret:x", url, url, url) == "bob by digest 200 " * 3
    assert curl(method, "-u", "bob:S3cret:x", "-d", "body=1", url) == "bob by digest 200 "
    assert curl(method, "-u", "bob:S3cret:x", "-X", "DELETE", url) == "bob by digest 200 "


@CURL
def test_curl_guesses_and_is_slowed(url):
    assert [curl("--digest", "-u", "bob:wrong", url) for _ in range(3)] == ["401 "] * 3
    assert curl("--digest", "-u", "bob:S3cret:x", url) == "429 "


def run_htdigest(file, user, password):
    """htdigest asks its terminal, which `script` gives it, and throws away what was typed before it asked."""
    command = ["script", "-qec", f"htdigest {file} XivoRealm {user}", "/dev/null"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        for _ in range(2):
            while running.stdout.read(1) not in b":":
                pass
            running.stdin.write(password.encode() + b"\n")
            running.stdin.flush()
        running.stdin.close()
        running.stdout.read()
        assert running.wait(10) == 0


@CURL
@HTDIGEST
def test_what_htdigest_writes_is_read(url, tmp_path):
    run_htdigest(tmp_path / "users.digest", "ada", "geheim")
    assert curl("--digest", "-u", "ada:geheim", url) == "ada by digest 200 "
    assert curl("--digest", "-u", "ada:wrong", url) == "401 "
    assert curl("--digest", "-u", "bob:S3cret:x", url) == "bob by digest 200 "


@pytest.mark.parametrize("handler", [urllib.request.HTTPDigestAuthHandler, urllib.request.HTTPBasicAuthHandler])
def test_urllib_logs_in(url, handler):
    known = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    known.add_password(None, url, "bob", "S3cret:x")
    opener = urllib.request.build_opener(handler(known))
    answers = []
    for _ in range(3):
        with contextlib.closing(opener.open(url, timeout=10)) as answer:
            answers.append(answer.read())
    assert answers == [b"bob by digest "] * 3 or answers == [b"bob by basic "] * 3


def test_urllib_with_a_wrong_password_doesnt_log_in(url):
    known = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    known.add_password(None, url, "bob", "wrong")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.build_opener(urllib.request.HTTPDigestAuthHandler(known)).open(url, timeout=10)
    assert refused.value.code in (401, 429)
    refused.value.close()
