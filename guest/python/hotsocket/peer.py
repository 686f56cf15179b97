"""Who is at the other end of the connection, besides its address: what a TLS handshake,
a PROXY header and the kernel have said.

    from hotsocket import Connection, Handler, Refuse, peer

    class Members(Handler):
        def open(self, conn: Connection) -> None:
            if not peer.certificates():
                raise Refuse("no certificate")

The server has found it out before `open`. `wit/peer` has the rules and the limits; a guest
that imports this module imports `hotsocket:peer`.
"""

from typing import NamedTuple

from . import Address, host

try:
    from wit_world.imports import peer as _peer
except ImportError:
    # In a unit test or an editor there is no server, and nothing is known.
    host.without("peer")
    _peer = None

__all__ = [
    "AUTHORITY",
    "SSL",
    "UNIQUE_ID",
    "Credentials",
    "Proxy",
    "Tls",
    "certificates",
    "credentials",
    "listener",
    "proxy",
    "socket",
    "tls",
]

AUTHORITY = 0x02
"""The type of the extension with the host name that the client has asked for."""
UNIQUE_ID = 0x05
"""The type of the extension with a number for this connection."""
SSL = 0x20
"""The type of the extension about the TLS between client and proxy."""


class Tls(NamedTuple):
    """What a TLS handshake has agreed on."""

    version: str
    """`TLSv1.2` or `TLSv1.3`."""
    cipher_suite: str
    server_name: str | None
    """The name that the client has asked for (SNI)."""
    protocol: bytes | None
    """The protocol that both have chosen (ALPN)."""


class Credentials(NamedTuple):
    """The process that has connected to a Unix socket, as it was then."""

    uid: int
    gid: int
    pid: int | None
    """None: the server cannot see the process."""


class Proxy(NamedTuple):
    """What a proxy has said in a PROXY header, besides the addresses: those are
    `conn.peer` and `conn.local`."""

    version: int
    """Of the protocol: 1 or 2."""
    is_local: bool
    """The proxy has connected on its own behalf, to see whether the server is alive."""
    extensions: list[tuple[int, bytes]]
    """Types and values, in their order."""

    def extension(self, kind: int) -> bytes | None:
        """The first extension of a type."""
        return next((value for each, value in self.extensions if each == kind), None)


def listener() -> str | None:
    """The name of the listener that has accepted the connection, if it has one."""
    return _peer.listener() if _peer else None


def socket() -> tuple[Address, Address]:
    """The addresses of the socket itself, the listener's first: a proxy's, where there
    was a PROXY header."""
    if _peer is None:
        return Address("", 0), Address("", 0)
    ends = _peer.socket()
    return Address(ends.local.ip, ends.local.port), Address(ends.peer.ip, ends.peer.port)


def tls() -> Tls | None:
    """None: the connection is not encrypted here."""
    found = _peer.tls() if _peer else None
    if found is None:
        return None
    return Tls(found.version, found.cipher_suite, found.server_name, found.protocol)


def certificates() -> list[bytes]:
    """The client's certificates in DER, its own first. They have been verified."""
    return _peer.certificates() if _peer else []


def credentials() -> Credentials | None:
    """None: the connection is none of a Unix socket."""
    found = _peer.credentials() if _peer else None
    return Credentials(found.uid, found.gid, found.pid) if found else None


def proxy() -> Proxy | None:
    """None: there was no PROXY header."""
    found = _peer.proxy() if _peer else None
    if found is None:
        return None
    extensions = [(extension.kind, extension.value) for extension in found.extensions]
    return Proxy(found.version, found.is_local, extensions)
