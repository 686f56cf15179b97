"""`hotsocket top` on a terminal that pyte renders: PROGRAM GUEST as arguments.

It is looked at in several sizes, while the server goes away and comes back, and after
Ctrl-C and SIGTERM the terminal must be as it was.
"""

import fcntl
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time

import pyte

PROGRAM, GUEST = sys.argv[1:]
PATIENCE = 60
RESTORED = b"\x1b[?25h\x1b[?1049l"


class Top:
    """`top` in a pty of its own."""

    def __init__(self, columns, lines):
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.last = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(PROGRAM, [PROGRAM, "top", "-i", "100ms"], os.environ | {"TERM": "xterm"})
        self.set_size(columns, lines)

    def set_size(self, columns, lines):
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, size)

    def resize(self, columns, lines):
        self.screen.resize(lines, columns)
        self.set_size(columns, lines)

    def read(self):
        """Whether there may be more."""
        ready, _, _ = select.select([self.fd], [], [], 0.1)
        if not ready:
            return True
        try:
            some = os.read(self.fd, 65536)
        except OSError:
            return False
        self.last = (self.last + some)[-200:]
        self.stream.feed(some)
        return bool(some)

    def wait(self, what, condition):
        end = time.monotonic() + PATIENCE
        while not condition(self.screen.display):
            assert time.monotonic() < end, f"no {what}:\n" + "\n".join(self.screen.display)
            assert self.read(), f"top has ended before {what}"

    def has(self, text):
        self.wait(text, lambda lines: any(text in line for line in lines))

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def ends(self):
        while self.read():
            pass
        _, status = os.waitpid(self.pid, 0)
        assert status == 0, status
        assert self.last.endswith(RESTORED), self.last


def start():
    server = subprocess.Popen(
        [PROGRAM, "--listen", "127.0.0.1:0", GUEST],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    port = None
    for line in server.stderr:
        if b"listening on" in line:
            port = int(line.rsplit(b":", 1)[1])
        if b"ready in" in line:
            return server, port


def connect(port, count):
    clients = []
    for number in range(1, count + 1):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(b"x" * number)
        client.recv(number)
        clients.append(client)
    return clients


directory = tempfile.TemporaryDirectory()
os.environ["XDG_RUNTIME_DIR"] = directory.name
server, port = start()
try:
    clients = connect(port, 30)
    top = Top(100, 24)
    top.has("connections 30 open of 10000")
    top.has("ID PEER")
    top.wait("the largest first", lambda lines: lines[5].split()[0] == "30")
    top.press("r")
    top.has("by received reversed")
    top.wait("the smallest first", lambda lines: lines[5].split()[0] == "1")
    top.press("/:%d\r" % clients[6].getsockname()[1])
    top.wait("one row", lambda lines: lines[5].split()[:1] == ["7"] and not lines[6].strip())
    top.press("/" + "\x7f" * 10 + "\r")
    top.press("g")
    top.has("SHA256")
    top.press("c")
    for columns, lines in [(40, 20), (20, 5), (1, 1), (200, 60), (80, 24)]:
        top.resize(columns, lines)
        if columns >= 20:
            top.has("ID")
    top.has("ID PEER")
    server.kill()
    server.wait()
    top.has("away: ")
    server, port = start()
    top.has("connections 0 open")
    top.press("\x03")
    top.ends()
    top = Top(80, 24)
    top.has("connections 0 open")
    os.kill(top.pid, signal.SIGTERM)
    top.ends()
finally:
    server.kill()
