"""Which local user is at the other end of a loopback connection; called by `build` for the setting `loopback = root`.

Source: the kernel's table of sockets, proc(5) /proc/net/tcp: the client's own end is listed there with the uid that made it. Deliberately no
answer but a number or None: what it isn't sure of counts as nobody.
"""

import ipaddress
import struct
from pathlib import Path


def owner(address, port, *, to_port, tables=("/proc/net/tcp", "/proc/net/tcp6")):
    """Given the client's address and port as the server sees them, and the server's port, return the uid of the client's socket, or None."""
    wanted = ipaddress.ip_address(address)
    for table in tables:
        for line in _lines(table):
            columns = line.split()
            # A closed end is listed without an inode, and as root's whoever made it.
            if columns[9] != "0" and _end(columns[1]) == (wanted, port) and _end(columns[2])[1] == to_port:
                return int(columns[7])
    return None


def _lines(table):
    try:
        return Path(table).read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return []


def _end(text):
    """Given `0100007F:C382`, return (IP address, port): the address is in words of four bytes, each in the machine's own order."""
    words, port = text.split(":")
    data = b"".join(struct.pack("=I", int(words[i:i + 8], 16)) for i in range(0, len(words), 8))
    address = ipaddress.ip_address(data)
    return getattr(address, "ipv4_mapped", None) or address, int(port, 16)
