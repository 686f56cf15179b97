"""What of the package can be tested without a server."""

import io
import types
import unittest
from unittest import mock

import hotsocket
from hotsocket import (
    Address,
    Connection,
    Handler,
    Refuse,
    Resumed,
    environment,
    glue,
    host,
    peer,
    store,
    tls,
    topics,
)


def resumed(state, version):
    return Resumed("migrated", state, version, False)


class Versioned(Handler):
    version = 3

    def restore(self, state):
        self.state = state

    def upgrade(self, state, version):
        if version == 1:
            return super().upgrade(state, version)
        return state + b" from %d" % version


class Snapshots(unittest.TestCase):
    def restored(self, state, version):
        handler = Versioned()
        handler.resume(Connection(), resumed(state, version))
        return handler.state

    def test_the_same_version_is_taken_as_it_is(self):
        self.assertEqual(self.restored(b"x", 3), b"x")

    def test_an_older_one_is_upgraded(self):
        self.assertEqual(self.restored(b"x", 2), b"x from 2")

    def test_what_is_not_understood_is_refused(self):
        for version in (1, 4):
            told = f"the snapshot is of version {version}, this guest reads 3"
            with self.assertRaisesRegex(Refuse, told):
                self.restored(b"x", version)

    def test_no_state_restores_nothing(self):
        handler = Versioned()
        handler.resume(Connection(), resumed(None, 0))
        self.assertFalse(hasattr(handler, "state"))

    def test_the_format_is_version_then_state(self):
        class Saving(Handler):
            version = 0x0102

            def save(self):
                return b"xy"

        exports = glue.Exports(Saving)
        exports.handler = Saving()
        self.assertEqual(exports.save(), b"\x02\x01\0\0xy")
        self.assertEqual(glue._state(b"\x02\x01\0\0xy"), (0x0102, b"xy"))
        self.assertEqual(glue._state(b"\x01\0\0\0"), (1, b""))
        self.assertEqual(glue._state(b"abc"), (0, b"abc"))
        self.assertEqual(glue._state(None), (0, None))

    def test_state_is_bytes(self):
        for state, told in [(5, "int"), ("x", "str"), ([1], "list")]:
            exports = glue.Exports(Handler)
            exports.handler = types.SimpleNamespace(save=lambda: state, version=1)
            with mock.patch.object(glue, "_fail") as fail:
                exports.save()
            told = f"save returns bytes or None, not {told}"
            self.assertEqual([str(error) for error in fail.call_args.args], [told])
        exports.handler.save = lambda: bytearray(b"x")
        self.assertEqual(exports.save(), b"\x01\0\0\0x")


class Glue(unittest.TestCase):
    def test_what_an_event_returns_is_written(self):
        class Doubling(Handler):
            def data(self, conn, data):
                return data * 2

        exports = glue.Exports(Doubling)
        exports.handler = Doubling()
        with mock.patch.object(host, "write") as write:
            exports.data(b"ab")
            exports.timer(1)
        write.assert_called_once_with(b"abab")

    def test_lines_are_sent_whole(self):
        sent = []
        out = glue._Output(sent.append)
        print("a", 1, file=out)
        print("b", end="", file=out)
        print("c\nd", "e\ud800", sep="\n", file=out)
        out.write("rest")
        self.assertEqual(sent, ["a 1", "bc\nd", "e\ufffd"])
        out.finish()
        out.finish()
        self.assertEqual(sent[3:], ["rest"])
        self.assertIsInstance(out, io.TextIOBase)

    def test_an_exception_is_told_with_its_places(self):
        def inner():
            raise ValueError("no")

        try:
            inner()
        except ValueError as error:
            told = glue._told(error)
        self.assertRegex(
            told, r"^ValueError: no \(test_hotsocket.py:\d+ in inner, from test_hotsocket.py:\d+ in "
        )

    def test_the_handler_is_the_one_most_derived(self):
        module = types.ModuleType("guest")
        module.__file__ = "/x/guest.py"
        module.Base = type("Base", (Handler,), {"__module__": "guest"})
        module.Handler = Handler
        self.assertIs(glue.find(module), module.Base)
        module.Own = type("Own", (module.Base,), {"__module__": "guest"})
        self.assertIs(glue.find(module), module.Own)
        module.Other = type("Other", (Handler,), {"__module__": "guest"})
        with self.assertRaisesRegex(SystemExit, "guest.py: more than one .*: Own, Other"):
            glue.find(module)
        with self.assertRaisesRegex(SystemExit, "no class in it derives"):
            glue.find(types.SimpleNamespace(__file__="x.py", __name__="x"))


class Writing(unittest.TestCase):
    def test_what_does_not_fit_is_raised_and_a_closed_side_is_not(self):
        with mock.patch.object(Connection, "try_write", side_effect=hotsocket.Closed):
            self.assertIs(Connection().write(b"x"), False)
        full = hotsocket.Full("too many")
        with mock.patch.object(Connection, "try_write", side_effect=full):
            with self.assertRaisesRegex(hotsocket.Full, "1 bytes: too many .*--max-queue"):
                Connection().write(b"x")


class Surroundings(unittest.TestCase):
    def test_a_setting_has_a_default(self):
        with mock.patch.object(host, "setting", side_effect=[None, None, "x"]):
            self.assertIsNone(environment.setting("a"))
            self.assertEqual(environment.setting("a", "b"), "b")
            self.assertEqual(environment.setting("a", "b"), "x")

    def test_a_line_has_one_of_four_levels(self):
        with mock.patch.object(host, "log") as log:
            environment.warn("slow", level=3, message="too")
            with self.assertRaisesRegex(ValueError, "no level is called 'warning'"):
                environment.log("warning", "slow")
        log.assert_called_once_with("warn", "slow", {"level": 3, "message": "too"})

    def test_bytes_that_are_not_utf_8_become_replacement_characters(self):
        name = b"a\xffb".decode(errors="surrogateescape")
        sent = []
        print(name, file=glue._Output(sent.append))
        with mock.patch.object(host, "label") as label:
            Connection().set_label(name)
        server = mock.MagicMock()
        with mock.patch.object(host, "_environment", server):
            environment.info(name, **{name: name})
        with mock.patch.object(host, "setting", return_value=None) as setting:
            environment.setting(name)
        sent += label.call_args.args + setting.call_args.args
        sent += [server.log.call_args.args[1], server.Field.call_args.args[0]]
        sent += server.Value_Text.call_args.args
        self.assertEqual(sent, ["a\ufffdb"] * 6)
        # Others stay as they are.
        for text in ("", "a", "\xe9\u20ac\U0001f600", "\ufeffa\ufffd"):
            self.assertEqual(host.sendable(text), text)

    def test_random_bytes_are_asked_for_in_pieces(self):
        with mock.patch.object(host, "random", side_effect=bytes) as random:
            self.assertEqual(len(environment.random(150_000)), 150_000)
        self.assertEqual([call.args[0] for call in random.call_args_list], [65536, 65536, 18928])


class Topics(unittest.TestCase):
    def test_requests_without_a_server_do_nothing(self):
        topics.subscribe("a.*", topics.Delivery.DIRECT)
        topics.publish("a.b", b"x")
        topics.set_will("a.b", memoryview(b"x"))
        topics.clear_will()
        self.assertEqual(topics.subscribers("a.b"), 0)
        with self.assertRaisesRegex(TypeError, "a message is bytes, not str"):
            topics.publish("a.b", "text")

    def test_an_error_is_that_of_the_contract(self):
        def publish(topic, data):
            error = host.Err()
            error.value = types.SimpleNamespace(name="TOO_LARGE")
            raise error

        with mock.patch.object(topics, "_topics", types.SimpleNamespace(publish=publish)):
            with self.assertRaisesRegex(topics.TooLarge, "more than 64 KiB"):
                topics.publish("a.b", b"x")

    def test_topics_that_are_no_text_are_not_taken_for_another(self):
        server = mock.MagicMock()
        with mock.patch.object(topics, "_topics", server):
            for ask in (topics.subscribe, lambda name: topics.publish(name, b"x"), lambda name: topics.set_will(name, b"x")):
                with self.assertRaises(topics.Invalid):
                    ask("caf\udce9")
            topics.unsubscribe("caf\udce9")
            self.assertEqual(topics.subscribers("caf\udce9"), 0)
            self.assertEqual(server.method_calls, [])
            topics.unsubscribe("caf\xe9")
        server.unsubscribe.assert_called_once_with("caf\xe9")

    def test_what_message_returns_is_written(self):
        class Shouting(topics.Subscriber):
            def message(self, conn, topic, data, sender):
                return b"%s %d %s" % (topic.encode(), sender, data.upper())

        exports = glue.Exports(Shouting)
        exports.handler = Shouting()
        with mock.patch.object(host, "write") as write:
            exports.message("a.b", 7, b"x")
            exports.lagged(3)
        write.assert_called_once_with(b"a.b 7 X")


class Store(unittest.TestCase):
    def test_keys_that_are_no_text_are_not_taken_for_another(self):
        server = mock.MagicMock()
        with mock.patch.multiple(store, _keyvalue=server, _store=server, _atomics=server):
            bucket = store.Bucket("caf\xe9")
            server.open.assert_called_once_with("caf\xe9")
            server.reset_mock()
            for ask in (store.Bucket, bucket.get, bucket.delete, bucket.increment, bucket.ttl):
                with self.assertRaisesRegex(store.StoreError, "lone surrogates"):
                    ask("caf\udce9")
            with self.assertRaises(store.StoreError):
                bucket.set("caf\udce9", b"x")
        for call in (server.open, server.set, server.delete, server.increment, server.life):
            call.assert_not_called()


class Peer(unittest.TestCase):
    def test_without_a_server_nothing_is_known(self):
        known = peer.listener(), peer.tls(), peer.credentials(), peer.proxy()
        self.assertEqual(known, (None, None, None, None))
        self.assertEqual(peer.certificates(), [])
        self.assertEqual(peer.socket(), (("", 0), ("", 0)))

    def test_what_a_proxy_says(self):
        extensions = [types.SimpleNamespace(kind=2, value=b"a.example")]
        header = types.SimpleNamespace(version=2, is_local=False, extensions=extensions)
        with mock.patch.object(peer, "_peer", types.SimpleNamespace(proxy=lambda: header)):
            said = peer.proxy()
        self.assertEqual(said, (2, False, [(2, b"a.example")]))
        self.assertEqual(said.extension(peer.AUTHORITY), b"a.example")
        self.assertIsNone(said.extension(peer.UNIQUE_ID))


class Tls(unittest.TestCase):
    def test_without_a_server_there_is_none(self):
        self.assertFalse(tls.can_start())
        with self.assertRaises(tls.Unavailable):
            tls.start(Connection(), b"go ahead")

    def test_the_last_bytes_come_before_it(self):
        server = mock.Mock()
        server.can_start_tls.return_value = True
        with mock.patch.object(tls, "_upgrade", server), mock.patch.object(host, "write", server.write):
            tls.start(Connection(), b"go ahead")
        calls = [mock.call.can_start_tls(), mock.call.write(b"go ahead"), mock.call.start_tls()]
        self.assertEqual(server.mock_calls, calls)

    def test_an_error_is_that_of_the_contract(self):
        error = host.Err()
        error.value = types.SimpleNamespace(name="PENDING")
        server = mock.Mock(**{"can_start_tls.return_value": False, "start_tls.side_effect": error})
        with mock.patch.object(tls, "_upgrade", server), mock.patch.object(host, "write") as write:
            with self.assertRaises(tls.Pending):
                tls.start(Connection(), b"go ahead")
        write.assert_not_called()


class Ends(unittest.TestCase):
    def test_an_address_as_text(self):
        self.assertEqual(str(Address("127.0.0.1", 80)), "127.0.0.1:80")
        self.assertEqual(str(Address("::1", 80)), "[::1]:80")

    def test_timers_are_rounded_up(self):
        with mock.patch.object(host, "set_timer") as set_timer:
            for seconds in (1, 0.0011, 0, -5):
                Connection().set_timer(7, seconds)
        self.assertEqual([call.args[1] for call in set_timer.call_args_list], [1000, 2, 0, 0])

    def test_only_bytes_are_written(self):
        with self.assertRaisesRegex(TypeError, "write takes bytes, not str"):
            Connection().write("text")

    def test_all_that_is_public_is_there(self):
        for name in hotsocket.__all__:
            self.assertTrue(hasattr(hotsocket, name), name)


if __name__ == "__main__":
    unittest.main()
