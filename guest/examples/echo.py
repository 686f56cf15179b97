"""Teaches: the least a guest can be. It sends back what it gets.

Try it: `hotsocket build echo.py && hotsocket serve echo.wasm`, then
`nc 127.0.0.1 3000` in another terminal, and type.
"""

from hotsocket import Connection, Handler


class Echo(Handler):
    def data(self, conn: Connection, data: bytes) -> bytes:
        # What an event returns is written, as with `conn.write(data)`.
        return data
