"""Teaches: who the peer is, besides its address. It says so when a connection is opened:
what a proxy in front has said, what TLS has agreed on, which process it is, and which
listener it has come to.

Try it: `hotsocket serve whoami.py --listen unix:whoami.sock`, then `nc -U whoami.sock` in
another terminal.
"""

import json

from hotsocket import Connection, Handler, peer, tls


class Whoami(Handler):
    def open(self, conn: Connection) -> None:
        conn.write("".join(f"{line}\n" for line in lines(conn)).encode())

    def data(self, conn: Connection, data: bytes) -> None:
        # TLS that begins now says more of the peer.
        if data == b"starttls\n" and tls.can_start():
            tls.start(conn, b"go ahead\n")
        else:
            self.open(conn)


def quoted(text: bytes) -> str:
    # A peer may send what is no UTF-8.
    return json.dumps(text.decode(errors="replace"), ensure_ascii=False)


def lines(conn: Connection):
    yield f"you are {conn.peer}" if conn.peer.port else "you are a process of this machine"
    if name := peer.listener():
        yield f"listener {name}"
    if process := peer.credentials():
        yield f"uid {process.uid} gid {process.gid} pid {process.pid or 0}"
    if proxy := peer.proxy():
        local, via = peer.socket()
        yield f"via {via} to {local}, PROXY v{proxy.version}"
        if proxy.is_local:
            yield "the proxy itself"
        for kind, value in proxy.extensions:
            about_tls = kind == peer.SSL
            what = f"{len(value)} bytes about TLS" if about_tls else quoted(value)
            yield f"extension {kind:#04x}: {what}"
    if session := peer.tls():
        name, protocol = session.server_name or "", session.protocol or b""
        yield f"{session.version} for {json.dumps(name)}, protocol {quoted(protocol)}"
        for certificate in peer.certificates():
            yield f"certificate of {len(certificate)} bytes"
