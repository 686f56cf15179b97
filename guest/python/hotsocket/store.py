"""Values by keys, which outlive the connections that set them.

    from hotsocket import Handler
    from hotsocket.store import Bucket

    class Visits(Handler):
        def open(self, conn):
            count = Bucket("visits").increment("count")
            return b"You are visitor %d.\\n" % count

All connections of a server share them, through swaps and restarts of their instances;
with `hotsocket serve --store FILE` they outlive the server, too. Each call takes effect
at once and stays in effect, whatever becomes of the event. `wit/keyvalue` and `wit/store`
have the rules and the limits.
"""

from collections.abc import Callable, Iterator

from . import host

try:
    from wit_world.imports import atomics as _atomics
    from wit_world.imports import hotsocket_store_store as _store
    from wit_world.imports import wasi_keyvalue_store as _keyvalue
except ImportError:
    # In a unit test or an editor there is no server.
    host.without("store")
    _atomics = _store = _keyvalue = None

__all__ = ["AccessDenied", "Bucket", "NoSuchBucket", "StoreError"]


class StoreError(Exception):
    """A call has failed: a limit, a name that is no text, or what the file system says."""


class NoSuchBucket(StoreError):
    """Its name has more than 64 bytes."""


class AccessDenied(StoreError):
    """Nothing can be changed in `save` and `listening`."""


def _ask(call: Callable, *args: object) -> object:
    try:
        return call(*args)
    except host.Err as error:
        raise _error(error.value) from None


def _error(value: object) -> StoreError:
    kind = type(value).__name__.partition("_")[2]
    if kind == "StoreError":
        return _error(value.value)
    known = {"NoSuchStore": NoSuchBucket, "AccessDenied": AccessDenied}.get(kind)
    return known(known.__doc__) if known else StoreError(value.value)


def _name(text: str) -> str:
    if not host.is_text(text):
        raise StoreError("the name of a bucket or key has lone surrogates, so it is no text")
    return text


def _bytes(value: bytes) -> bytes:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"a value is bytes, not {type(value).__name__}")
    return bytes(value)


def _life(seconds: float | None, keep: bool = False) -> object:
    if keep:
        return _store.Lifetime_Unchanged()
    if seconds is None:
        return _store.Lifetime_Forever()
    # Rounded up: a value must not be gone before its time.
    return _store.Lifetime_Milliseconds(max(0, -int(-seconds * 1000 // 1)))


class Bucket:
    """A name space for keys, which exists as soon as it is named. Every method may raise
    a `StoreError`."""

    def __init__(self, name: str = "default") -> None:
        if _keyvalue is None:
            raise StoreError("there is no store without a server")
        self._bucket = _ask(_keyvalue.open, _name(name))

    def get(self, key: str) -> bytes | None:
        """The value of a key."""
        return _ask(self._bucket.get, _name(key))

    def __contains__(self, key: str) -> bool:
        return _ask(self._bucket.exists, _name(key))

    def set(
        self,
        key: str,
        value: bytes,
        ttl: float | None = None,
        *,
        when: str = "always",
        keep_ttl: bool = False,
    ) -> bool:
        """Set a value: for so many seconds, or for ever, or (`keep_ttl`) for as long as
        the key would live otherwise. `when` is `always`, `if-absent` or `if-present`.
        Returns whether it was set."""
        condition = _store.Condition[when.upper().replace("-", "_")]
        life = _life(ttl, keep_ttl)
        return _ask(_store.set, self._bucket, _name(key), _bytes(value), condition, life)

    def delete(self, key: str) -> bool:
        """Remove a key. Returns whether it had a value."""
        return _ask(_store.delete, self._bucket, _name(key))

    def increment(self, key: str, delta: int = 1) -> int:
        """Add to a number in decimal digits, and return the sum."""
        return _ask(_atomics.increment, self._bucket, _name(key), delta)

    def cas(self, key: str, change: Callable[[bytes | None], bytes | None]) -> bytes | None:
        """Set what `change` makes of the value, and again with the new value if another
        connection has changed it meanwhile. None leaves it as it is. Returns what was
        set."""
        seen = _ask(_atomics.Cas.new, self._bucket, _name(key))
        while True:
            value = change(_ask(seen.current))
            if value is None:
                return None
            try:
                _atomics.swap(seen, _bytes(value))
                return value
            except host.Err as error:
                if type(error.value).__name__ != "CasError_CasFailed":
                    raise _error(error.value) from None
                seen = error.value.value

    def ttl(self, key: str) -> float | None:
        """How many seconds a key still lives: `inf` if for ever, None if it has no
        value."""
        life = _ask(_store.life, self._bucket, _name(key))
        if life is None:
            return None
        milliseconds = getattr(life, "value", None)
        return float("inf") if milliseconds is None else milliseconds / 1000

    def expire(self, key: str, ttl: float | None) -> bool:
        """Give a key another time to live, in seconds; None for ever. Returns whether it
        has a value."""
        return _ask(_store.set_life, self._bucket, _name(key), _life(ttl))

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The keys that begin with this, in no order."""
        cursor = None
        while True:
            page = _ask(_store.keys, self._bucket, _name(prefix), cursor, 1000)
            yield from page.keys
            cursor = page.cursor
            if cursor is None:
                return
