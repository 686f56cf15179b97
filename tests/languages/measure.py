#!/usr/bin/env python3
"""Measures what a guest costs in each language, and prints a Markdown table.

    cargo build --release
    python3 tests/languages/measure.py [SOURCE…] > table.md

Without sources it takes `lines` in every language. Each is built by
`target/release/hotsocket build`, served by `hotsocket serve` with a code cache
of its own, and talked to over TCP. What cannot be built here is skipped, and
said. Times of the server are its CPU time, which other programs disturb least;
memory is what it holds alone (PSS). Of what an event and a connection cost, the
row of the Rust guest shows how much is the host's and the kernel's own.
"""

import datetime
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HOTSOCKET = ROOT / "target/release/hotsocket"
LANGUAGES = {".rs": "Rust", ".c": "C", ".js": "JavaScript", ".py": "Python"}

CONNECTIONS = 200
EVENTS = 5000
ROUNDS = 5
# The longest wait for anything, in seconds.
PATIENCE = 600


class Server:
    """`hotsocket serve`, until the end of a `with`."""

    def __init__(self, guest, directory):
        self.log = open(directory / "log", "w+b")
        self.child = subprocess.Popen(
            [HOTSOCKET, "serve", guest, "--listen", "127.0.0.1:0", "--control", "none"]
            + ["--no-watch", "--code-cache", directory / "code"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self.log,
        )

    def __enter__(self):
        self.ready_ms = int(self.wait_log(r"ready in (\d+) ms"))
        self.port = int(self.wait_log(r"listening on 127\.0\.0\.1:(\d+)"))
        return self

    def __exit__(self, *_):
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.log.close()

    def text(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def wait_log(self, pattern):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.child.poll() is None:
            if found := re.search(pattern, self.text()):
                return found[1]
            time.sleep(0.02)
        raise SystemExit(f"the server is not ready:\n{self.text()}")

    def cpu(self):
        """CPU seconds so far, by the process' own clock (clock_getcpuclockid(3)):
        /proc counts hundredths of a second only."""
        return time.clock_gettime(~self.child.pid << 3 | 2)

    def memory(self):
        """KiB that it holds alone."""
        rollup = Path(f"/proc/{self.child.pid}/smaps_rollup").read_text()
        return int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1])

    def connect(self):
        client = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ask(client)
        return client


def ask(client):
    """A line, and the answer to it."""
    client.sendall(b"x\n")
    answer = b""
    while not answer.endswith(b"x\n"):
        part = client.recv(4096)
        if not part:
            raise SystemExit(f"the guest answers {answer!r}, not what was sent")
        answer += part


def measure(source, directory):
    """A row of the table, or why there is none."""
    component = directory / f"{source.name}.wasm"
    build = [HOTSOCKET, "build", source, "-o", component]
    # The first build may have to fetch or compile a toolchain.
    for _ in range(2):
        begun = time.monotonic()
        built = subprocess.run(build, capture_output=True, text=True)
        if built.returncode:
            return None, (built.stderr.strip().splitlines() or ["no reason given"])[-1]
        seconds = time.monotonic() - begun
    with Server(component, directory) as server:
        cold = server.ready_ms
    with Server(component, directory) as server:
        warm = server.ready_ms
        # The first connections also warm up the host.
        kept = [server.connect() for _ in range(20)]
        memory, cpu = server.memory(), server.cpu()
        kept += [server.connect() for _ in range(CONNECTIONS)]
        start = (server.cpu() - cpu) / CONNECTIONS * 1e3
        memory = (server.memory() - memory) / CONNECTIONS
        events = []
        for _ in range(ROUNDS):
            cpu = server.cpu()
            for _ in range(EVENTS):
                ask(kept[0])
            events.append((server.cpu() - cpu) / EVENTS * 1e6)
    size = component.stat().st_size
    language = LANGUAGES.get(source.suffix, source.suffix)
    return (
        f"| {language} (`{source.name}`) | {size / 1e3:,.0f} KB | {seconds:.1f} s "
        f"| {cold} ms, {warm} ms | {start:.2f} ms | {memory:,.0f} KiB "
        f"| {min(events):.0f} µs ({max(events):.0f}) |"
    ), None


def told(*command):
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    return ran.stdout.strip() or "unknown"


def main():
    examples = ROOT / "guest/examples"
    sources = [Path(name) for name in sys.argv[1:]] or [
        path for kind in LANGUAGES if (path := examples / f"lines{kind}").exists()
    ]
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        for source in sources:
            row, why = measure(source, Path(directory))
            if row:
                rows.append(row)
            else:
                print(f"skipped: {source.name}: {why}", file=sys.stderr)
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    print("| guest | component | build | start cold, warm | connection | memory of it | event |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print("\n".join(rows))
    print()
    print(
        f"Measured {datetime.date.today()} at commit {told('git', 'rev-parse', '--short', 'HEAD')}, "
        f"{os.cpu_count()} × {model[1] if model else platform.machine()}, "
        f"load {os.getloadavg()[0]:.1f}: build: the second of two; start: exec to the ready line, "
        f"compiling and not; connection: CPU time to accept it, make its instance and answer one "
        f"line, mean of {CONNECTIONS}; memory: PSS; event: CPU time of a line and its answer, "
        f"least (and most) of {ROUNDS} means of {EVENTS}, the host's and the kernel's share "
        f"included."
    )


if __name__ == "__main__":
    main()
