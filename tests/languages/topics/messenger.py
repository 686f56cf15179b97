"""tests/guests/messenger.rs in Python: uses topics as its peer says, a line for each
order. It numbers the messages that it gets, and the number is its state."""

from hotsocket import Connection, topics
from hotsocket.framing import Lines
from hotsocket.topics import Delivery, Subscriber, TopicError, WhenFull


class Messenger(Subscriber):
    def __init__(self) -> None:
        self.lines = Lines(max=4096)
        self.messages = 0

    def data(self, conn: Connection, data: bytes) -> None:
        for line in self.lines.feed(data):
            self.obey(conn, line.decode())

    def obey(self, conn: Connection, line: str) -> object:
        order, topic, text = (line.split(" ", 2) + ["", ""])[:3]
        result = "ok"
        try:
            match order:
                case "event":
                    topics.subscribe(topic)
                case "event-drop":
                    topics.subscribe(topic, full=WhenFull.DROP_OLDEST)
                case "direct":
                    topics.subscribe(topic, Delivery.DIRECT)
                case "direct-drop":
                    topics.subscribe(topic, Delivery.DIRECT, WhenFull.DROP_OLDEST)
                case "leave":
                    topics.unsubscribe(topic)
                case "publish":
                    topics.publish(topic, text.encode())
                case "many":
                    count, _, size = text.partition(" ")
                    for number in range(int(count)):
                        topics.publish(topic, b"%0*d" % (int(size or 10), number))
                case "will":
                    topics.set_will(topic, text.encode())
                case "no-will":
                    topics.clear_will()
                case "count":
                    result = str(topics.subscribers(topic))
                case "write":
                    return conn.write(b"w" * int(topic))
                case "trap":
                    raise RuntimeError("as ordered")
                case "end":
                    return conn.end()
                case _:
                    result = "what?"
        except TopicError as error:
            result = type(error).__name__
        conn.write(f"{result}\n".encode())
        # What an event has asked for is dropped with it.
        if text.endswith("!"):
            raise RuntimeError("as ordered")

    def message(self, conn: Connection, topic: str, data: bytes, sender: int) -> bytes:
        self.messages += 1
        return b"%d %s %d %s\n" % (self.messages, topic.encode(), sender, data)

    def lagged(self, conn: Connection, missed: int) -> bytes:
        return b"lagged %d\n" % missed

    def save(self) -> bytes:
        return self.messages.to_bytes(4, "little")

    def restore(self, state: bytes) -> None:
        self.messages = int.from_bytes(state, "little")
