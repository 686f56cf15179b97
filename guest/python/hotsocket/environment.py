"""What a guest needs of its surroundings: time, random bytes, settings and a log.

It needs no grant. In `hotsocket test` time is the script's, and random bytes are the
same in every run. Python's own `time`, `random` and `secrets` show the same clock and
come from the same source.

    from hotsocket import Handler, environment

    class Greeter(Handler):
        def open(self, conn):
            conn.write(environment.setting("greeting", "Hello").encode())
            environment.info("greeted", id=conn.id)
"""

from . import host

__all__ = ["debug", "error", "info", "log", "now", "random", "setting", "uptime", "warn"]


def now() -> float:
    """The wall-clock time in seconds since 1970, as `time.time()`."""
    return host.now() / 1e9


def uptime() -> float:
    """Seconds since the server started. Never goes back, and is the same clock for all
    instances: what one has noted means the same to its successor."""
    return host.uptime() / 1e9


def random(count: int) -> bytes:
    """So many random bytes, fit for keys and tokens."""
    # What the server gives in one call.
    most = 64 * 1024
    return b"".join(host.random(min(most, count - at)) for at in range(0, count, most))


def setting(name: str, default: str | None = None) -> str | None:
    """What the server was started with for this name (`--set NAME=VALUE`)."""
    value = host.setting(host.sendable(name))
    return default if value is None else value


def log(level: str, message: str, /, **fields: object) -> None:
    """Log a line with fields. The level is `debug`, `info`, `warn` or `error`: the
    first two go to the server's standard output, the others to its standard error, as
    `LEVEL message name=value` or, with `--log-format json`, as a record. The server
    drops lines below its `--log-level`.

    Numbers and booleans are that in the record, everything else is its text. The
    first 32 fields count; message and fields are cut at `--max-line` (256 KiB)."""
    if level not in ("debug", "info", "warn", "error"):
        raise ValueError(f"no level is called {level!r}: debug, info, warn or error")
    host.log(level, message, fields)


def debug(message: str, /, **fields: object) -> None:
    """For whoever looks for a mistake."""
    log("debug", message, **fields)


def info(message: str, /, **fields: object) -> None:
    """What happens."""
    log("info", message, **fields)


def warn(message: str, /, **fields: object) -> None:
    """What should not happen, and does no harm."""
    log("warn", message, **fields)


def error(message: str, /, **fields: object) -> None:
    """What has failed."""
    log("error", message, **fields)
