"""Paho's client against the guest `mqtt`: a thousand messages, wills, and who connects
twice. Says on standard output how far it is."""

import queue
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

PORT = int(sys.argv[1])


class Client:
    """A client whose messages are in a queue."""

    def __init__(self, name, will=None, keep_alive=60):
        self.messages = queue.Queue()
        self.events = queue.Queue()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=True)
        client.on_connect = lambda *args: self.events.put(("connected", args[3].value))
        client.on_subscribe = lambda *args: self.events.put(("subscribed", args[3][0].value))
        client.on_unsubscribe = lambda *args: self.events.put(("unsubscribed", 0))
        client.on_disconnect = lambda *args: self.events.put(("disconnected", 0))
        client.on_message = lambda _, __, message: self.messages.put(message)
        if will:
            client.will_set(*will)
        client.reconnect_delay_set(min_delay=100)
        client.connect("127.0.0.1", PORT, keepalive=keep_alive)
        client.loop_start()
        self.client = client
        self.expect("connected", 0)

    def expect(self, event, value):
        got = self.events.get(timeout=60)
        assert got == (event, value), got

    def subscribe(self, topic, qos):
        self.client.subscribe(topic, qos)
        self.expect("subscribed", min(qos, 1))

    def next(self):
        return self.messages.get(timeout=60)

    def stop(self):
        self.client.disconnect()
        self.client.loop_stop()


receiver = Client("receiver")
receiver.subscribe("numbers/+", 2)
receiver.subscribe("numbers/#", 0)
receiver.subscribe("wills/#", 1)
sender = Client("sender", will=("wills/sender", "gone", 1, False))
print("subscribed")

for number in range(1000):
    qos = number % 2
    info = sender.client.publish(f"numbers/{qos}", str(number), qos)
    info.wait_for_publish(60)
    message = receiver.next()
    assert (int(message.payload), message.qos, message.retain) == (number, qos, False), message
    if number % 100 == 99:
        print(number + 1, "have come")

# A message that is too large for one of TCP's segments, and one that is empty.
for payload in [b"x" * 65536, b""]:
    sender.client.publish("numbers/0", payload, 1)
    assert receiver.next().payload == payload

# Retained, seen by who comes later, and forgotten.
sender.client.publish("numbers/kept", "kept", 1, retain=True).wait_for_publish(60)
assert not receiver.next().retain
late = Client("late")
late.subscribe("numbers/#", 1)
message = late.next()
assert (message.payload, message.retain, message.qos) == (b"kept", True, 1), message
sender.client.publish("numbers/kept", "", 1, retain=True).wait_for_publish(60)
assert not late.next().retain
receiver.next()

# One gets its own as well, and nothing any more after it has unsubscribed.
late.client.publish("numbers/own", "own", 0)
assert late.next().payload == receiver.next().payload == b"own"
late.client.unsubscribe("numbers/#")
late.expect("unsubscribed", 0)
late.client.publish("numbers/own", "again", 0)
assert receiver.next().payload == b"again"
assert late.messages.empty()
late.stop()

# The same client again: the older one is closed, and its will is published.
newer = Client("sender")
sender.expect("disconnected", 0)
message = receiver.next()
assert (message.topic, message.payload, message.qos) == ("wills/sender", b"gone", 1), message
newer.client.publish("numbers/1", "newer", 1)
assert receiver.next().payload == b"newer"
for client in [sender, newer, receiver]:
    client.stop()
print("done")
