"""What happens to a guest's files when they are built."""

import contextlib
import importlib
import io
import os
import sys
import tempfile
import types
import unittest
from unittest import mock

from hotsocket import Handler, glue, host, peer, store, tls, topics

with mock.patch.object(sys, "argv", ["check_syntax.py"]):
    import check_syntax


@contextlib.contextmanager
def guest(files):
    """Files in a directory of their own, where the first is loaded."""
    with tempfile.TemporaryDirectory() as directory:
        for name, content in files.items():
            path = os.path.join(directory, name + ".py")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(content)
        with (
            mock.patch.object(glue, "__file__", os.path.join(directory, "hotsocket", "glue.py")),
            mock.patch.object(sys, "path", [*sys.path, directory]),
            mock.patch.dict(sys.modules),
        ):
            importlib.invalidate_caches()
            yield glue.load(next(iter(files)) + ".py")


GUEST = """
import contextlib, functools
from hotsocket import Handler
import late_a.run

class Guest(Handler):
    class Inner:
        @property
        def one(self):
            import late_one
    @contextlib.contextmanager
    def two(self):
        from late_b import part, nothing
        yield
    @functools.lru_cache
    def three(self):
        def inner():
            import late_three as x
    def four(self):
        import late_fails
        from late_b import taken
"""


class Late(unittest.TestCase):
    def test_what_functions_import_is_imported_wherever_they_are(self):
        files = {
            "late_guest": GUEST,
            "late_one": "def f():\n    import late_four",
            "late_three": "",
            "late_four": "",
            "late_fails": "raise SystemExit",
            "late_a/__init__": "",
            "late_a/run": "async def f():\n    from . import x\n    from .y import z\n    from .. import w",
            "late_a/x": "",
            "late_a/y": "",
            "late_b/__init__": "taken = 1",
            "late_b/part": "",
            # What the statement does not import, this does not either.
            "late_b/taken": "",
            "late_b/other": "",
        }
        with guest(files) as found:
            self.assertEqual(found.__name__, "Guest")
            late = {name for name in sys.modules if name.startswith("late_")}
        expected = "guest one three four a a.run a.x a.y b b.part"
        self.assertEqual(late, {f"late_{name}" for name in expected.split()})

    def test_a_guest_may_be_called_like_a_module_of_python(self):
        with guest({"random": "from hotsocket import Handler\nclass Guest(Handler): pass\n"}) as found:
            import random

            self.assertTrue(hasattr(random, "seed"))
            glue._begin()
            self.assertIs(vars(sys.modules[found.__module__])["Guest"], found)

    def test_a_handler_may_have_two_names(self):
        module = types.SimpleNamespace(__file__="/x/guest.py", __name__="guest")
        module.Echo = module.Main = type("Echo", (Handler,), {"__module__": "guest"})
        self.assertIs(glue.find(module), module.Echo)

    def test_a_module_that_the_component_lacks_is_an_error(self):
        for module in (peer, store, tls, topics):
            name = module.__name__
            with mock.patch.object(host, "types", types):
                with self.assertRaisesRegex(ImportError, f"built without {name}, .*: write `from"):
                    importlib.reload(module)


class Outputs(unittest.TestCase):
    def test_why_it_fails_is_told_whatever_the_guest_prints_to(self):
        sent = []
        out = glue._Output(sent.append)
        with (
            mock.patch.object(glue, "_OUTPUTS", (out, glue._Output(sent.append))),
            mock.patch.object(host, "panic", sent.append),
            mock.patch.object(os, "abort", side_effect=SystemExit),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            out.write("half")
            with self.assertRaises(SystemExit):
                glue._fail(ValueError("no"))
            self.assertEqual(sent, ["half", "ValueError: no"])
            out.write("rest")
            exports = glue.Exports(Handler)
            exports.handler = Handler()
            exports.close(types.SimpleNamespace(value="ended"))
            self.assertEqual(sent[2:], ["rest"])


class Syntax(unittest.TestCase):
    def test_what_is_newer_than_the_python_that_checks_is_known(self):
        for newer in [
            "class A[T]:",
            "type A = int",
            "x = f'{a['b']}'",
            "x = t'{a}'",
            "except A, B:",
            "except* ValueError:",
            "    except *(A, B) as error:",
            "x = a[*b]",
            "x = a[1, *b]",
            "def f(*a: *B): pass",
            "x = [[y async for y in z] for z in w]",
        ]:
            self.assertTrue(check_syntax.NEWER.search(newer), newer)
        for old in ["def f(:", "x = (1", "if x:", "x = 'a", "except ValueError:", "x = a[b] * c"]:
            self.assertFalse(check_syntax.NEWER.search(old), old)


if __name__ == "__main__":
    unittest.main()
