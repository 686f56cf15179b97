"""Teaches: connections that meet. A chat with names and rooms, in which the code can be
replaced while people talk: names, rooms and half-typed lines stay.

Try it: `hotsocket serve chat.py`, then `nc 127.0.0.1 3000` in two terminals. What one
types, the others in the room see. `/join ROOM`, `/who`, `/quit`.

What is said goes from the host to the peers without a call of their guests
(`Delivery.DIRECT`); only `/who` asks the others' guests, who answer with a name.
"""

import re
import unicodedata

from hotsocket import Connection, environment, topics
from hotsocket.framing import FrameError, Lines
from hotsocket.topics import Delivery, Subscriber, WhenFull

# Fit for a name and for a part of a topic.
WORD = re.compile("[A-Za-z0-9]{1,20}")
# What telnet negotiates: three bytes that begin with 255 (RFC 854).
TELNET = re.compile(rb"\xff(?:[\xfb-\xfe]?.|$)", re.DOTALL)


def plain(line: bytes) -> str:
    """The line as text, without that and without what would act on the others'
    terminals."""
    text = TELNET.sub(b"", line).decode(errors="replace")
    return "".join(c for c in text if unicodedata.category(c) != "Cc").strip()


class Chat(Subscriber):
    version = 2  # version 1 had no inbox

    def __init__(self) -> None:
        # Answers to `/who` come to `answers.` and this. It is random: ids of connections are
        # those of one node, and people on several nodes may meet.
        self.inbox = ""
        # Empty until the peer has told it.
        self.name = ""
        # Empty also when the peer has quit.
        self.room = ""
        self.lines = Lines(max=1000)

    def open(self, conn: Connection) -> bytes:
        return b"Your name?\n"

    def data(self, conn: Connection, data: bytes) -> None:
        try:
            for line in self.lines.feed(data):
                self.obey(conn, plain(line))
        except FrameError as error:
            conn.write(f"{error}\n".encode())
            conn.end()

    def obey(self, conn: Connection, line: str) -> None:
        word, _, rest = line.partition(" ")
        if not self.inbox:
            self.inbox = environment.random(8).hex()
            topics.subscribe(f"answers.{self.inbox}", Delivery.DIRECT, WhenFull.DROP_OLDEST)
        if not self.name:
            if not WORD.fullmatch(line):
                conn.write(b"A name has letters and digits, 20 at most. Your name?\n")
                return
            self.name = line
            self.join(conn, "lobby")
        elif not self.room:
            pass  # what still comes after `/quit`
        elif word == "/join" and rest == self.room:
            conn.write(b"You are there.\n")
        elif word == "/join" and WORD.fullmatch(rest):
            self.join(conn, rest)
        elif word == "/join":
            conn.write(b"A room has letters and digits, 20 at most.\n")
        elif word == "/who":
            conn.write(f"* {self.name} (you)\n".encode())
            topics.publish(f"who.{self.room}", self.inbox.encode())
        elif word == "/quit":
            conn.write(b"Bye!\n")
            conn.end()
            self.room = ""
        elif word:
            self.say(f"{self.name}: {line}")

    def say(self, line: str) -> None:
        topics.publish(f"room.{self.room}", f"{line}\n".encode())

    def join(self, conn: Connection, room: str) -> None:
        if self.room:
            self.say(f"* {self.name} has gone to {room}")
            topics.unsubscribe(f"room.{self.room}")
            topics.unsubscribe(f"who.{self.room}")
        self.room = room
        said, who = f"room.{room}", f"who.{room}"
        others = topics.subscribers(said)
        # Whoever reads too slowly misses something, and stays.
        topics.subscribe(said, Delivery.DIRECT, WhenFull.DROP_OLDEST)
        topics.subscribe(who, Delivery.EVENT, WhenFull.DROP_OLDEST)
        # However this connection ends, also if the machine of its peer burns.
        topics.set_will(said, f"* {self.name} has left\n".encode())
        conn.write(f"* {room}: {others} here besides you\n".encode())
        self.say(f"* {self.name} has come")

    def message(self, conn: Connection, topic: str, data: bytes, sender: int) -> None:
        """Somebody in the room asks who is there, and says where answers go."""
        inbox = data.decode(errors="replace")
        if self.room and WORD.fullmatch(inbox):
            topics.publish(f"answers.{inbox}", f"* {self.name}\n".encode())

    def save(self) -> bytes:
        return f"{self.inbox}\n{self.name}\n{self.room}\n".encode() + self.lines.half

    def upgrade(self, state: bytes, version: int) -> bytes:
        return b"\n" + state

    def restore(self, state: bytes) -> None:
        *words, self.lines.half = state.split(b"\n", 3)
        self.inbox, self.name, self.room = (word.decode() for word in words)
