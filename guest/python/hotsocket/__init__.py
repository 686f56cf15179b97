"""Guests of the hotsocket server in Python.

A guest is a plain file with one class that derives from `Handler`:

    from hotsocket import Connection, Handler

    class Echo(Handler):
        def data(self, conn: Connection, data: bytes) -> bytes:
            return data

`hotsocket build echo.py` makes a component of it. Nothing is registered: the
class is found. An instance of it serves one connection, in a sandbox with an
interpreter of its own, so variables of the module belong to one connection,
too.

`hotsocket.framing`, `hotsocket.environment`, `hotsocket.topics`, `hotsocket.store`,
`hotsocket.peer` and `hotsocket.tls` have more.

This module is what a guest's author sees. It calls the server through
`hotsocket.host`, and `hotsocket.glue` calls the handler; outside the server,
in a unit test or an editor, it can be imported all the same.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from . import host

__all__ = [
    "Address",
    "Closed",
    "Connection",
    "Full",
    "Handler",
    "Refuse",
    "Resumed",
    "WriteError",
]


class Address(NamedTuple):
    """One end of a connection. As text it is `127.0.0.1:3000` or `[::1]:3000`."""

    ip: str
    port: int

    def __str__(self) -> str:
        ip = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"{ip}:{self.port}"


class Refuse(Exception):
    """Raised in `open`: close this connection; the server logs the reason.

    Raised in `restore`, `upgrade` or `resume`: the connection stays with the
    instance that served it until now.
    """


class WriteError(Exception):
    """Bytes were not taken for writing, not one of them."""


class Closed(WriteError):
    """This side has been closed, or the connection is over."""


class Full(WriteError):
    """More would wait for the peer than the server allows one connection."""


def _bytes(data: bytes, wanted: str = "write takes bytes") -> bytes:
    if type(data) is bytes:
        return data
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"{wanted}, not {type(data).__name__}")


class Connection:
    """The one connection that this instance serves.

    The server owns the socket: these methods only tell it what to do, and none
    of them ever waits.
    """

    @property
    def id(self) -> int:
        """Unique among all connections of this server process; counts up from 1."""
        return self._info()[0]

    @property
    def local(self) -> Address:
        """The listener's address, which the peer connected to."""
        return self._info()[1]

    @property
    def peer(self) -> Address:
        """The peer's address."""
        return self._info()[2]

    def write(self, data: bytes) -> bool:
        """Queue bytes for the peer; they are sent in order.

        True: go on. False: stop, because more than 64 KiB wait for the peer
        (`drained` follows), or because this side is closed. A guest that only
        answers may ignore it: the server reads nothing more from a peer that
        does not take its answers.

        Raises `Full` when the bytes do not fit into the queue (the server's
        `--max-queue`, 8 MiB if not set), which ends the connection unless it is
        caught: a reply that is missing in the stream would make the next one
        look like its answer.
        """
        try:
            return self.try_write(data)
        except Closed:
            return False
        except Full as full:
            cure = "raise --max-queue, or use try_write and wait for drained"
            raise Full(f"cannot write {len(data)} bytes: {full} ({cure})") from None

    def try_write(self, data: bytes) -> bool:
        """Like `write`, but raises `Closed`, too, when none of the bytes were
        taken. After `Full` keep them, and write them again in `drained`."""
        try:
            return host.write(_bytes(data))
        except host.Err as error:
            kind, told = host.write_error(error)
            raise {"closed": Closed, "full": Full}.get(kind, WriteError)(told) from None

    def end(self) -> None:
        """Close this side: FIN follows when everything queued has been written.
        `data` and `end` still come."""
        host.end()

    def abort(self) -> None:
        """Reset the connection at once. What is queued is lost."""
        host.abort()

    def hold_open(self) -> None:
        """Stay writable after the peer's FIN, until `end`. Without this the
        server ends the connection once everything is written."""
        host.hold_open()

    def set_timer(self, id: int, seconds: float) -> None:
        """Have `timer` called once with this id, so many seconds from now.
        Setting a timer that is already set moves it. Timers belong to the
        connection: they outlive a swap."""
        # Rounded up: a timer must not run out before its time.
        host.set_timer(id, max(0, -int(-seconds * 1000 // 1)))

    def clear_timer(self, id: int) -> None:
        """Forget a timer."""
        host.clear_timer(id)

    def pause(self) -> None:
        """Read nothing more from the peer until `resume`: no `data` and no `end`
        come meanwhile. It takes effect when the event has succeeded, and
        outlives a swap."""
        host.pause()

    def resume(self) -> None:
        """Read on."""
        host.resume()

    def checkpoint(self) -> None:
        """With `--on-trap restart`: the state is worth keeping now. `save` is
        called when this event has succeeded, and from the first call on only
        then, no longer after every `--snapshot-every` events."""
        host.checkpoint()

    def set_label(self, name: str) -> None:
        """Call the connection so in the log. The first 64 bytes count; an empty
        name takes it away."""
        host.label(host.sendable(name))

    _known: tuple[int, Address, Address] | None = None

    def _info(self) -> tuple[int, Address, Address]:
        # Asked for once: it never changes.
        if self._known is None:
            info = host.info()
            self._known = (
                info.id,
                Address(info.local.ip, info.local.port),
                Address(info.peer.ip, info.peer.port),
            )
        return self._known


@dataclass(frozen=True, slots=True)
class Resumed:
    """Why and with what an instance takes over a connection."""

    how: str
    """`migrated`: new code takes over an open connection. `woken`: it slept
    without an instance. `restarted`: its instance died, and `state` may be
    older than the last event."""
    state: bytes | None
    """What the predecessor saved; None if it saved nothing, or could not."""
    version: int
    """The predecessor's `version`; 0 if it saved no state, or no version."""
    peer_ended: bool
    """`end` was called in a predecessor: neither `data` nor `end` will come."""


class Handler:
    """What a guest does with its connection. Override what you care for.

    Each method but `listening` and `save` is an event of the connection. They
    come one at a time and must not wait. First `open` or `resume`; then `data`,
    `drained` and `timer` in any number; `end` at most once and no `data` after
    it; `close` at most once and last. Whatever bytes an event returns are
    written to the peer.

    An exception that nobody catches costs this connection and no other; the
    server logs it with its place in the source.
    """

    version: ClassVar[int] = 1
    """The layout of what `save` returns. Count it up when the layout changes,
    and let `upgrade` read the older ones."""

    @classmethod
    def listening(cls, listeners: list[Address]) -> None:
        """The server is listening (at least one address). Called once when it
        starts, in an instance of its own that serves no connection."""

    def open(self, conn: Connection) -> bytes | None:
        """A connection has just been accepted. Raise `Refuse` to refuse it."""

    def data(self, conn: Connection, data: bytes) -> bytes | None:
        """The peer has sent these bytes (1 byte to 64 KiB). TCP has no
        messages: what was sent at once may come in pieces, and pieces may come
        together."""

    def drained(self, conn: Connection) -> bytes | None:
        """After `write` had said False: the peer has taken enough, write on."""

    def end(self, conn: Connection) -> bytes | None:
        """The peer has sent FIN: no more `data`. The server ends the connection
        once everything is written, unless the guest holds it open."""

    def timer(self, conn: Connection, id: int) -> bytes | None:
        """A timer has run out."""

    def close(self, conn: Connection, reason: str) -> bytes | None:
        """The connection is over: `ended`, `aborted-by-peer`,
        `aborted-by-guest`, `idle-timeout`, `write-timeout`, `shutdown`,
        `swapped`, or another reason in words. With `idle-timeout`, `shutdown`
        and `swapped` a farewell may still be written."""

    def save(self) -> bytes | None:
        """The state of this connection that new code needs, or None.

        It must only read: it may be called between any two events, more than
        once, and this instance may be used on.
        """

    def restore(self, state: bytes) -> None:
        """Take over the state that a predecessor saved with this `version`."""

    def upgrade(self, state: bytes, version: int) -> bytes:
        """Turn state of an older version into that of this one.

        The default refuses it, and the connection stays with its old code.
        """
        raise Refuse(
            f"the snapshot is of version {version}, this guest reads {self.version}"
        )

    def resume(self, conn: Connection, resumed: Resumed) -> bytes | None:
        """This instance takes over a connection that another one served. The
        default hands the state, if there is one, to `restore`."""
        state, version = resumed.state, resumed.version
        if state is None:
            return
        if version > self.version:
            # Code was rolled back: what was newer is unknown here.
            Handler.upgrade(self, state, version)
        if version < self.version:
            state = self.upgrade(state, version)
        self.restore(state)
