"""How messages are made of a stream."""

import sys
import traceback
import unittest

from hotsocket import framing


class Framing(unittest.TestCase):
    def cut(self, make, stream, size):
        """All frames of a stream in pieces of this size; then the half, or the error."""
        frames, out = make(), []
        try:
            for at in range(0, len(stream), size):
                out += frames.feed(stream[at : at + size])
                # As after a swap.
                half, frames = frames.half, make()
                frames.half = half
        except framing.FrameError as error:
            with self.assertRaises(type(error)) as again:
                next(frames)
            self.assertIs(again.exception, error)
            return out, str(error)
        return out, frames.half

    def test_frames_are_the_same_in_whatever_pieces_they_come(self):
        lines = lambda: framing.Lines(max=10)
        ends = lambda: framing.Delimited(b"--", max=10)
        prefixed = lambda: framing.LengthPrefixed(2, max=10)
        whole = b"".join(map(prefixed().encode, (b"one", b"", b"two"))) + b"\0"
        long = "more than 10 bytes in one piece"
        for size in range(1, 40):
            self.assertEqual(
                self.cut(lines, b"one\r\n\n\rtwo\n0123456789\r\nhalf\r", size),
                ([b"one", b"", b"\rtwo", b"0123456789"], b"half\r"),
            )
            self.assertEqual(
                self.cut(ends, b"one----0123456789--ha-", size),
                ([b"one", b"", b"0123456789"], b"ha-"),
            )
            self.assertEqual(self.cut(prefixed, whole, size), ([b"one", b"", b"two"], b"\0"))
        # Whole frames before one that is too long are given, too, if they come first.
        self.assertEqual(self.cut(lines, b"one\n0123456789a\ntwo\n", 1)[1], long)
        self.assertEqual(self.cut(ends, b"0123456789a-", 1)[1], long)
        self.assertEqual(self.cut(prefixed, b"\0\x0b", 1)[1], long)

    def test_after_an_error_it_stays_and_nothing_is_kept(self):
        class Digits(framing.Frames):
            def find(self, data, start, seen):
                if len(data) == start:
                    return 0
                if not data[start:start + 1].isdigit():
                    raise framing.FrameError("no digit")
                return framing.Found(start, start + 1, start + 1)

        for frames, begins, half, error, told in [
            (framing.Lines(max=10), b"one\n0123456789a", b"0123456789a", framing.TooLong, "more than 10 bytes"),
            (framing.LengthPrefixed(2, max=10), b"\0\x01x\0\x0b", b"\0\x0b", framing.TooLong, "more than"),
            (Digits(), b"1x", b"x", framing.FrameError, "^no digit$"),
        ]:
            with self.assertRaisesRegex(error, told) as first:
                list(frames.feed(begins))
            self.assertEqual(frames.half, half)
            places = []
            for _ in range(16):
                with self.assertRaises(error) as again:
                    list(frames.feed(b"1\n" * 32_768))
                self.assertIs(again.exception, first.exception)
                places.append(len(traceback.extract_tb(again.exception.__traceback__)))
            self.assertEqual(set(places), {places[0]})
            self.assertEqual(frames.half, half)
            self.assertLess(sys.getsizeof(frames._bytes), 1000)
            # As after a swap.
            frames.half = frames.half
            with self.assertRaisesRegex(error, told):
                list(frames.feed(b"1\n"))

    def test_a_half_ends_an_error(self):
        lines = framing.Lines(max=10)
        with self.assertRaises(framing.TooLong):
            next(lines.feed(b"0123456789a"))
        lines.half = b"tw"
        self.assertEqual(list(lines.feed(b"o\nth")), [b"two"])
        self.assertEqual(lines.half, b"th")


if __name__ == "__main__":
    unittest.main()
