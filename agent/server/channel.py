"""One connection: reads requests, hands them to a thread, sends the answers, and ends when its time is up.

Used by `server`, which makes one at each accept and asks it once a second whether it is overdue. On a plain socket or on one that speaks
TLS (`tls.TlsSocket`), which it tells apart only by the handshake's own time limit. It deliberately decides nothing about who may connect.
"""

import ipaddress
import re
import socket
import time

from waitress.channel import HTTPChannel
from waitress.task import WSGITask

from agent.server.parser import BareError, Parser

PROXY_HEADERS = re.compile("HTTP_(VIA|(.*_)?FORWARDED(_.*)?|X_REAL_IP|.*CLIENT_IP|CF_.*|X_PROXYUSER_IP|X_ENVOY_.*)")
# How long, and how much, a client may go on sending after its last answer.
LINGER_S = 2
LINGER_BYTES = 32 * 1024 * 1024


class Request(WSGITask):
    """One request in its thread; adds `pbx_agent.listener` to environ before waitress clears the headers that proxies set."""

    def get_environment(self):
        if self.environ is None:
            environ = super().get_environment()
            environ["pbx_agent.listener"] = {
                "tls": self.channel.server.tls is not None,
                "loopback": is_loopback(self.channel.addr[0]),
                "proxied": any(PROXY_HEADERS.fullmatch(name) for name in environ),
            }
        return self.environ


class Channel(HTTPChannel):
    """waitress' channel with time limits by what the connection is doing; all but `send` and `service` run in the loop's thread."""

    parser_class = Parser
    task_class = Request
    error_task_class = BareError
    request_since = None
    lingers_until = None
    lingering_bytes = 0

    def __init__(self, server, sock, addr, adj, map=None):
        super().__init__(server, sock, addr, adj, map)
        # waitress 2.1.2 asks the socket for its peer again, and is lost if that has gone meanwhile (CVE-2024-49769).
        self.connected = True
        self.addr = addr

    def refuse(self, answer):
        """Given the bytes of a whole answer, send it without reading a request, and close."""
        self.outbufs[-1].append(answer)
        self.total_outbufs_len += len(answer)
        self.close_when_flushed = True

    def is_busy(self):
        """Tell if a request is being answered or its answer isn't sent yet."""
        return bool(self.requests or self.total_outbufs_len)

    def is_overdue(self, now, limits):
        """Given the time and the Limits, tell if the connection has used up its time for what it is doing."""
        if self.lingers_until is not None:
            return now > self.lingers_until or self.lingering_bytes > LINGER_BYTES
        if self.requests:
            return False
        if not getattr(self.socket, "secured", True):
            return now > self.creation_time + limits.handshake_s
        if self.request_since and now > self.request_since + limits.request_s:
            return True
        return now > self.last_activity + limits.idle_s

    def readable(self):
        return self.lingers_until is not None or super().readable()

    def writable(self):
        return self.lingers_until is None and super().writable()

    def handle_read(self):
        """Take what has come; TLS may say that it isn't enough yet for anything, which waitress would take for an end."""
        try:
            data = self.recv(self.adj.recv_bytes)
        except BlockingIOError:
            return
        except OSError:
            self.handle_close()
            return
        if self.lingers_until is not None:
            self.lingering_bytes += len(data)
        elif data:
            self.last_activity = time.time()
            self.received(data)
            self.request_since = None if self.request is None else self.request_since or self.last_activity

    def handle_write(self):
        """Send what is ready; after a last answer close our side only, and linger."""
        if not self.close_when_flushed or self.will_close:
            super().handle_write()
            return
        self._flush_exception(self._flush_some)
        if self.connected and not self.total_outbufs_len:
            self._linger()

    def _linger(self):
        """Go on reading for a while: closing with unread bytes would reset the connection, and the client would lose the answer."""
        self.lingers_until = time.time() + LINGER_S
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.handle_close()

    def handle_expt(self):
        # Urgent data has no meaning here, and poll would report it for ever.
        self.handle_close()


def is_loopback(address):
    """Given a peer's address, tell if it is this machine's loopback."""
    peer = ipaddress.ip_address(address)
    return (getattr(peer, "ipv4_mapped", None) or peer).is_loopback
