"""The life of the process on the network: listeners, READY, requests, SIGTERM, drain, stop.

`build` hands in the WSGI application, the listeners, the address rule and the TLS endpoint; `cli serve` calls `run`. This room is the only
importer of waitress, whose limits are too trusting for us: 101 idle sockets block everyone. It deliberately knows no caller, no route
and no TLS library.

Besides what WSGI asks for, `environ["pbx_agent.listener"]` is {"tls": bool, "loopback": bool, "proxied": bool}: did it come over TLS,
does the peer's address belong to this machine's loopback, and did the request say that a proxy passed it on.

  parser.py     where a request ends, strictly
  channel.py    one connection and its time limits
"""

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from agent.errors import Unavailable
from agent.server.channel import Channel, is_loopback

log = logging.getLogger("pbx_agent.server")
access_log = logging.getLogger("pbx_agent.access")
# waitress warns of every request that waits for a thread, so any client could fill the log.
logging.getLogger("waitress.queue").setLevel(logging.ERROR)

FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
BACKLOG = 128
# The most that a TLS record holds; with less, the rest would wait inside OpenSSL, where no poll sees it.
RECV_BYTES = 16384
# Answers up to this stay in memory; waitress would put longer ones into a temporary file.
ANSWER_BYTES = 8 * 1024 * 1024


class Listener(NamedTuple):
    """Where to listen: an address ("127.0.0.1", "::"), a port (0: any free one), and whether it speaks TLS."""

    host: str
    port: int
    tls: bool


@dataclass(frozen=True)
class Limits:
    """What clients may cost; units are in the names. Loopback peers count only towards `connections`.

    request_s: from a request's first byte to its last. drain_s: for answers under way when we are told to stop.
    """

    body_bytes: int = 256 * 1024
    header_bytes: int = 16 * 1024
    handshake_s: int = 5
    idle_s: int = 15
    request_s: int = 30
    connections: int = 256
    connections_per_address: int = 16
    threads: int = 8
    drain_s: int = 20


class Door(TcpWSGIServer):
    """One listening socket: decides at accept who comes in. Whatever is wrong with a connection is its own end, never the door's."""

    channel_class = Channel

    def __init__(self, app, sock, *, tls, allows, limits, **waitress):
        self.tls = tls
        self._allows = allows
        self._limits = limits
        sockinfo = (sock.family, sock.type, sock.proto, sock.getsockname())
        super().__init__(app, _sock=sock, bind_socket=False, sockinfo=sockinfo, **waitress)

    def handle_accept(self):
        try:
            accepted = self.accept()
        except OSError as error:
            log.warning("a connection can't be taken: %s", error.strerror)
            _end_idlest(_channels(self._map))  # perhaps there are no files left
            return
        if accepted is None:
            return
        sock, peer = accepted
        let_in = False
        try:
            let_in = self._let_in(sock, peer)
        except OSError as error:
            log.info("a connection from %s ended at once: %s", peer[0], error.strerror)
        finally:
            if not let_in:
                sock.close()

    def handle_error(self):
        log.exception("a connection couldn't be taken")

    def maintenance(self, now):
        for channel in list(self.active_channels.values()):
            if channel.is_overdue(now, self._limits):
                channel.handle_close()

    def _let_in(self, sock, peer):
        """Make a Channel of the socket and return True; False if it is to be closed. A refused plain client is told so first."""
        allowed = self._allows(peer[0])
        if not allowed:
            access_log.warning('refused address=%s user="" reason=address path=-', peer[0])
        if not allowed and (self.tls or len(_channels(self._map)) >= self._limits.connections):
            return False        # nobody who is allowed makes room for one who isn't
        if allowed and not self._has_room(peer[0]):
            return False
        self.set_socket_options(sock)
        channel = Channel(self, self.tls.wrap(sock) if self.tls else sock, peer, self.adj, map=self._map)
        if not allowed:
            channel.refuse(FORBIDDEN)
        return True

    def _has_room(self, address):
        """Tell if one more connection of this address fits in, perhaps by ending an idle one of its own, or of whoever has most."""
        channels = _channels(self._map)
        own = [each for each in channels if each.addr[0] == address]
        if len(own) >= self._limits.connections_per_address and not is_loopback(address):
            return _end_idlest(own)
        if len(channels) >= self._limits.connections:
            most = Counter(each.addr[0] for each in channels).most_common(1)[0][0]
            return _end_idlest([each for each in channels if each.addr[0] == most])
        return True


class Server:
    """All listeners, one loop, one pool of threads."""

    def __init__(self, app, listeners, *, allows, tls=None, limits=Limits(), ready=None):
        """Given a WSGI application and where to serve it, listen; connections wait until `run`.

        listeners: list of Listener.
        allows: takes a peer's address (str), tells if it may connect; called in the loop, so it mustn't wait for anything.
        tls: its `wrap(socket)` returns a socket that speaks TLS; needed if a listener asks for it.
        ready: called once when `run` begins to serve.
        Raises: Unavailable if an address can't be listened on.
        """
        self._limits = limits
        self._ready = ready
        self._map = {}
        self._stopping = False
        self._over = False
        # Reentrant, since a signal may arrive in `stop` itself.
        self._lock = threading.RLock()
        self._dispatcher = ThreadedTaskDispatcher()
        sockets = _bind_all(listeners)
        self._doors = [self._door(app, listener, sock, allows, tls) for listener, sock in sockets]
        self.addresses = [Listener(*sock.getsockname()[:2], listener.tls) for listener, sock in sockets]

    def run(self):
        """Serve until `stop` or, in the main thread, SIGTERM or SIGINT; finish what is under way; return."""
        self._dispatcher.set_thread_count(self._limits.threads)
        with self._signals():
            if self._ready:
                self._ready()
            notify("READY=1")
            while not self._stopping:
                self._poll(1)
            notify("STOPPING=1")
            self._drain()

    def stop(self):
        """Make `run` drain and return; from any thread or signal handler, as often as you like."""
        with self._lock:
            self._stopping = True
            if not self._over:
                self._doors[0].pull_trigger()

    def _door(self, app, listener, sock, allows, tls):
        adjustments = Adjustments(
            sockets=[sock],
            threads=self._limits.threads,
            url_scheme="https" if listener.tls else "http",
            ident="",
            server_name=listener.host,
            # waitress refuses what reaches its limit.
            max_request_body_size=self._limits.body_bytes + 1,
            max_request_header_size=self._limits.header_bytes + 1,
            inbuf_overflow=self._limits.body_bytes * 2,
            outbuf_overflow=ANSWER_BYTES,
            outbuf_high_watermark=ANSWER_BYTES * 2,
            recv_bytes=RECV_BYTES,
            backlog=BACKLOG,
            # Room is made at accept; this is only where waitress would stop accepting, and it counts listeners and triggers too.
            connection_limit=self._limits.connections * 2 + 64,
            cleanup_interval=1,
            channel_timeout=self._limits.idle_s,
            channel_request_lookahead=0,
            clear_untrusted_proxy_headers=True,
            log_untrusted_proxy_headers=False,
            expose_tracebacks=False,
            log_socket_errors=True,
            asyncore_use_poll=True,
        )
        return Door(
            app, sock, tls=tls if listener.tls else None, allows=allows, limits=self._limits,
            map=self._map, dispatcher=self._dispatcher, adj=adjustments,
        )

    def _poll(self, timeout_s):
        wasyncore.loop(timeout=timeout_s, use_poll=True, map=self._map, count=1)

    @contextlib.contextmanager
    def _signals(self):
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, lambda *_: self.stop()) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _drain(self):
        """Take no new connection, give answers under way their time, then end everything."""
        self._poll(0)  # what has arrived already is under way too
        for door in self._doors:
            wasyncore.dispatcher.close(door)
        deadline = time.monotonic() + self._limits.drain_s
        while self._end_idle() and time.monotonic() < deadline:
            self._poll(0.1)
        self._dispatcher.shutdown(timeout=max(0.1, deadline - time.monotonic()))
        with self._lock:
            self._over = True
            for channel in _channels(self._map):
                channel.handle_close()
            # A thread that is still at work will pull a trigger, and must not find somebody else's file under its number.
            if not self._dispatcher.threads:
                wasyncore.close_all(self._map, ignore_all=True)

    def _end_idle(self):
        """Close the connections without an answer under way; return those that have one."""
        busy = [each for each in _channels(self._map) if each.is_busy()]
        for channel in _channels(self._map):
            if channel not in busy:
                channel.handle_close()
        return busy


def bind(listener):
    """Given a Listener, return its listening socket, for IPv4 or IPv6 only; None if it is `::` or `::1` and there is no IPv6 here.

    Raises: Unavailable if the address is taken or not this machine's.
    """
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    where = f"[{listener.host}]:{listener.port}" if family == socket.AF_INET6 else f"{listener.host}:{listener.port}"
    try:
        with contextlib.ExitStack() as opened:
            sock = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((listener.host, listener.port))
            sock.listen(BACKLOG)
            opened.pop_all()
            return sock
    except OSError as error:
        if listener.host in ("::", "::1") and not _has_ipv6():
            log.warning("%s: this machine has no IPv6; not listening there", where)
            return None
        raise Unavailable(f"can't listen: {error.strerror}", where=where) from error


def notify(state):
    """Given a state ("READY=1"), tell it to systemd, if it asked for it. Source: sd_notify(3)"""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path[:1] not in ("/", "@"):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.sendto(state.encode(), "\0" + path[1:] if path[0] == "@" else path)
        except OSError as error:
            log.warning("systemd can't be told %s: %s", state, error.strerror)


def _bind_all(listeners):
    """Return [(Listener, socket)], all bound or none."""
    with contextlib.ExitStack() as opened:
        sockets = [(listener, opened.enter_context(sock)) for listener in listeners if (sock := bind(listener))]
        if not sockets:
            raise Unavailable("there is no address to listen on")
        opened.pop_all()
        return sockets


def _has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
        return True
    except OSError:
        return False


def _channels(map_):
    return [each for each in list(map_.values()) if isinstance(each, Channel)]


def _end_idlest(channels):
    """Close the one that waits the longest, rather between requests than within one; return False if all are being answered."""
    waiting = [each for each in channels if not each.is_busy()]
    if waiting:
        min(waiting, key=lambda each: (each.request is not None, each.last_activity)).handle_close()
    return bool(waiting)
