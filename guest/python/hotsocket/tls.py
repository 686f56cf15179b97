"""TLS that begins in the middle of a connection, as protocols with a command for it have
it (STARTTLS).

    from hotsocket import Connection, Handler, tls

    class Mail(Handler):
        def data(self, conn: Connection, data: bytes) -> bytes | None:
            if data != b"STARTTLS\\r\\n" or not tls.can_start():
                return b"not now\\r\\n"
            tls.start(conn, b"go ahead\\r\\n")

The certificates are those of the listener, with `--tls-mode starttls`; `wit/tls` has the
rules. `hotsocket.peer.tls()` tells what has been agreed on. A guest that imports this
module imports `hotsocket:tls`.
"""

from . import Connection, host

try:
    from wit_world.imports import upgrade as _upgrade
except ImportError:
    # In a unit test or an editor there is no server, and no TLS.
    host.without("tls")
    _upgrade = None

__all__ = [
    "AlreadySecure",
    "Closed",
    "Pending",
    "TlsError",
    "Unavailable",
    "can_start",
    "start",
]


class TlsError(Exception):
    """TLS does not begin, and nothing was written."""


class Unavailable(TlsError):
    """The listener has no certificate, or speaks TLS from the first byte only."""


class AlreadySecure(TlsError):
    """The connection is under TLS already."""


class Pending(TlsError):
    """It has been asked for, and the handshake has not begun."""


class Closed(TlsError):
    """This side has been closed."""


_ERRORS = {
    "UNAVAILABLE": Unavailable,
    "ALREADY_SECURE": AlreadySecure,
    "PENDING": Pending,
    "CLOSED": Closed,
}


def can_start() -> bool:
    """Whether `start` would succeed now: whether to offer the command to the peer."""
    return _upgrade is not None and _upgrade.can_start_tls()


def start(conn: Connection, last: bytes = b"") -> None:
    """Write the last bytes in plain text, which let the peer begin its handshake, and
    begin TLS when the event has succeeded. What is written afterwards, also what the
    event returns, is sent under TLS; the next `data` has come under it.

    Refuse the command if anything lies behind it in what has come: that came in plain
    text, perhaps from somebody on the way (CVE-2011-0411). Raises a `TlsError`.
    """
    if _upgrade is None:
        raise Unavailable(Unavailable.__doc__)
    if last and _upgrade.can_start_tls():
        conn.write(last)
    try:
        _upgrade.start_tls()
    except host.Err as error:
        kind = _ERRORS[error.value.name]
        raise kind(kind.__doc__) from None
