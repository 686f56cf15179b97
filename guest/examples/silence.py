"""Teaches: a clock and a timer. It tells for how long the peer was silent, and
says goodbye after a minute of silence."""

import time

from hotsocket import Connection, Handler

PATIENCE = 60
GOODBYE = 1


class Silence(Handler):
    def __init__(self) -> None:
        self.last = time.monotonic()

    def open(self, conn: Connection) -> None:
        conn.set_timer(GOODBYE, PATIENCE)

    def data(self, conn: Connection, data: bytes) -> bytes:
        silence = round(time.monotonic() - self.last)
        self.last = time.monotonic()
        conn.set_timer(GOODBYE, PATIENCE)
        return b"%d s of silence\n" % silence

    def timer(self, conn: Connection, id: int) -> None:
        conn.write(b"goodbye after %d s\n" % round(time.monotonic() - self.last))
        conn.end()
