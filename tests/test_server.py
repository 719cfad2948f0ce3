"""The process on the network, over real sockets: who comes in, what counts as a request, what nobody can block, how it ends."""

import contextlib
import logging
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import agent.server
from agent import tls
from agent.errors import Unavailable
from agent.server import Limits, Listener, Server, bind, notify
from agent.server.channel import is_loopback

PLAIN = [Listener("127.0.0.1", 0, False)]
GET = b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"
CURL = pytest.mark.skipif(not shutil.which("curl"), reason="curl isn't installed: real curl is NOT tested")
ROOT = Path(__file__).parent.parent


class App:
    """Remembers what it was asked, and can be made to wait."""

    def __init__(self):
        self.seen = []
        self.waiting, self.go_on = threading.Semaphore(0), threading.Event()

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read()
        self.seen.append((environ["REQUEST_METHOD"], environ["REQUEST_URI"], body, environ))
        if environ["PATH_INFO"] == "/slow":
            self.waiting.release()
            self.go_on.wait(10)
        if environ["PATH_INFO"] == "/bug":
            raise RuntimeError("secret detail")
        answer = b"x" * int(environ["QUERY_STRING"] or 2)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
        return [answer]

    @property
    def environ(self):
        return self.seen[-1][3]


@pytest.fixture
def app():
    return App()


@pytest.fixture
def serve(app):
    """Return a function that starts a Server with the app in a thread; all are stopped at the end."""
    with contextlib.ExitStack() as running:
        def start(listeners=None, **more):
            server = Server(app, listeners or PLAIN, **{"allows": lambda address: True, **more})
            thread = threading.Thread(target=server.run)
            thread.start()
            server.thread = thread
            running.callback(thread.join, 20)
            running.callback(server.stop)
            return server
        yield start
        app.go_on.set()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    tls.ensure_certificate(folder / "cert.pem", folder / "key.pem", ["localhost", "127.0.0.1", "::1"])
    return folder / "cert.pem", folder / "key.pem"


def connect(server, number=0, timeout_s=8):
    return socket.create_connection(server.addresses[number][:2], timeout_s)


def until_closed(sock):
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := sock.recv(65536):
            data += chunk
    return data


def exchange(server, data, number=0):
    """Send raw bytes on a connection of their own; return all that comes until the server closes."""
    with connect(server, number) as sock:
        sock.sendall(data)
        return until_closed(sock)


def one_answer(sock):
    """Return (status, headers, body) of one answer with a Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = sock.recv(65536)
        assert chunk, data
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head, re.IGNORECASE)[1])
    while len(body) < length:
        body += sock.recv(65536)
    return int(head.split()[1]), head.decode().split("\r\n")[1:], body


def gets_an_answer(server, number=0):
    with connect(server, number) as sock:
        sock.sendall(GET)
        return one_answer(sock)[0] == 200


def secure(sock, pair, **more):
    context = ssl.create_default_context(cafile=str(pair[0]))
    return context.wrap_socket(sock, server_hostname="localhost", **more)


# ---- listening -------------------------------------------------------------------------------------------------------------------------

def test_several_listeners_share_one_server_and_each_says_what_it_is(serve, app, pair):
    listeners = [Listener("127.0.0.1", 0, False), Listener("127.0.0.1", 0, True)]
    if agent.server._has_ipv6():
        listeners.append(Listener("::1", 0, False))
    server = serve(listeners, tls=tls.Endpoint(*pair))
    assert [(each.host, each.tls) for each in server.addresses] == [(each.host, each.tls) for each in listeners]
    assert all(each.port for each in server.addresses)
    for number, listener in enumerate(listeners):
        with connect(server, number) as sock:
            sock = secure(sock, pair) if listener.tls else sock
            sock.sendall(GET)
            assert one_answer(sock)[2] == b"xx"
            assert app.environ["pbx_agent.listener"] == {"tls": listener.tls, "loopback": True, "proxied": False}
            assert app.environ["wsgi.url_scheme"] == ("https" if listener.tls else "http")
            assert app.environ["REMOTE_ADDR"] == listener.host
            sock.close()


@pytest.mark.parametrize("header", [
    "Forwarded: for=1.2.3.4", "Via: 1.1 proxy", "X-Forwarded-For: 127.0.0.1", "x-forwarded-host: pbx", "X-Forwarded-Proto: https",
    "X-Real-IP: 1.2.3.4",
])
def test_a_proxys_headers_are_told_and_never_believed(serve, app, header):
    server = serve()
    exchange(server, f"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{header}\r\n\r\n".encode())
    assert app.environ["pbx_agent.listener"]["proxied"]
    assert app.environ["REMOTE_ADDR"] == "127.0.0.1" and app.environ["wsgi.url_scheme"] == "http"
    assert not [name for name in app.environ if name.startswith(("HTTP_X_FORWARDED", "HTTP_FORWARDED"))]


def test_a_taken_address_refuses_the_start_and_frees_the_others():
    with bind(PLAIN[0]) as taken, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = Listener("127.0.0.1", probe.getsockname()[1], False)
        probe.close()
        with pytest.raises(Unavailable, match=f"127.0.0.1:{taken.getsockname()[1]}: can't listen"):
            Server(App(), [free, Listener("127.0.0.1", taken.getsockname()[1], False)], allows=lambda address: True)
        bind(free).close()


def test_an_address_of_another_machine_refuses_the_start():
    for listener in (Listener("192.0.2.250", 0, False), Listener("2001:db8::250", 0, False), Listener("no such name", 0, False)):
        with pytest.raises(Unavailable):
            bind(listener)


def test_a_machine_without_ipv6_goes_on_without_it(monkeypatch, caplog):
    real = socket.socket

    def without_ipv6(family=socket.AF_INET, *arguments, **more):
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return real(family, *arguments, **more)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    assert bind(Listener("::", 0, False)) is None and bind(Listener("::1", 0, True)) is None
    assert "no IPv6" in caplog.text
    with pytest.raises(Unavailable):
        bind(Listener("2001:db8::1", 0, False))
    with pytest.raises(Unavailable, match="no address"):
        Server(App(), [Listener("::", 0, False)], allows=lambda address: True)


@pytest.mark.parametrize("address, expected", [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True),
                                               ("10.0.0.1", False), ("::ffff:10.0.0.1", False), ("fe80::1%eth0", False)])
def test_loopback_is_told_from_the_rest(address, expected):
    assert is_loopback(address) is expected


# ---- who comes in ----------------------------------------------------------------------------------------------------------------------

def test_an_address_that_isnt_allowed_gets_403_on_plain_and_nothing_on_tls(serve, app, pair, caplog):
    caplog.set_level(logging.INFO)
    server = serve([PLAIN[0], Listener("127.0.0.1", 0, True)], tls=tls.Endpoint(*pair), allows=lambda address: False)
    assert exchange(server, GET) == b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    assert exchange(server, b"\x16\x03\x01", 1) == b""
    assert app.seen == []
    lines = [record.getMessage() for record in caplog.records if record.name == "pbx_agent.access"]
    assert lines == ['refused address=127.0.0.1 user="" reason=address path=-'] * 2


def test_a_refused_client_may_send_a_lot_and_still_reads_its_403(serve):
    server = serve(allows=lambda address: False)
    assert exchange(server,
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000).startswith(b"HTTP/1.1 403 ")


def test_the_address_rule_is_asked_for_each_connection(serve):
    answers = iter([True, False, True])
    server = serve(allows=lambda address: next(answers))
    assert [exchange(server, GET.replace(b"Host", b"Connection: close\r\nHost"))[9:12] for _ in range(3)] == [b"200", b"403", b"200"]


def test_a_broken_rule_lets_nobody_in_and_ends_nothing(serve, caplog):
    broken = [True, True]

    def allows(address):
        if broken:
            broken.pop()
            raise ZeroDivisionError
        return True

    server = serve(allows=allows)
    assert [exchange(server, GET.replace(b"Host", b"Connection: close\r\nHost"))[9:12] for _ in range(3)] == [b"", b"", b"200"]
    assert "couldn't be taken" in caplog.text


# ---- what counts as a request ----------------------------------------------------------------------------------------------------------

HOST = b"Host: localhost\r\n"
POST = b"POST /x HTTP/1.1\r\n" + HOST
BAD = {
    "content-length beside transfer-encoding": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET,
    "the same the other way round": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + GET,
    "transfer-encoding twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a list of codings": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "an unknown coding": POST + b"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
    "identity": POST + b"Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n",
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n",
    "chunked in HTTP/1.0": b"POST /x HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET,
    "content-length twice": POST + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "content-length as a list": POST + b"Content-Length: 0, 0\r\n\r\n",
    "content-length with a sign": POST + b"Content-Length: +5\r\n\r\nhello",
    "content-length below zero": POST + b"Content-Length: -1\r\n\r\n",
    "content-length in hex": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "empty content-length": POST + b"Content-Length:\r\n\r\n",
    "host twice": b"GET /x HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "no host": b"GET /x HTTP/1.1\r\n\r\n",
    "a folded header": b"GET /x HTTP/1.1\r\n" + HOST + b"X-A: 1\r\n 2\r\n\r\n",
    "a header folded with a tab": b"GET /x HTTP/1.1\r\n" + HOST + b"X-A: 1\r\n\t2\r\n\r\n",
    "a fold before the first header": b"GET /x HTTP/1.1\r\n X-A: 1\r\n" + HOST + b"\r\n",
    "a blank before the colon": b"GET /x HTTP/1.1\r\n" + HOST + b"Content-Length : 5\r\n\r\nhello",
    "a header without a colon": b"GET /x HTTP/1.1\r\n" + HOST + b"nonsense\r\n\r\n",
    "a header without a name": b"GET /x HTTP/1.1\r\n" + HOST + b": x\r\n\r\n",
    "bare LF everywhere": b"GET /x HTTP/1.1\nHost: localhost\n\n",
    "bare LF between headers": b"GET /x HTTP/1.1\r\n" + HOST + b"X-A: 1\nX-B: 2\r\n\r\n",
    "bare LF before the end": b"GET /x HTTP/1.1\r\nHost: localhost\n\r\n",
    "bare CR in a header": b"GET /x HTTP/1.1\r\n" + HOST + b"X-A: 1\rX-B: 2\r\n\r\n",
    "NUL in a header": b"GET /x HTTP/1.1\r\n" + HOST + b"X-A: \0\r\n\r\n",
    "NUL in the target": b"GET /\0 HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/0.9": b"GET /x\r\n\r\n",
    "HTTP/2.0": b"GET /x HTTP/2.0\r\n" + HOST + b"\r\n",
    "HTTP/1.2": b"GET /x HTTP/1.2\r\n" + HOST + b"\r\n",
    "HTTP/11": b"GET /x HTTP/11\r\n" + HOST + b"\r\n",
    "http in small letters": b"GET /x http/1.1\r\n" + HOST + b"\r\n",
    "a method in small letters": b"get /x HTTP/1.1\r\n" + HOST + b"\r\n",
    "two blanks": b"GET  /x HTTP/1.1\r\n" + HOST + b"\r\n",
    "a blank in the target": b"GET /x y HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tab for a blank": b"GET\t/x\tHTTP/1.1\r\n" + HOST + b"\r\n",
    "a target that isn't ASCII": b"GET //x/J\xc3\xb6rg HTTP/1.1\r\n" + HOST + b"\r\n",
    "no target": b"GET HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target that is no URI": b"GET http://[ HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS on the plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a senseless chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "a chunk without its end": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n",
}


def refused(answer, status):
    head, end, body = answer.partition(b"\r\n\r\n")
    fields = head.lower().split(b"\r\n")
    return (head[9:12] == status and end and body == b"" and b"content-length: 0" in fields and b"connection: close" in fields
            and not any(field.startswith((b"server:", b"via:")) for field in fields))


@pytest.fixture(scope="module")
def standing(pair):
    """One plain and one TLS listener for the many raw requests."""
    app = App()
    server = Server(app, [PLAIN[0], Listener("127.0.0.1", 0, True)], allows=lambda address: True, tls=tls.Endpoint(*pair))
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server, app
    server.stop()
    thread.join(20)


@pytest.mark.parametrize("request_bytes", BAD.values(), ids=BAD)
def test_what_could_be_understood_in_two_ways_is_400_and_the_end(standing, request_bytes):
    server, app = standing
    app.seen.clear()
    answer = exchange(server, request_bytes)
    assert refused(answer, b"400"), answer
    assert answer.count(b"HTTP/1.") == 1
    assert app.seen == []


def test_the_same_holds_when_it_comes_byte_by_byte(standing):
    server, app = standing
    app.seen.clear()
    for name in ("content-length beside transfer-encoding", "bare LF everywhere", "a folded header"):
        with connect(server) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(ConnectionError):
                for byte in BAD[name]:
                    sock.send(bytes([byte]))
            assert refused(until_closed(sock), b"400")
    assert app.seen == []


GOOD = {
    "plain": (GET, ("GET", "/x", b"")),
    "with a body": (b"POST /x?3 HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello", ("POST", "/x?3", b"hello")),
    "chunked": (POST + b"Transfer-Encoding: Chunked\r\n\r\n3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\n\r\n", ("POST", "/x", b"hello")),
    "HTTP/1.0 without a host": (b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", ("GET", "/x", b"")),
    "an empty header": (b"GET /x HTTP/1.1\r\n" + HOST + b"X-Empty:\r\nAccept:*/*\r\n\r\n", ("GET", "/x", b"")),
    "latin-1 in a header": (b"GET /x HTTP/1.1\r\n" + HOST + b"X-Name: J\xf6rg\r\n\r\n", ("GET", "/x", b"")),
    "a raw target": (b"GET /x/%2e%2e/%2F/J%c3%b6rg?1 HTTP/1.1\r\n" + HOST + b"\r\n", ("GET", "/x/%2e%2e/%2F/J%c3%b6rg?1", b"")),
    "line ends before the request": (b"\r\n\r\n" + GET, ("GET", "/x", b"")),
    "LF in the body": (POST + b"Content-Length: 4\r\n\r\n\n\n\r\n", ("POST", "/x", b"\n\n\r\n")),
}


@pytest.mark.parametrize("request_bytes, expected", GOOD.values(), ids=GOOD)
@pytest.mark.parametrize("piece", [1, 100_000])
def test_an_ordinary_request_is_taken_in_one_piece_or_many(standing, request_bytes, expected, piece):
    server, app = standing
    app.seen.clear()
    with connect(server) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(request_bytes), piece):
            sock.sendall(request_bytes[start:start + piece])
        assert one_answer(sock)[0] == 200
    assert [each[:3] for each in app.seen] == [expected]


def test_several_requests_on_one_connection_are_answered_in_order(standing, pair):
    server, app = standing
    for number in (0, 1):
        with connect(server, number) as sock:
            sock = secure(sock, pair) if number else sock
            sock.sendall(b"".join(GET.replace(b"/x", b"/x?%d" % size) for size in (1, 20, 3)))
            data = b""
            while data.count(b"\r\n\r\nx") < 3 or not data.endswith(b"\r\n\r\nxxx"):
                data += sock.recv(65536)
            assert re.findall(rb"Content-Length: (\d+)", data) == [b"1", b"20", b"3"]
            sock.close()


@pytest.mark.parametrize("number", [0, 1], ids=["plain", "tls"])
@pytest.mark.parametrize("size", [15_000, 16383, 16384, 16385, 28_000, 70_000, 256 * 1024])
def test_bodies_and_answers_of_any_size_up_to_the_limit_pass(standing, pair, number, size):
    server, app = standing
    with connect(server, number) as sock:
        sock = secure(sock, pair) if number else sock
        body = os.urandom(size)
        sock.sendall(b"POST /x?%d HTTP/1.1\r\n" % (size * 20) + HOST + b"Content-Length: %d\r\n\r\n" % size + body)
        assert len(one_answer(sock)[2]) == size * 20
        assert app.seen[-1][2] == body
        sock.close()


# ---- limits ----------------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("number", [0, 1], ids=["plain", "tls"])
@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"])
def test_a_body_over_the_limit_is_413_and_the_client_gets_to_read_it(standing, pair, number, expect):
    server, app = standing
    app.seen.clear()
    with connect(server, number) as sock:
        sock = secure(sock, pair, suppress_ragged_eofs=False) if number else sock
        sock.sendall(POST + expect + b"Content-Length: 10000000\r\n\r\n")
        if not expect:
            for _ in range(100):
                sock.sendall(b"x" * 100_000)
        assert refused(until_closed(sock), b"413")
        sock.close()
    assert app.seen == []


def test_a_chunked_body_over_the_limit_is_413(standing):
    server, app = standing
    app.seen.clear()
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    assert refused(exchange(server, POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 20 + b"0\r\n\r\n"), b"413")
    assert app.seen == []


def test_a_body_of_exactly_the_limit_is_fine_and_one_more_byte_isnt(serve):
    server = serve(limits=Limits(body_bytes=1000))
    send = lambda size: exchange(server,
        b"POST /x HTTP/1.1\r\nConnection: close\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % size + b"x" * size)   # noqa: E731
    assert send(1000)[9:12] == b"200"
    assert refused(send(1001), b"413")


def test_headers_over_the_limit_are_431(standing):
    server, app = standing
    app.seen.clear()
    for headers in (b"X-A: " + b"x" * 20_000 + b"\r\n", b"X-A: 1\r\n" * 3000, b"X-A: " + b"x" * 2_000_000):
        assert refused(exchange(server, b"GET /x HTTP/1.1\r\n" + HOST + headers + b"\r\n"), b"431")
    assert refused(exchange(server, b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"), b"431")
    assert app.seen == []


def test_an_error_of_the_application_is_a_bare_500(standing, caplog):
    server, _ = standing
    answer = exchange(server, GET.replace(b"/x", b"/bug"))
    assert refused(answer, b"500") and b"secret detail" not in answer


def test_silent_and_dripping_clients_are_ended_in_time(serve, pair):
    """One for each way to be slow, all at once."""
    server = serve([PLAIN[0], Listener("127.0.0.1", 0, True)], tls=tls.Endpoint(*pair), limits=Limits(handshake_s=1, idle_s=2, request_s=3))
    with contextlib.ExitStack() as opened:
        silent, half, idle, headers, body, used = (opened.enter_context(connect(server, number)) for number in (1, 1, 0, 0, 0, 1))
        half.sendall(b"\x16\x03\x01\x02\x00\x01")
        headers.sendall(b"GET /x HTTP/1.1\r\n")
        body.sendall(POST + b"Content-Length: 1000\r\n\r\n")
        used = opened.enter_context(secure(used, pair))
        used.sendall(GET)
        one_answer(used)
        began, ended = time.monotonic(), {}
        waiting = {"silent": silent, "half": half, "idle": idle, "headers": headers, "body": body, "used": used}
        while waiting and time.monotonic() < began + 7:
            for dripping in (headers, body):
                with contextlib.suppress(OSError):
                    dripping.send(b"X")
            for name, sock in list(waiting.items()):
                sock.settimeout(0.02)
                with contextlib.suppress(TimeoutError, ssl.SSLWantReadError):
                    try:
                        sock.recv(1)
                    except ConnectionResetError:
                        pass
                    ended[name] = time.monotonic() - began
                    del waiting[name]
            time.sleep(0.05)
    assert not waiting
    assert all(0.5 < ended[name] < 3 for name in ("silent", "half")), ended
    assert all(1.5 < ended[name] < 4.5 for name in ("idle", "used")), ended
    assert all(2.5 < ended[name] < 5.5 for name in ("headers", "body")), ended


def test_a_long_answer_isnt_idleness(serve, app):
    server = serve(limits=Limits(idle_s=1, request_s=1))
    with connect(server) as sock:
        sock.sendall(GET.replace(b"/x", b"/slow"))
        assert app.waiting.acquire(timeout=5)
        time.sleep(2.5)
        app.go_on.set()
        assert one_answer(sock)[0] == 200


def test_two_hundred_idle_connections_block_nobody(serve, pair):
    server = serve([PLAIN[0], Listener("127.0.0.1", 0, True)], tls=tls.Endpoint(*pair), limits=Limits(connections=100))
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(connect(server, number % 2)) for number in range(200)]
        for sock in sockets[::4]:
            sock.sendall(b"GET /x HTTP/1.1\r\nHost: ")
        began = time.monotonic()
        assert gets_an_answer(server, 0)
        with connect(server, 1) as sock, secure(sock, pair) as secured:
            secured.sendall(GET)
            assert one_answer(secured)[0] == 200
        assert time.monotonic() - began < 2


def test_the_longest_idle_connection_makes_room_and_a_busy_one_never(serve, app):
    server = serve(limits=Limits(connections=3, threads=2))
    with connect(server) as busy, connect(server) as first, connect(server) as second:
        busy.sendall(GET.replace(b"/x", b"/slow"))
        assert app.waiting.acquire(timeout=5)
        second.sendall(GET)
        one_answer(second)
        assert gets_an_answer(server)
        assert first.recv(1) == b""
        second.sendall(GET)
        assert one_answer(second)[0] == 200
        app.go_on.set()
        assert one_answer(busy)[0] == 200


def test_who_has_all_its_connections_busy_gets_no_more(serve, app, monkeypatch):
    monkeypatch.setattr(agent.server, "is_loopback", lambda address: False)
    server = serve(limits=Limits(connections_per_address=2))
    with connect(server) as one, connect(server) as two:
        for sock in (one, two):
            sock.sendall(GET.replace(b"/x", b"/slow"))
            assert app.waiting.acquire(timeout=5)
        assert exchange(server, GET) == b""
        app.go_on.set()
        assert one_answer(one)[0] == one_answer(two)[0] == 200
    assert gets_an_answer(server)


def test_an_address_of_the_lan_has_its_own_limit(serve, monkeypatch):
    """Two loopback addresses stand for two machines of the LAN."""
    monkeypatch.setattr(agent.server, "is_loopback", lambda address: False)
    server = serve(limits=Limits(connections_per_address=3))
    with contextlib.ExitStack() as opened:
        others = [opened.enter_context(socket.create_connection(server.addresses[0][:2], 5, ("127.0.0.2", 0))) for _ in range(3)]
        own = [opened.enter_context(connect(server)) for _ in range(4)]
        assert own[0].recv(1) == b""
        for sock in own[1:] + others:
            sock.sendall(GET)
            assert one_answer(sock)[0] == 200


def test_requests_that_wait_for_a_thread_fill_no_log(serve, app, caplog):
    server = serve(limits=Limits(threads=1))
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(connect(server)) for _ in range(8)]
        for sock in sockets:
            sock.sendall(GET.replace(b"/x", b"/slow"))
        assert app.waiting.acquire(timeout=5)
        app.go_on.set()
        assert [one_answer(sock)[0] for sock in sockets] == [200] * 8
    assert caplog.records == []


def test_urgent_data_ends_the_connection_and_burns_no_time(serve):
    server = serve()
    with connect(server) as sock:
        sock.send(b"x", socket.MSG_OOB)
        before = time.process_time()
        assert until_closed(sock) == b""
        assert time.process_time() - before < 0.5
    assert gets_an_answer(server)


def test_a_client_that_goes_away_ends_nothing(serve, app, pair):
    server = serve([PLAIN[0], Listener("127.0.0.1", 0, True)], tls=tls.Endpoint(*pair))
    for number in range(20):
        sock = connect(server, number % 2)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        if number % 3:
            sock.sendall(b"GET /x?5000000 HTTP/1.1\r\nHost: x\r\n\r\n" if number % 2 == 0 else os.urandom(100))
        sock.close()
    assert gets_an_answer(server)


# ---- the end ---------------------------------------------------------------------------------------------------------------------------

def test_an_answer_under_way_is_finished_and_no_new_connection_taken(serve, app):
    server = serve()
    with connect(server) as busy, connect(server) as idle:
        idle.sendall(GET)
        one_answer(idle)
        busy.sendall(GET.replace(b"/x", b"/slow?100000"))
        assert app.waiting.acquire(timeout=5)
        server.stop()
        server.stop()
        assert idle.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            connect(server)
        assert server.thread.is_alive()
        app.go_on.set()
        assert len(one_answer(busy)[2]) == 100_000
        assert until_closed(busy) == b""
    server.thread.join(5)
    assert not server.thread.is_alive()


def test_a_request_that_arrived_before_we_were_told_to_stop_is_answered(serve):
    in_loop, go_on = threading.Semaphore(0), threading.Event()

    def allows(address):
        in_loop.release()
        return go_on.wait(5)

    server = serve(allows=allows)
    go_on.set()
    with connect(server) as sock:
        sock.sendall(GET)
        one_answer(sock)
        assert in_loop.acquire(timeout=5)
        time.sleep(0.2)  # until the thread that answered has let go of the connection
        go_on.clear()
        with connect(server):
            assert in_loop.acquire(timeout=5), "the loop stands still from here on"
            sock.sendall(GET)
            server.stop()
            go_on.set()
            assert one_answer(sock)[0] == 200
            assert until_closed(sock) == b""


def test_draining_has_an_end(app):
    server = Server(app, PLAIN, allows=lambda address: True, limits=Limits(drain_s=1, threads=2))
    thread = threading.Thread(target=server.run)
    thread.start()
    with connect(server) as sock:
        sock.sendall(GET.replace(b"/x", b"/slow"))
        assert app.waiting.acquire(timeout=5)
        began = time.monotonic()
        server.stop()
        thread.join(5)
        assert 0.5 < time.monotonic() - began < 3 and not thread.is_alive()
        assert until_closed(sock) == b""
    app.go_on.set()


def test_stopping_an_idle_server_is_quick_and_leaves_nothing_behind(app, pair):
    threads, files = set(threading.enumerate()), len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        server = Server(app, [PLAIN[0], Listener("127.0.0.1", 0, True)], allows=lambda address: True, tls=tls.Endpoint(*pair))
        thread = threading.Thread(target=server.run)
        thread.start()
        assert gets_an_answer(server)
        began = time.monotonic()
        server.stop()
        thread.join(5)
        assert time.monotonic() - began < 1.5
        server.stop()
        deadline = time.monotonic() + 2
        while set(threading.enumerate()) - threads and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not set(threading.enumerate()) - threads
    assert len(os.listdir("/proc/self/fd")) <= files


PROCESS = """
import sys, time
from agent.server import Listener, Server
def app(environ, start_response):
    print("asked", flush=True)
    time.sleep(float(environ["QUERY_STRING"] or 0))
    start_response("200 OK", [("Content-Length", "4")])
    return [b"done"]
ready = lambda: print(server.addresses[0].port, flush=True)
server = Server(app, [Listener("127.0.0.1", 0, False)], allows=lambda address: True, ready=ready)
server.run()
print("returned", flush=True)
"""


@contextlib.contextmanager
def process(notify_path):
    """A process of its own, since only a main thread gets signals. Yields (Popen, port)."""
    environment = {**os.environ, "NOTIFY_SOCKET": notify_path, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", PROCESS], stdout=subprocess.PIPE, env=environment, text=True) as running:
        try:
            yield running, int(running.stdout.readline())
        finally:
            running.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_systemd_is_told(tmp_path, number):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(5)
        with process(str(tmp_path / "notify")) as (running, port), socket.create_connection(("127.0.0.1", port), 5) as sock:
            assert systemd.recv(100) == b"READY=1"
            sock.sendall(GET.replace(b"/x", b"/x?0.5"))
            assert running.stdout.readline() == "asked\n"
            running.send_signal(number)
            assert systemd.recv(100) == b"STOPPING=1"
            running.send_signal(number)
            assert one_answer(sock)[2] == b"done"
            assert running.stdout.read() == "returned\n"
            assert running.wait(5) == 0


def test_systemd_is_told_over_an_abstract_socket_or_not_at_all(monkeypatch, caplog):
    name = f"pbx-agent-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + name)
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        notify("READY=1")
        assert systemd.recv(100) == b"READY=1"
    notify("READY=1")
    assert "can't be told" in caplog.text
    for path in ("", "relative", "vsock:2:1234"):
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        notify("READY=1")


# ---- real clients ----------------------------------------------------------------------------------------------------------------------

def curl(*arguments):
    run = subprocess.run(["curl", "-sS", "--max-time", "10", "-w", "%{http_code}", *map(str, arguments)], capture_output=True,
        check=False, timeout=20)
    return run.stdout.decode() + run.stderr.decode()


@CURL
def test_curl_verifies_our_certificate_and_uploads(standing, pair, tmp_path):
    server, app = standing
    url = f"https://localhost:{server.addresses[1].port}/x"
    assert curl("--cacert", pair[0], url) == "xx200"
    assert curl("-k", url) == "xx200"
    assert "certificate" in curl(url)
    (tmp_path / "body").write_bytes(b"y" * 200_000)
    assert curl("-k", "--data-binary", f"@{tmp_path / 'body'}", url, url) == "xx200xx200"
    assert app.seen[-1][2] == b"y" * 200_000
    (tmp_path / "body").write_bytes(b"y" * 10_000_000)
    assert curl("-k", "--data-binary", f"@{tmp_path / 'body'}", url) == "413"
    assert curl("--data-binary", f"@{tmp_path / 'body'}", f"http://127.0.0.1:{server.addresses[0].port}/x") == "413"
