// Teaches: who the peer is, besides its address. It says so when a connection is opened:
// what a proxy in front has said, what TLS has agreed on, which process it is, and which
// listener it has come to.
//
// Try it: `hotsocket serve whoami.js --listen unix:whoami.sock`, then
// `nc -U whoami.sock` in another terminal.
const net = require('node:net');

const quote = (text) => JSON.stringify(text || '');
const at = ({ address, family, port }) => (family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`);

function whoami(socket) {
  const { listener, credentials, proxy, socket: ends } = socket.hotsocket.peer;
  const { remoteAddress: address, remoteFamily: family, remotePort: port } = socket;
  socket.write(port === 0 ? 'you are a process of this machine\n' : `you are ${at({ address, family, port })}\n`);
  if (listener) socket.write(`listener ${listener}\n`);
  if (credentials) socket.write(`uid ${credentials.uid} gid ${credentials.gid} pid ${credentials.pid ?? 0}\n`);
  if (proxy) {
    socket.write(`via ${at(ends.peer)} to ${at(ends.local)}, PROXY v${proxy.version}\n`);
    if (proxy.isLocal) socket.write('the proxy itself\n');
    for (const { kind, value } of proxy.extensions) {
      const what = kind === 0x20 ? `${value.length} bytes about TLS` : quote(value.toString());
      socket.write(`extension 0x${kind.toString(16).padStart(2, '0')}: ${what}\n`);
    }
  }
  if (socket.encrypted) {
    socket.write(`${socket.getProtocol()} for ${quote(socket.servername)}, protocol ${quote(socket.alpnProtocol)}\n`);
    for (let one = socket.getPeerCertificate(true); one?.raw; one = one.issuerCertificate) {
      socket.write(`certificate of ${one.raw.length} bytes\n`);
    }
  }
}

net.createServer((socket) => {
  whoami(socket);
  socket.on('data', (data) => {
    // TLS that begins now says more of the peer.
    if (String(data) === 'starttls\n' && socket.hotsocket.canStartTLS) socket.hotsocket.startTLS('go ahead\n');
    else whoami(socket);
  });
}).listen(3000);
