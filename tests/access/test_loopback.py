"""loopback.py: whose socket is at the other end, by the kernel's own table."""

import os
import socket

import pytest

from agent.access.loopback import owner


@pytest.mark.parametrize("host, family", [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_the_owner_of_a_connection_is_the_one_who_made_it(host, family):
    try:
        server = socket.create_server((host, 0), family=family)
    except OSError as error:
        pytest.skip(f"no {host} here: {error}")
    with server, socket.create_connection(server.getsockname()[:2]) as client:
        peer, port = server.accept()[1][:2]
        assert owner(peer, port, to_port=server.getsockname()[1]) == os.getuid()
        assert owner(peer, port, to_port=1) is None
        assert client


def test_a_client_that_has_closed_already_is_nobody():
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        peer, port = server.accept()[1]
        client.close()
        assert owner(peer, port, to_port=server.getsockname()[1]) is None


def test_a_table_as_the_kernel_writes_it_is_read(tmp_path):
    table = tmp_path / "tcp"
    table.write_text("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
                     "   0: 0100007F:C382 0100007F:C382 01 00000000:00000000 00:00000000 00000000  1000        0 1 1\n")
    assert owner("127.0.0.1", 0xC382, to_port=0xC382, tables=[table]) == 1000
    assert owner("127.0.0.1", 1, to_port=0xC382, tables=[table]) is None
    assert owner("127.0.0.1", 1, to_port=2, tables=[tmp_path / "none"]) is None
