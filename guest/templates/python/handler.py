"""What {name} does with a connection: it counts what the peer sends."""

from hotsocket import Address, Connection, Handler


class Session(Handler):
    """One connection. Each has an instance of its own, in a sandbox of its own."""

    @classmethod
    def listening(cls, listeners: list[Address]) -> None:
        print(f"Server listening on port {listeners[0].port}")

    def __init__(self) -> None:
        self.bytes = 0

    def data(self, conn: Connection, data: bytes) -> bytes:
        # TCP has no messages: what the peer wrote at once may come in pieces.
        # What an event returns is written.
        self.bytes += len(data)
        return b"%d bytes so far\n" % self.bytes

    def end(self, conn: Connection) -> None:
        print(f"{conn.peer.ip} sent {self.bytes} bytes")

    # What new code must know of this connection when it takes over.
    def save(self) -> bytes:
        return b"%d" % self.bytes

    def restore(self, state: bytes) -> None:
        self.bytes = int(state)
