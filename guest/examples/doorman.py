"""Teaches: what a guest asks of its host besides reading and writing. It greets with
a setting, calls the connection by the visitor's name in the log, logs with fields, and
rests for ten seconds when it is told to, without reading.

Try it: `hotsocket serve doorman.py --set greeting=Welcome`, then `nc 127.0.0.1 3000`
in another terminal.
"""

from hotsocket import Connection, Handler, environment
from hotsocket.framing import FrameError, Lines

REST = 10


class Doorman(Handler):
    def __init__(self) -> None:
        self.names = Lines(max=64)
        # When the visitor came, on the clock of all instances.
        self.since = environment.uptime()

    def open(self, conn: Connection) -> bytes:
        return f"{environment.setting('greeting', 'Hello')}, who is there?\n".encode()

    def data(self, conn: Connection, data: bytes) -> None:
        try:
            for name in self.names.feed(data):
                self.name(conn, name.decode(errors="replace"))
        except FrameError as error:
            conn.write(f"{error}\n".encode())
            conn.end()

    def name(self, conn: Connection, name: str) -> None:
        if name == "rest":
            conn.pause()
            conn.set_timer(1, REST)
        elif name == "faint":
            raise RuntimeError("the doorman faints")
        else:
            here = int(environment.uptime() - self.since)
            conn.set_label(name)
            conn.checkpoint()
            environment.info("came in", name=name, after=here)
            conn.write(f"{name}, you are here for {here} s\n".encode())

    def timer(self, conn: Connection, id: int) -> None:
        conn.resume()

    def save(self) -> bytes:
        # When the visitor came as text, a newline, and the half of a name.
        return b"%d\n%s" % (self.since * 1e9, self.names.half)

    def restore(self, state: bytes) -> None:
        since, _, self.names.half = state.partition(b"\n")
        self.since = int(since) / 1e9
