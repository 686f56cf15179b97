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
    from wit_world.imports.output import error, panic, print
except ImportError:

    class Err(Exception):
        value = None

    def _nothing(*_):
        pass

    types = None
    abort = clear_timer = end = hold_open = info = set_timer = write = _nothing
    error = panic = print = _nothing


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
