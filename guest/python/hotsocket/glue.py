"""Between the exports of the component and a guest's `Handler`: finds the
class, gives it its events, and tells the server how it failed.

Runs only in the component. An instance serves one connection, so a module-level
variable is all the state there is.
"""

import dis
import gc
import importlib.util
import io
import os
import sys
from collections.abc import Callable
from types import CodeType, FunctionType, ModuleType

from . import Address, Connection, Handler, Refuse, Resumed, _bytes, host


class _Output(io.TextIOBase):
    """A text stream whose lines go to the server. What has come with no newline
    at its end waits for it: so what one `print` says stays together."""

    def __init__(self, send):
        self._send = send
        self._waiting = ""

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._waiting += text
        if text.endswith("\n"):
            lines, self._waiting = self._waiting[:-1], ""
            self._send(host.sendable(lines))
        elif len(self._waiting) > _LONGEST:
            self.finish()
        return len(text)

    def finish(self) -> None:
        """Send what waits for its newline."""
        if self._waiting:
            rest, self._waiting = self._waiting, ""
            self._send(host.sendable(rest))

    def writable(self) -> bool:
        return True


# What waits for a newline must not grow without bound.
_LONGEST = 1 << 20

# The guest may have put something else in the place of `sys.stdout`.
_OUTPUTS = (_Output(host.print), _Output(host.error))


def _finish_outputs() -> None:
    for output in _OUTPUTS:
        output.finish()


def find(module: ModuleType) -> type[Handler]:
    """The one class of a guest's file that derives from `Handler`."""
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Handler)
        and value.__module__ == module.__name__
    ]
    # A base class that another one derives from is not meant, and a class may have two
    # names.
    bases = {base for one in found for base in one.__mro__[1:]}
    found = [one for one in dict.fromkeys(found) if one not in bases]
    if len(found) == 1:
        return found[0]
    file = os.path.basename(module.__file__)
    if not found:
        raise SystemExit(f"{file}: no class in it derives from hotsocket.Handler")
    names = ", ".join(one.__name__ for one in found)
    raise SystemExit(f"{file}: more than one class derives from hotsocket.Handler: {names}")


def load(file: str) -> type[Handler]:
    """Import a guest's file, which lies beside this package, and find its
    handler. Its name need not be one that Python can import."""
    path = os.path.join(os.path.dirname(os.path.dirname(__file__)), file)
    name = file.removesuffix(".py")
    # A module that is called like this one stays what others import.
    while name in sys.modules or name in sys.stdlib_module_names:
        name += "_"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        _import_what_comes_late(module)
        return find(module)
    except BaseException as error:
        _give_up(error, path)


# What the standard library imports from C when it is needed first.
_LATE = ("_strptime", "calendar", "locale", "stringprep", "unicodedata")


def _import_what_comes_late(guest: ModuleType) -> None:
    """Import now what would be imported in the middle of an event, when no file is
    there any more: every codec, and what functions import when they are called, those
    of the guest's files and of the modules that they name. The image that all
    instances start from is made after this."""
    import encodings
    import pkgutil

    for codec in pkgutil.iter_modules(encodings.__path__):
        _import(f"encodings.{codec.name}")
    for name in _LATE:
        _import(name)
    here = os.path.dirname(guest.__file__) + os.sep
    known = set()
    while True:
        own = [one for one in list(sys.modules.values()) if _file_of(one).startswith(here)]
        named = [value for one in own for value in vars(one).values() if isinstance(value, ModuleType)]
        new = {id(vars(one)) for one in own + named} - known
        if not new:
            return
        known |= new
        for statement in _imports_of_functions(new):
            _import(*statement)


def _import(name: str, space: dict | None = None, names: tuple = (), level: int = 0) -> None:
    """What an import statement does. What fails here is left out, and fails when it is
    needed, with its own message."""
    try:
        __import__(name, space, None, names, level)
    except (Exception, SystemExit):
        pass


def _file_of(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or ""


def _imports_of_functions(spaces: set[int]) -> list[tuple]:
    """The import statements in functions whose global variables are one of these
    dictionaries, wherever the function is: in a property, a nested class, a decorator."""
    found = []
    functions = [one for one in gc.get_objects() if type(one) is FunctionType]
    codes = [
        (one.__code__, one.__globals__) for one in functions if id(one.__globals__) in spaces
    ]
    while codes:
        code, space = codes.pop()
        codes += [(const, space) for const in code.co_consts if type(const) is CodeType]
        if _IMPORT not in code.co_code[::2]:
            continue
        operations = [one for one in dis.get_instructions(code) if one.opname != "EXTENDED_ARG"]
        for at, one in enumerate(operations):
            if one.opname == "IMPORT_NAME":
                # Both were loaded just before.
                level, names = (loaded.argval for loaded in operations[at - 2 : at])
                found.append((one.argval, space, names or (), level))
    return found


_IMPORT = dis.opmap["IMPORT_NAME"]


# What a build shows is between two of these: the tool's own words around it say
# nothing to the guest's author.
_MARK = "\x1e"


def _give_up(error: BaseException, path: str) -> None:
    """Tell the person who builds the guest what is wrong with it."""
    import traceback

    if isinstance(error, SystemExit):
        told = f"{error}\n"
    else:
        # From the guest's own file on: who has imported that is no news.
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename != path:
            trace = trace.tb_next
        told = "".join(traceback.format_exception(type(error), error, trace))
    sys.stderr.write(_MARK + told + _MARK)
    sys.stderr.flush()
    os.abort()


def _told(error: BaseException) -> str:
    """An exception and its place in the guest's files, innermost first."""
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        file = os.path.basename(code.co_filename)
        if code.co_filename != __file__:
            places.append(f"{file}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:
        text = "(its text failed, too)"
    told = f"{name}: {text}" if text else name
    shown = places[:-4:-1]
    return f"{told} ({', from '.join(shown)})" if shown else told


def _fail(error: BaseException) -> None:
    """Tell the server why, and end this instance: nobody knows what state it is
    in."""
    _finish_outputs()
    host.panic(host.sendable(_told(error)))
    os.abort()


def _state(snapshot: bytes | None) -> tuple[int, bytes | None]:
    """A snapshot is the version as four bytes, little endian, then the state;
    bytes too few to hold a version are state of version 0."""
    if snapshot is None:
        return 0, None
    if len(snapshot) < 4:
        return 0, snapshot
    return int.from_bytes(snapshot[:4], "little"), snapshot[4:]


class Exports:
    """The functions that the component exports, for one class of handlers."""

    def __init__(self, handler_class: type[Handler]):
        self.handler_class = handler_class
        self.handler: Handler | None = None
        self.conn = Connection()

    def listening(self, listeners) -> None:
        try:
            self.handler_class.listening([Address(one.ip, one.port) for one in listeners])
        except BaseException as error:
            _fail(error)

    def open(self, origin) -> None:
        try:
            _begin()
            conn = self.conn
            handler = self.handler_class()
            succession = getattr(origin, "value", None)
            if succession is None:
                written = handler.open(conn)
            else:
                version, state = _state(succession.snapshot)
                resumed = Resumed(
                    host.words(origin), state, version, succession.peer_ended
                )
                written = handler.resume(conn, resumed)
            if written is not None:
                conn.write(written)
            self.handler = handler
        except Refuse as reason:
            raise host.Err(host.sendable(str(reason)))
        except BaseException as error:
            _fail(error)

    # An event before `open`, or in the instance that hears `listening`, finds
    # no handler; the server sends none.

    def data(self, bytes: bytes) -> None:
        try:
            written = self.handler.data(self.conn, bytes)
            if written is not None:
                self.conn.write(written)
        except BaseException as error:
            _fail(error)

    def drained(self) -> None:
        try:
            written = self.handler.drained(self.conn)
            if written is not None:
                self.conn.write(written)
        except BaseException as error:
            _fail(error)

    def end(self) -> None:
        try:
            written = self.handler.end(self.conn)
            if written is not None:
                self.conn.write(written)
        except BaseException as error:
            _fail(error)

    def timer(self, id: int) -> None:
        try:
            written = self.handler.timer(self.conn, id)
            if written is not None:
                self.conn.write(written)
        except BaseException as error:
            _fail(error)

    def close(self, reason) -> None:
        try:
            written = self.handler.close(self.conn, host.words(reason))
            if written is not None:
                self.conn.write(written)
            _finish_outputs()
        except BaseException as error:
            _fail(error)

    # Called only in guests that derive from `topics.Subscriber`.

    def message(self, topic: str, sender: int, bytes: bytes) -> None:
        try:
            written = self.handler.message(self.conn, topic, bytes, sender)
            if written is not None:
                self.conn.write(written)
        except BaseException as error:
            _fail(error)

    def lagged(self, missed: int) -> None:
        try:
            written = self.handler.lagged(self.conn, missed)
            if written is not None:
                self.conn.write(written)
        except BaseException as error:
            _fail(error)

    def save(self) -> bytes | None:
        try:
            state = self.handler.save()
            if state is None:
                return None
            state = _bytes(state, "save returns bytes or None")
            return self.handler.version.to_bytes(4, "little") + state
        except BaseException as error:
            _fail(error)


def _begin() -> None:
    """What must be another in each instance, though all are copies of one."""
    random = sys.modules.get("random")
    if random is not None:
        random.seed()


def export(file: str) -> Callable[[], Exports]:
    """What gives the exports for a guest's file: it is called for each event.
    This runs once, when the component is built; every instance begins as a copy
    of what is there afterwards."""
    exports = Exports(load(file))
    # Not before: while the component is built there is nobody to print to.
    sys.stdout, sys.stderr = _OUTPUTS
    sys.__stdout__, sys.__stderr__ = _OUTPUTS
    # A collection would look at, and so copy, everything the interpreter has
    # loaded, in each instance anew.
    gc.collect()
    gc.freeze()
    return lambda: exports
