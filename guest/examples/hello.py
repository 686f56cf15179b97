"""Teaches: the events of a connection, and printing. It greets whoever sends
something, and logs what was sent: the classic first server of a Node tutorial,
with the same lines.

Try it: `hotsocket build hello.py && hotsocket serve hello.wasm`, then
`nc 127.0.0.1 3000` in another terminal, and type.
"""

from hotsocket import Address, Connection, Handler


class Hello(Handler):
    @classmethod
    def listening(cls, listeners: list[Address]) -> None:
        print(f"Server listening on port {listeners[0].port}")

    def open(self, conn: Connection) -> None:
        print("Client connected")

    def data(self, conn: Connection, data: bytes) -> bytes:
        print(f"Received data: {data.decode(errors='replace')}")
        print(f"The following is how the request looks like in the hex format: \n {hexed(data)}")
        return b"Hello World from the server!"

    def end(self, conn: Connection) -> None:
        print("Client disconnected")


def hexed(data: bytes) -> str:
    """Bytes as Node shows a buffer: the first 50, then how many more there are."""
    more = len(data) - 50
    rest = f" ... {more} more byte{'s' if more > 1 else ''}" if more > 0 else ""
    return f"<Buffer {data[:50].hex(' ')}{rest}>"
