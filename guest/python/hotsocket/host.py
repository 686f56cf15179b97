"""What the server offers to a guest, as the generated bindings have it.

Where there is no server, in a unit test or an editor, the same names exist and
do nothing, so that the package can be imported there.
"""

try:
    from componentize_py_types import Err
    from wit_world.imports import types
    from wit_world.imports.connection import (
        abort,
        clear_timer,
        end,
        hold_open,
        info,
        set_timer,
        write,
    )
    from wit_world.imports import environment as _environment
    from wit_world.imports.environment import now, random, setting, uptime
    from wit_world.imports.output import error, panic, print
    from wit_world.imports.session import checkpoint, label, pause, resume
except ImportError:
    from os import urandom as random
    from time import monotonic_ns as uptime
    from time import time_ns as now

    class Err(Exception):
        value = None

    def _nothing(*_):
        pass

    types = None
    abort = clear_timer = end = hold_open = info = set_timer = write = _nothing
    error = panic = print = _nothing
    checkpoint = label = pause = resume = setting = _nothing
    _environment = None


def without(module: str) -> None:
    """For a module of this package whose part of the contract is not there. In a unit test
    or an editor that is nothing to tell. In a component its functions would do nothing,
    though the guest calls them: then the build has not found its import."""
    if types is not None:
        raise ImportError(
            f"this component was built without hotsocket.{module}, because no file of the "
            f"guest imports it in words: write `from hotsocket import {module}`"
        ) from None


def log(level: str, message: str, fields: dict[str, object]) -> None:
    """A line with a level and fields."""
    if _environment is None:
        return
    listed = [_environment.Field(sendable(name), _value(value)) for name, value in fields.items()]
    _environment.log(_environment.Level[level.upper()], sendable(message), listed)


def _value(value: object):
    if isinstance(value, bool):
        return _environment.Value_Boolean(value)
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return _environment.Value_Integer(value)
    if isinstance(value, float):
        return _environment.Value_Number(value)
    return _environment.Value_Text(sendable(str(value)))


def sendable(text: str) -> str:
    """Lone surrogates, which no UTF-8 has, become U+FFFD. They are what `surrogateescape`
    makes of bytes that are not UTF-8."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def is_text(name: str) -> bool:
    """Whether it can be sent as it is. What names something is not made sendable: two
    names would be one."""
    return sendable(name) == name


def write_error(err: Err) -> tuple[str, str]:
    """Why bytes were not taken: the kind, and the same in words."""
    if isinstance(err.value, types.WriteError_Closed):
        return "closed", "this side of the connection is closed"
    if isinstance(err.value, types.WriteError_Full):
        return "full", "too many bytes wait for the peer"
    return "other", err.value.value


def words(case: object) -> str:
    """A case of a generated variant as the contract writes it:
    `CloseReason_IdleTimeout` is `idle-timeout`."""
    value = getattr(case, "value", None)
    if isinstance(value, str):
        return value
    name = type(case).__name__.partition("_")[2]
    dashed = "".join(f"-{c.lower()}" if c.isupper() else c for c in name)
    return dashed.removeprefix("-")
