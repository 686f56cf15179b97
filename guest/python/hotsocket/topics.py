"""Connections meet: what one publishes under a topic, those get that have subscribed
to it.

    from hotsocket import Connection, topics
    from hotsocket.topics import Subscriber

    class Party(Subscriber):
        def open(self, conn: Connection) -> None:
            topics.subscribe("party")

        def data(self, conn: Connection, data: bytes) -> None:
            topics.publish("party", data)

        def message(self, conn: Connection, topic: str, data: bytes, sender: int) -> bytes:
            return data

What is asked for takes effect when the event has succeeded, and belongs to the
connection: swap, rollback, sleep and restart change nothing about subscriptions,
messages that wait, and the will. `wit/topics` has the rules and the limits.

A guest that imports this module imports `hotsocket:topics`; one that names `Subscriber`
exports what the server calls with messages.
"""

from enum import Enum

from . import Connection, Handler, host

try:
    from wit_world.imports import topics as _topics
except ImportError:
    # In a unit test or an editor there is no server.
    host.without("topics")
    _topics = None

__all__ = [
    "Delivery",
    "Invalid",
    "NoSubscriber",
    "Subscriber",
    "TooLarge",
    "TooMuch",
    "TopicError",
    "WhenFull",
    "clear_will",
    "publish",
    "set_will",
    "subscribe",
    "subscribers",
    "unsubscribe",
]


class Delivery(Enum):
    """How a message reaches a subscriber."""

    EVENT = "event"
    """`Subscriber.message` is called."""
    DIRECT = "direct"
    """The server writes the bytes to the peer itself and calls no guest."""


class WhenFull(Enum):
    """What happens when there is no room for another message."""

    CLOSE = "close"
    """The connection is closed."""
    DROP_OLDEST = "drop-oldest"
    """The oldest messages are dropped; with `Delivery.DIRECT` the new one."""


class TopicError(Exception):
    """Nothing was published or subscribed to."""


class Invalid(TopicError):
    """It is no topic, or no pattern: tokens joined by dots, without lone surrogates."""


class TooLarge(TopicError):
    """A message has more than 64 KiB."""


class TooMuch(TopicError):
    """This event has published 1 MiB already, or asked for something 4,096 times."""


class NoSubscriber(TopicError):
    """`Delivery.EVENT` needs a handler that derives from `hotsocket.topics.Subscriber`."""


class Subscriber(Handler):
    """A handler that is called with messages. What its events return is written to the
    peer, as with every event."""

    def message(
        self, conn: Connection, topic: str, data: bytes, sender: int
    ) -> bytes | None:
        """A message under a topic that this connection has subscribed to. `sender` is
        the id of the connection that has published it, 0 if it came from elsewhere."""

    def lagged(self, conn: Connection, missed: int) -> bytes | None:
        """So many messages were dropped before the next one, because too many waited
        (`WhenFull.DROP_OLDEST`)."""


_ERRORS = {
    "INVALID": Invalid,
    "TOO_LARGE": TooLarge,
    "TOO_MUCH": TooMuch,
    "NO_SUBSCRIBER": NoSubscriber,
}


def _ask(request: str, *args: object) -> object:
    if _topics is None:
        return 0
    try:
        return getattr(_topics, request)(*args)
    except host.Err as error:
        kind = _ERRORS[error.value.name]
        raise kind(kind.__doc__) from None


def _name(topic: str) -> str:
    if not host.is_text(topic):
        raise Invalid(Invalid.__doc__)
    return topic


def _bytes(data: bytes) -> bytes:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"a message is bytes, not {type(data).__name__}")
    return bytes(data)


def subscribe(
    pattern: str, delivery: Delivery = Delivery.EVENT, full: WhenFull = WhenFull.CLOSE
) -> None:
    """Get what is published under all topics that match a pattern: a topic, in which `*`
    may stand for one token and `>`, at the end, for one or more. Subscribing again to
    the same pattern changes how. Raises a `TopicError`."""
    if _topics is not None:
        delivery = _topics.Delivery[delivery.name]
        full = _topics.WhenFull[full.name]
    _ask("subscribe", _name(pattern), delivery, full)


def unsubscribe(pattern: str) -> None:
    """Messages that wait still come. If the connection has not subscribed to this
    pattern, nothing happens."""
    if host.is_text(pattern):
        _ask("unsubscribe", pattern)


def publish(topic: str, data: bytes) -> None:
    """Send bytes to all other connections that have subscribed to the topic. A publisher
    never waits for a subscriber and learns nothing about one. Raises a `TopicError`."""
    _ask("publish", _name(topic), _bytes(data))


def subscribers(topic: str) -> int:
    """How many connections have subscribed to a topic now, this one included."""
    return _ask("subscribers", topic) if host.is_text(topic) else 0


def set_will(topic: str, data: bytes) -> None:
    """What the server publishes when this connection is over, however it ends; not when
    it migrates. The last one counts. Raises a `TopicError`."""
    _ask("set_will", _name(topic), _bytes(data))


def clear_will() -> None:
    """Nothing is published when this connection is over."""
    _ask("set_will", "none", None)
