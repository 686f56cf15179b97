"""Teaches: making messages out of a stream, with a bound on what is kept, and
keeping state across a swap. It numbers each line, whatever pieces it comes in,
and new code loses neither the count nor the half of a line that has come.

Try it: `hotsocket build lines.py && hotsocket serve lines.wasm`, then in
another terminal: `printf 'one\\ntwo\\nthree' | nc -N 127.0.0.1 3000`
"""

import re

from hotsocket import Connection, Handler, framing

# A peer must not make us keep more than this: a longer line ends the connection.
LONGEST = 64 * 1024


class Lines(Handler):
    def __init__(self) -> None:
        self.count = 0
        # What has come; it keeps the line whose end is still to come.
        self.lines = framing.Lines(max=LONGEST)

    def data(self, conn: Connection, data: bytes) -> None:
        out = []
        try:
            for line in self.lines.feed(data):
                out.append(self.number(line) + b"\n")
        except framing.TooLong as error:
            out.append(b"%s\n" % str(error).encode())
            conn.write(b"".join(out))
            conn.end()
        else:
            conn.write(b"".join(out))

    def end(self, conn: Connection) -> bytes | None:
        # A last line without its newline is a line too, and stays without.
        return self.number(self.lines.half) if self.lines.half else None

    def number(self, line: bytes) -> bytes:
        self.count += 1
        return b"%d: %s" % (self.count, line)

    def save(self) -> bytes:
        # Text that anyone can read: `12 lines`, a newline, and the half line.
        return b"%d lines\n%s" % (self.count, self.lines.half)

    def restore(self, state: bytes) -> None:
        # Another guest's state says nothing to this one, which starts afresh.
        if found := re.fullmatch(rb"(\d+) lines\n(.*)", state, re.DOTALL):
            self.count, self.lines.half = int(found[1]), found[2]
