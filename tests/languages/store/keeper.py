"""Uses the store as its peer says, a line for each order."""

from hotsocket import Connection, Handler
from hotsocket.framing import Lines
from hotsocket.store import Bucket, StoreError


def shown(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case bytes():
            return value.decode()
    return str(value)


class Keeper(Handler):
    def __init__(self) -> None:
        self.lines = Lines(max=4096)

    def data(self, conn: Connection, data: bytes) -> None:
        for line in self.lines.feed(data):
            try:
                answer = shown(self.obey(line.decode()))
            except StoreError as error:
                answer = f"failed: {error}"
            conn.write(f"{answer}\n".encode())

    def obey(self, line: str) -> object:
        bucket = Bucket("kept")
        order, key, rest = (line.split(" ", 2) + ["", ""])[:3]
        match order:
            case "get":
                return bucket.get(key)
            case "has":
                return key in bucket
            case "set":
                return bucket.set(key, rest.encode())
            case "set-for":
                milliseconds, _, value = rest.partition(" ")
                return bucket.set(key, value.encode(), int(milliseconds) / 1000)
            case "set-if-absent":
                return bucket.set(key, rest.encode(), when="if-absent")
            case "set-unchanged":
                return bucket.set(key, rest.encode(), when="if-present", keep_ttl=True)
            case "delete":
                return bucket.delete(key)
            case "add":
                return bucket.increment(key, int(rest))
            case "append":
                return bucket.cas(key, lambda value: (value or b"") + rest.encode())
            case "ttl":
                ttl = bucket.ttl(key)
                if ttl is None or ttl == float("inf"):
                    return "none" if ttl is None else "forever"
                return round(ttl * 1000)
            case "expire":
                return bucket.expire(key, int(rest) / 1000)
            case "keys":
                return " ".join(sorted(bucket.keys(key)))
        return "what?"
