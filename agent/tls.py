"""TLS: the certificate, made at first start, and the sockets that speak with it.

`build` calls `ensure_certificate` and hands an `Endpoint` to `server`, which wraps each accepted socket with it; `cli` shows the
`fingerprint`. The only importer of OpenSSL and cryptography. Settings are Mozilla's "intermediate" (TLS 1.2 and 1.3, forward secrecy,
AEAD). It deliberately parses no HTTP, asks for no client certificate, and has no callback (CVE-2026-27448 is about those).
"""

import array
import datetime
import errno
import fcntl
import ipaddress
import logging
import os
import socket
import struct
import tempfile
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL

from agent.errors import Fault, Invalid, Unavailable

log = logging.getLogger("pbx_agent.tls")

LIFE_DAYS = 365
# RFC 5280: ub-common-name
MAX_COMMON_NAME = 64
CIPHERS = ":".join(
    f"ECDHE-{signature}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for signature in ("ECDSA", "RSA")
).encode()
# OpenSSL ssl.h; pyOpenSSL has no name for it, and sets it itself only since 25.2. waitress retries a write with a new object.
MODE_ACCEPT_MOVING_WRITE_BUFFER = 0x2
# linux/sockios.h. Netlink would tell more, but the service's sandbox has no AF_NETLINK.
SIOCGIFCONF = 0x8912
INTERFACES_BYTES = 16384


def ensure_certificate(certificate_path, key_path, names=None, *, key_mode=0o600):
    """Given where certificate and key belong, make a self-signed pair unless both are there; return True if it made one.

    names: list of str, host names and addresses to stand in the certificate; None for this machine's own.
    key_mode: permission bits of the key, 0o600 or 0o640.
    Raises: Invalid if only one of the two is there; Unavailable if they can't be written.
    Keeps: whatever is there.
    """
    present = [path for path in (certificate_path, key_path) if os.path.lexists(path)]
    if len(present) == 2:
        return False
    if present:
        raise Invalid("certificate or key is there without the other; remove it, or put its companion beside it", where=str(present[0]))
    certificate, key = _self_signed(local_names() if names is None else names)
    try:
        # The key first: a certificate is only seen when its key is there.
        _create(key_path, key, key_mode)
        _create(certificate_path, certificate, 0o644)
    except OSError as error:
        raise Unavailable(f"the certificate can't be written: {error.strerror}", where=str(error.filename or certificate_path)) from error
    return True


def fingerprint(certificate_path):
    """Given a PEM certificate's path, return its SHA-256 fingerprint as openssl prints it ("AB:CD:…"). Raise Invalid if it is none."""
    try:
        with open(certificate_path, "rb") as file:
            certificate = x509.load_pem_x509_certificate(file.read())
    except (OSError, ValueError) as error:
        raise Invalid("this isn't a readable PEM certificate", where=str(certificate_path)) from error
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def local_names():
    """Return the names and addresses that clients may call this machine by: host name, FQDN, current addresses, localhost."""
    host = socket.gethostname()
    names = [host, socket.getfqdn(host), *_addresses(), "localhost", "127.0.0.1", "::1"]
    return list(dict.fromkeys(name for name in names if name))


def _addresses():
    """Return the addresses of all interfaces (IPv4), and the one that this machine would call from (IPv6)."""
    return [address for address in (*_ipv4_addresses(), *_ipv6_address()) if not ipaddress.ip_address(address).is_link_local]


def _ipv4_addresses():
    record = 16 + 2 * struct.calcsize("L") + 8  # struct ifreq: a name, and a union whose largest member is struct ifmap
    buffer = array.array("B", bytes(INTERFACES_BYTES))
    start, length = buffer.buffer_info()
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            used = struct.unpack("iP", fcntl.ioctl(sock, SIOCGIFCONF, struct.pack("iP", length, start)))[0]
    except OSError:
        return []
    # sockaddr_in stands after the name: family, port, address
    return [socket.inet_ntoa(buffer[place + 20 : place + 24].tobytes()) for place in range(0, used, record)]


def _ipv6_address():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.connect(("2001:db8::1", 9))  # sends nothing; the kernel only chooses a source
            return [sock.getsockname()[0].partition("%")[0]]
    except OSError:
        return []


def _self_signed(names):
    """Return (certificate, key) as PEM bytes: ECDSA P-256, valid from an hour ago for LIFE_DAYS."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, next(iter(names), "pbx-agent")[:MAX_COMMON_NAME])])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    use = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
                         "encipher_only", "decipher_only"), False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=LIFE_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, **use), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), private


def _general_name(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name.encode("idna").decode("ascii") if not name.isascii() else name)


def _create(path, data, mode):
    """Write a new file, wholly or not at all; never over an existing one (`link` refuses where `rename` wouldn't)."""
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, mode=0o750, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=folder)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    finally:
        os.unlink(temporary)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Endpoint:
    """The server's side of TLS with one certificate and key; a changed pair of files is taken for the next connection."""

    def __init__(self, certificate_path, key_path):
        """Given two PEM files (a chain may follow the certificate), load them. Raise Invalid if they can't be used together."""
        self._paths = (os.fspath(certificate_path), os.fspath(key_path))
        self._signature = self._look()
        self._context = self._load()

    def wrap(self, sock):
        """Given an accepted socket, return it as a TlsSocket; the handshake happens while reading."""
        return TlsSocket(sock, self._current())

    def renew(self):
        """Take the files anew if they changed. A pair that doesn't fit, as between two writes, leaves the old one in use."""
        signature = self._look()
        if signature == self._signature:
            return
        try:
            self._context = self._load()
        except Fault as fault:
            log.error("%s; going on with the certificate from before", fault)
        else:
            log.info("%s: new certificate taken", self._paths[0])
        self._signature = signature

    def _current(self):
        self.renew()
        return self._context

    def _look(self):
        return tuple(_signature(path) for path in self._paths)

    def _load(self):
        """Return a new Context; a used one must never be changed (pyOpenSSL 26.2 makes that an error)."""
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_cipher_list(CIPHERS)
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_mode(MODE_ACCEPT_MOVING_WRITE_BUFFER)
        certificate_path, key_path = self._paths
        try:
            context.use_certificate_chain_file(certificate_path)
        except SSL.Error as error:
            raise Invalid("this isn't a readable PEM certificate", where=certificate_path) from error
        try:
            context.use_privatekey_file(key_path)
            context.check_privatekey()
        except SSL.Error as error:
            raise Invalid("this isn't the readable PEM key of the certificate", where=key_path) from error
        return context


class TlsSocket:
    """A non-blocking TLS connection in the shape of a socket, as far as waitress uses one: errors are a socket's too.

    waitress reads in one thread and writes in others; OpenSSL's object isn't made for that, so a lock keeps them apart.
    """

    def __init__(self, sock, context):
        sock.setblocking(False)
        self._sock = sock
        self._lock = threading.Lock()
        self._connection = SSL.Connection(context, sock)
        self._connection.set_accept_state()
        self.secured = False
        self._said_goodbye = False
        # The rest is the TCP socket's own business.
        for name in ("fileno", "getpeername", "getsockname", "getsockopt", "setsockopt", "setblocking"):
            setattr(self, name, getattr(sock, name))

    def recv(self, size):
        """Return up to size bytes, b"" at the end. Raise BlockingIOError if there are none yet, ConnectionResetError if TLS broke."""
        if not self.secured:
            self._locked(self._connection.do_handshake)
            self.secured = True
        try:
            return self._locked(self._connection.recv, size)
        except SSL.ZeroReturnError:
            return b""

    def send(self, data):
        """Send what fits and return how much. Raise BlockingIOError if nothing fits, ConnectionResetError if TLS broke."""
        try:
            return self._locked(self._connection.send, data)
        except SSL.ZeroReturnError as error:
            raise ConnectionResetError(errno.ECONNRESET, "closed by the peer") from error

    def shutdown(self, how):
        """Say that nothing more will be sent: to the peer's TLS, and then to its TCP."""
        self._say_goodbye()
        self._sock.shutdown(how)

    def close(self):
        """Close at once; a peer that waited for the end of TLS is told so."""
        self._say_goodbye()
        self._sock.close()

    def _say_goodbye(self):
        if not self.secured or self._said_goodbye:
            return
        self._said_goodbye = True
        try:
            self._locked(self._connection.shutdown)
        except (OSError, SSL.Error):
            pass  # It is over either way.

    def _locked(self, call, *arguments):
        try:
            with self._lock:
                return call(*arguments)
        except (SSL.WantReadError, SSL.WantWriteError, SSL.WantX509LookupError) as error:
            raise BlockingIOError(errno.EWOULDBLOCK, "not now") from error
        except SSL.ZeroReturnError:
            raise
        except SSL.Error as error:
            # Of SysCallError, whose first argument is an errno, and of all others the meaning is the same: this connection is over.
            raise ConnectionResetError(errno.ECONNRESET, "TLS broke") from error


def _signature(path):
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
