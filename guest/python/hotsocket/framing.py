"""Frames out of a stream: lines, lengths before contents, any delimiter, or a
format of your own.

TCP has no messages. These keep what has come of a frame until the rest comes, up
to a limit; `half` is part of a handler's state, so a swap in the middle of a frame
loses nothing.

    from hotsocket import Handler
    from hotsocket.framing import Lines, TooLong

    class Greeter(Handler):
        def __init__(self):
            self.lines = Lines(max=512)

        def data(self, conn, data):
            try:
                for name in self.lines.feed(data):
                    conn.write(b"Hello, %s\\n" % name)
            except TooLong as error:
                conn.write(b"%s\\n" % str(error).encode())
                conn.end()

        def save(self):
            return self.lines.half

        def restore(self, state):
            self.lines.half = state
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

__all__ = ["Delimited", "FrameError", "Found", "Frames", "LengthPrefixed", "Lines", "TooLong"]


class FrameError(Exception):
    """What has come is no frame. Nothing is known of where the next one begins:
    end the connection."""


class TooLong(FrameError):
    """A frame is longer than it may be."""


class Found(NamedTuple):
    """Where the contents of a frame are, and where the frame ends."""

    start: int
    stop: int
    end: int


class Frames(ABC):
    """What has come of a stream, as frames of at most `max` bytes of contents.

    An iterator: after `feed` it gives the frames that are whole, and goes on after
    more has come. It raises `TooLong` as soon as a frame is known to be longer. After a
    `FrameError` nothing is kept of what comes, and the error is raised each time.
    """

    def __init__(self, max: int = 65_536) -> None:
        self.max = max
        self._bytes = bytearray()
        self._taken = self._seen = 0
        self._error: FrameError | None = None

    @abstractmethod
    def find(self, data: bytearray, start: int, seen: int) -> Found | int:
        """Look for the frame that begins at `start`. Up to `seen` nothing was found
        when this was last called. If it is not whole, the least length that its
        contents will have. Raise `FrameError` if no frame begins like this."""

    def feed(self, data: bytes) -> "Frames":
        """Append what the peer has sent. After an error it is dropped."""
        if self._error is None:
            del self._bytes[: self._taken]
            self._seen -= self._taken
            self._taken = 0
            self._bytes += data
        return self

    @property
    def half(self) -> bytes:
        """What has come of a frame that is not whole. It stays as it is after an error, so
        that a successor finds the same one. With another half all begins anew."""
        return bytes(self._bytes[self._taken :])

    @half.setter
    def half(self, half: bytes) -> None:
        self._bytes = bytearray(half)
        self._taken = self._seen = 0
        self._error = None

    def __iter__(self) -> "Frames":
        return self

    def __next__(self) -> bytes:
        if self._error is not None:
            # Its places in the source would become more each time.
            raise self._error.with_traceback(None)
        try:
            found = self.find(self._bytes, self._taken, max(self._seen, self._taken))
            length = found if isinstance(found, int) else found.stop - found.start
            if length > self.max:
                raise TooLong(f"more than {self.max} bytes in one piece")
        except FrameError as error:
            # Nothing is known of where the next frame begins.
            self._error = error
            raise
        if isinstance(found, int):
            self._seen = len(self._bytes)
            raise StopIteration
        self._taken = found.end
        return bytes(self._bytes[found.start : found.stop])


class Delimited(Frames):
    """Contents that end with a delimiter, which is not part of them."""

    def __init__(self, delimiter: bytes, max: int = 65_536) -> None:
        super().__init__(max)
        self.delimiter = delimiter

    def find(self, data: bytearray, start: int, seen: int) -> Found | int:
        # The delimiter itself may have come in pieces.
        size = len(self.delimiter)
        stop = data.find(self.delimiter, max(start, seen - size + 1))
        if stop < 0:
            return max(0, len(data) - start - size + 1)
        return Found(start, stop, stop + size)


class Lines(Frames):
    """Lines that end in a newline, or carriage return and newline; neither is part
    of the contents."""

    def find(self, data: bytearray, start: int, seen: int) -> Found | int:
        newline = data.find(b"\n", seen)
        if newline < 0:
            return len(data) - start - data.endswith(b"\r", start)
        return Found(start, newline - data.endswith(b"\r", start, newline), newline + 1)


class LengthPrefixed(Frames):
    """The length of the contents in `size` bytes, then the contents."""

    def __init__(self, size: int = 4, byteorder: str = "big", max: int = 65_536) -> None:
        super().__init__(max)
        self.size = size
        self.byteorder = byteorder

    def find(self, data: bytearray, start: int, seen: int) -> Found | int:
        contents = start + self.size
        if len(data) < contents:
            return 0
        length = int.from_bytes(data[start:contents], self.byteorder)
        stop = contents + length
        return Found(contents, stop, stop) if len(data) >= stop else length

    def encode(self, contents: bytes) -> bytes:
        """The bytes of a frame with these contents, to be written."""
        return len(contents).to_bytes(self.size, self.byteorder) + contents
