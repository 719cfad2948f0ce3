"""The certificate, and sockets that speak TLS as waitress expects of a socket."""

import datetime
import ipaddress
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import time
import warnings

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from agent import tls
from agent.errors import Invalid, Unavailable
from agent.server import RECV_BYTES

NAMES = ["pbx", "pbx.example.org", "192.0.2.7", "2001:db8::7", "localhost", "127.0.0.1", "::1"]


@pytest.fixture
def pair(tmp_path):
    paths = tmp_path / "tls" / "cert.pem", tmp_path / "tls" / "key.pem"
    assert tls.ensure_certificate(*paths, NAMES)
    return paths


def load(pair):
    return x509.load_pem_x509_certificate(pair[0].read_bytes())


# ---- the certificate -------------------------------------------------------------------------------------------------------------------

def test_it_is_ecdsa_p256_and_names_what_clients_may_call(pair):
    certificate = load(pair)
    assert isinstance(certificate.public_key().curve, ec.SECP256R1)
    names = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    assert names.get_values_for_type(x509.DNSName) == ["pbx", "pbx.example.org", "localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address(name) for name in NAMES if name[0].isdigit() or ":" in name]
    use = certificate.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE).value
    assert list(use) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not certificate.extensions.get_extension_for_oid(ExtensionOID.BASIC_CONSTRAINTS).value.ca


def test_it_is_valid_now_and_at_most_366_days(pair):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer versions want the _utc names, which older ones don't have
        begin, end = load(pair).not_valid_before, load(pair).not_valid_after
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    assert begin < now < now + datetime.timedelta(days=364) < end
    assert end - begin <= datetime.timedelta(days=366)


def test_the_key_is_for_its_owner_only_or_for_the_group_if_asked(pair, tmp_path):
    assert stat.S_IMODE(pair[1].stat().st_mode) == 0o600
    assert stat.S_IMODE(pair[0].stat().st_mode) == 0o644
    tls.ensure_certificate(tmp_path / "c", tmp_path / "k", ["pbx"], key_mode=0o640)
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o640


def test_nothing_else_is_left_in_the_folder(pair):
    assert sorted(os.listdir(pair[0].parent)) == ["cert.pem", "key.pem"]


def test_an_existing_pair_is_kept_whatever_it_is(tmp_path):
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("somebody's own")
    assert not tls.ensure_certificate(tmp_path / "cert.pem", tmp_path / "key.pem", NAMES)
    assert (tmp_path / "cert.pem").read_text() == (tmp_path / "key.pem").read_text() == "somebody's own"


@pytest.mark.parametrize("present", ["cert.pem", "key.pem"])
def test_half_a_pair_is_an_error_and_is_kept(tmp_path, present):
    (tmp_path / present).write_text("somebody's own")
    with pytest.raises(Invalid, match=present):
        tls.ensure_certificate(tmp_path / "cert.pem", tmp_path / "key.pem", NAMES)
    assert os.listdir(tmp_path) == [present] and (tmp_path / present).read_text() == "somebody's own"


def test_a_dangling_link_is_half_a_pair_too(tmp_path):
    (tmp_path / "key.pem").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Invalid):
        tls.ensure_certificate(tmp_path / "cert.pem", tmp_path / "key.pem", NAMES)
    assert not (tmp_path / "elsewhere").exists()


def test_where_nothing_can_be_written_it_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="can't be written"):
        tls.ensure_certificate(tmp_path / "file" / "cert.pem", tmp_path / "file" / "key.pem", NAMES)


def test_two_pairs_are_never_alike(pair, tmp_path):
    other = tmp_path / "c", tmp_path / "k"
    tls.ensure_certificate(*other, NAMES)
    assert load(pair).serial_number != load(other).serial_number
    assert pair[1].read_bytes() != other[1].read_bytes()


def test_this_machines_names_are_found(tmp_path):
    names = tls.local_names()
    assert {"localhost", "127.0.0.1", "::1", socket.gethostname()} <= set(names)
    assert len(names) == len(set(names))
    assert tls.ensure_certificate(tmp_path / "c", tmp_path / "k")


@pytest.mark.skipif(not shutil.which("ip"), reason="`ip` isn't installed: the list of addresses is NOT compared with it")
def test_every_ipv4_address_of_this_machine_is_among_its_names():
    shown = subprocess.run(["ip", "-4", "-o", "addr"], capture_output=True, check=True, timeout=10).stdout.decode()
    addresses = {word.partition("/")[0] for word in re.findall(r"inet (\S+)", shown)}
    assert {each for each in addresses if not each.startswith("169.254.")} <= set(tls.local_names())


@pytest.mark.parametrize("names", [[], ["x" * 70], ["bücher.example"], ["under_score"], ["a" * 64 + ".example"]])
def test_odd_host_names_make_a_certificate_all_the_same(tmp_path, names):
    assert tls.ensure_certificate(tmp_path / "c", tmp_path / "k", names)
    tls.Endpoint(tmp_path / "c", tmp_path / "k")


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl isn't installed: its view of the certificate is NOT compared")
def test_openssl_agrees_on_fingerprint_and_strict_verification(pair):
    shown = subprocess.run(["openssl", "x509", "-in", pair[0], "-noout", "-fingerprint", "-sha256"], capture_output=True, check=True,
        timeout=10)
    assert shown.stdout.decode().strip().lower() == f"sha256 fingerprint={tls.fingerprint(pair[0])}".lower()
    subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", pair[0], "-verify_ip", "192.0.2.7", pair[0]], check=True,
        capture_output=True, timeout=10)


@pytest.mark.parametrize("content", [None, b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_fingerprint_of_something_else_names_the_file(tmp_path, content):
    if content is not None:
        (tmp_path / "cert.pem").write_bytes(content)
    with pytest.raises(Invalid, match="cert.pem"):
        tls.fingerprint(tmp_path / "cert.pem")


# ---- the endpoint ----------------------------------------------------------------------------------------------------------------------

def test_files_that_dont_fit_refuse_the_start_and_name_the_one(pair, tmp_path):
    other = tmp_path / "c", tmp_path / "k"
    tls.ensure_certificate(*other, NAMES)
    with pytest.raises(Invalid, match="/k: "):
        tls.Endpoint(pair[0], other[1])
    with pytest.raises(Invalid, match="nothing.pem"):
        tls.Endpoint(tmp_path / "nothing.pem", pair[1])
    with pytest.raises(Invalid, match="key.pem: "):
        pair[1].write_text("nonsense")
        tls.Endpoint(*pair)


class Connection:
    """A client of the ssl module and a TlsSocket, connected; `step` lets both do what they can."""

    def __init__(self, endpoint, context):
        ours, theirs = socket.socketpair()
        self.server = endpoint.wrap(ours)
        theirs.settimeout(5)
        self.raw = theirs
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.received = b""

    def handshake(self):
        for _ in range(10):
            try:
                self.client.do_handshake()
                self.push()
                self.read()
                return
            except ssl.SSLWantReadError:
                self.push()
                self.read()
                self.pull()
        raise AssertionError("no handshake")

    def push(self):
        self.raw.sendall(self.outgoing.read())

    def pull(self):
        self.incoming.write(self.raw.recv(65536))

    def read(self):
        try:
            self.received += self.server.recv(8192)
        except BlockingIOError:
            pass

    def client_reads(self, size=65536):
        while True:
            try:
                return self.client.read(size)
            except ssl.SSLWantReadError:
                self.pull()

    def close(self):
        self.raw.close()
        self.server.close()


@pytest.fixture
def trusting(pair):
    context = ssl.create_default_context(cafile=str(pair[0]))
    return context


@pytest.fixture
def connect(pair):
    made = []

    def connect(context, endpoint=None):
        made.append(Connection(endpoint or tls.Endpoint(*pair), context))
        made[-1].handshake()
        return made[-1]

    yield connect
    for each in made:
        each.close()


def test_a_client_that_verifies_gets_tls13(connect, trusting):
    connection = connect(trusting)
    assert connection.server.secured
    assert connection.client.version() == "TLSv1.3"
    connection.client.write(b"hello")
    connection.push()
    connection.read()
    assert connection.received == b"hello"
    assert connection.server.send(b"world") == 5
    assert connection.client_reads() == b"world"


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"])
def test_a_tls12_client_gets_an_aead_cipher_with_forward_secrecy(connect, trusting, cipher):
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2
    trusting.set_ciphers(cipher)
    assert connect(trusting).client.cipher()[0] == cipher


def test_older_versions_and_weaker_ciphers_are_refused(connect, pair, trusting):
    weak = ssl.create_default_context(cafile=str(pair[0]))
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA256:AES128-GCM-SHA256:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        connect(weak)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trusting.minimum_version = trusting.maximum_version = ssl.TLSVersion.TLSv1_1
    trusting.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        connect(trusting)


def test_one_reading_takes_a_whole_record_so_nothing_is_left_where_no_poll_sees_it(connect, trusting):
    connection = connect(trusting)
    for _ in range(3):
        connection.client.write(b"x" * 16384)
    connection.push()
    assert [len(connection.server.recv(RECV_BYTES)) for _ in range(3)] == [16384] * 3
    with pytest.raises(BlockingIOError):
        connection.server.recv(1)


def test_a_full_socket_is_would_block_and_a_longer_retry_in_a_new_object_is_fine(connect, trusting):
    connection = connect(trusting)
    letters = bytes(range(256)) * 256
    sent = 0
    with pytest.raises(BlockingIOError):
        while True:
            sent += connection.server.send(bytes(letters[: len(letters) - 10]))
    received = bytearray()
    while len(received) < sent:
        received += connection.client_reads()
    more = 0
    while more < len(letters):
        try:
            more += connection.server.send(bytes(letters[more:]))
        except BlockingIOError:
            received += connection.client_reads()
    while len(received) < sent + more:
        received += connection.client_reads()
    assert bytes(received[-len(letters):]) == letters


def test_the_clients_end_is_an_empty_reading(connect, trusting):
    connection = connect(trusting)
    with pytest.raises(ssl.SSLError):
        connection.client.unwrap()
    connection.push()
    assert connection.server.recv(100) == b""


def test_our_end_is_told_inside_tls(connect, trusting):
    connection = connect(trusting)
    connection.server.send(b"last words")
    connection.server.shutdown(socket.SHUT_WR)
    assert connection.client_reads() == b"last words"
    assert connection.client_reads() == b""
    connection.server.close()


def test_an_end_without_goodbye_and_plain_http_are_resets(pair, connect, trusting):
    connection = connect(trusting)
    connection.raw.close()
    with pytest.raises(ConnectionResetError):
        connection.server.recv(100)
    for first in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\xff" * 100, b"\0" * 500, os.urandom(500)):
        ours, theirs = socket.socketpair()
        wrapped = tls.Endpoint(*pair).wrap(ours)
        theirs.sendall(first)
        theirs.close()
        with pytest.raises((ConnectionResetError, BlockingIOError)):
            wrapped.recv(100)
        assert not wrapped.secured
        wrapped.close()


def test_a_new_pair_is_taken_for_new_connections_and_the_old_go_on(pair, connect, trusting):
    endpoint = tls.Endpoint(*pair)
    old = connect(trusting, endpoint)
    before = tls.fingerprint(pair[0])
    for path in pair:
        path.unlink()
    tls.ensure_certificate(*pair, NAMES)
    assert tls.fingerprint(pair[0]) != before
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(trusting, endpoint)
    connect(ssl.create_default_context(cafile=str(pair[0])), endpoint)
    old.client.write(b"still here")
    old.push()
    old.read()
    assert old.received == b"still here"


def test_a_half_written_pair_leaves_the_old_one_in_use(pair, connect, trusting, caplog, tmp_path):
    endpoint = tls.Endpoint(*pair)
    other = tmp_path / "c", tmp_path / "k"
    tls.ensure_certificate(*other, NAMES)
    pair[1].write_bytes(other[1].read_bytes())
    for _ in range(3):
        connect(trusting, endpoint)
    assert len(caplog.records) == 1 and "going on with the certificate from before" in caplog.text
    pair[0].write_bytes(other[0].read_bytes())
    connect(ssl.create_default_context(cafile=str(other[0])), endpoint)


def test_a_certificate_is_made_in_no_time(tmp_path):
    began = time.perf_counter()
    tls.ensure_certificate(tmp_path / "c", tmp_path / "k", NAMES)
    assert time.perf_counter() - began < 0.5
