"""Teaches: making messages out of a stream, with a bound on what is kept, and
keeping state across a swap. It numbers each line, whatever pieces it comes in,
and new code loses neither the count nor the half of a line that has come.

Try it: `hotsocket build lines.py && hotsocket serve lines.wasm`, then in
another terminal: `printf 'one\\ntwo\\nthree' | nc -N 127.0.0.1 3000`
"""

import re

from hotsocket import Connection, Handler

# A peer must not make us keep more than this: a longer line is cut here and
# goes on as the next one.
LONGEST = 64 * 1024


class Lines(Handler):
    def __init__(self) -> None:
        self.count = 0
        self.half = b""

    def data(self, conn: Connection, data: bytes) -> bytes:
        *whole, self.half = (self.half + data).split(b"\n")
        out = [self.number(piece) + b"\n" for line in whole for piece in cut(line)]
        *full, self.half = cut(self.half)
        out += [self.number(piece) + b"\n" for piece in full]
        return b"".join(out)

    def end(self, conn: Connection) -> bytes | None:
        # A last line without its newline is a line too, and stays without.
        return self.number(self.half) if self.half else None

    def number(self, line: bytes) -> bytes:
        self.count += 1
        return b"%d: %s" % (self.count, line)

    def save(self) -> bytes:
        # Text that anyone can read: `12 lines`, a newline, and the half line.
        return b"%d lines\n%s" % (self.count, self.half)

    def restore(self, state: bytes) -> None:
        # Another guest's state says nothing to this one, which starts afresh.
        found = re.fullmatch(rb"(\d+) lines\n(.*)", state, re.DOTALL)
        if found and len(found[2]) < LONGEST:
            self.count, self.half = int(found[1]), found[2]


def cut(line: bytes) -> list[bytes]:
    """Pieces of the longest length, and a last one that is shorter."""
    return [line[at : at + LONGEST] for at in range(0, len(line) + 1, LONGEST)]
