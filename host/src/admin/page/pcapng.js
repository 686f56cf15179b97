// Owns: a recording as pcapng: its bytes in raw IP packets with TCP headers that are made up,
// so that Wireshark follows the stream. The format: draft-ietf-opsawg-pcapng, link type
// LINKTYPE_RAW (101).

const MOST_DATA = 1448;
const FLAGS = { FIN: 1, SYN: 2, PSH: 8, ACK: 16 };
const WINDOW = 65535;

const pad4 = (length) => (length + 3) & ~3;

function block(type, body) {
  const length = 12 + pad4(body.length);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, length, true);
  bytes.set(body, 8);
  view.setUint32(length - 4, length, true);
  return bytes;
}

function option(code, text) {
  const value = new TextEncoder().encode(text).subarray(0, 1000);
  const bytes = new Uint8Array(4 + pad4(value.length) + 4);
  new DataView(bytes.buffer).setUint16(0, code, true);
  new DataView(bytes.buffer).setUint16(2, value.length, true);
  bytes.set(value, 4);
  return bytes;
}

function sectionHeader(comment) {
  const options = option(1, comment);
  const body = new Uint8Array(16 + options.length);
  const view = new DataView(body.buffer);
  view.setUint32(0, 0x1a2b3c4d, true);
  view.setUint16(4, 1, true);
  view.setBigInt64(8, -1n, true);
  body.set(options, 16);
  return block(0x0a0d0d0a, body);
}

function interfaceDescription() {
  const body = new Uint8Array(8);
  new DataView(body.buffer).setUint16(0, 101, true);
  return block(1, body);
}

/** Times are in microseconds, the default. */
function packetBlock(ms, packet) {
  const body = new Uint8Array(20 + pad4(packet.length));
  const view = new DataView(body.buffer);
  const time = BigInt(Math.round(ms * 1000));
  view.setUint32(4, Number(time >> 32n), true);
  view.setUint32(8, Number(time & 0xffffffffn), true);
  view.setUint32(12, packet.length, true);
  view.setUint32(16, packet.length, true);
  body.set(packet, 20);
  return block(6, body);
}

/** `1.2.3.4:80`, `[::1]:80`; what is no address becomes one for documentation (RFC 5737). */
export function address(text, otherwise) {
  const [, host, port] = /^\[?([0-9a-fA-F.:]+?)(?:%\w+)?\]?:(\d+)$/.exec(text ?? '') ?? [];
  if (!host) return { ip: Uint8Array.from([192, 0, 2, otherwise]), port: otherwise };
  return { ip: host.includes(':') ? ipv6(host) : Uint8Array.from(host.split('.'), Number), port: Number(port) };
}

function ipv6(host) {
  const v4 = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(host);
  const hex = v4 ? `${v4[1]}${((v4[2] << 8) | v4[3]).toString(16)}:${((v4[4] << 8) | v4[5]).toString(16)}` : host;
  const [left, right] = hex.split('::').map((half) => half.split(':').filter(Boolean));
  const groups = right ? [...left, ...new Array(8 - left.length - right.length).fill('0'), ...right] : left;
  return Uint8Array.from(groups.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255]));
}

/** The sum of RFC 1071. */
function checksum(...chunks) {
  let sum = 0;
  for (const chunk of chunks) {
    for (let i = 0; i < chunk.length; i += 2) sum += (chunk[i] << 8) | (chunk[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

function packet(from, to, flags, data) {
  const tcp = new Uint8Array(20 + data.length);
  const view = new DataView(tcp.buffer);
  view.setUint16(0, from.port);
  view.setUint16(2, to.port);
  view.setUint32(4, from.seq >>> 0);
  view.setUint32(8, flags & FLAGS.ACK ? to.seq >>> 0 : 0);
  view.setUint16(12, (5 << 12) | flags);
  view.setUint16(14, WINDOW);
  tcp.set(data, 20);
  const v6 = from.ip.length === 16;
  const pseudo = v6
    ? Uint8Array.from([...from.ip, ...to.ip, 0, 0, tcp.length >> 8, tcp.length & 255, 0, 0, 0, 6])
    : Uint8Array.from([...from.ip, ...to.ip, 0, 6, tcp.length >> 8, tcp.length & 255]);
  view.setUint16(16, checksum(pseudo, tcp));
  const ip = v6 ? ipv6Header(from, to, tcp.length) : ipv4Header(from, to, tcp.length);
  const all = new Uint8Array(ip.length + tcp.length);
  all.set(ip);
  all.set(tcp, ip.length);
  return all;
}

function ipv4Header(from, to, length) {
  const ip = new Uint8Array(20);
  const view = new DataView(ip.buffer);
  view.setUint16(0, 0x4500);
  view.setUint16(2, 20 + length);
  view.setUint16(6, 0x4000);
  view.setUint16(8, (64 << 8) | 6);
  ip.set(from.ip, 12);
  ip.set(to.ip, 16);
  view.setUint16(10, checksum(ip));
  return ip;
}

function ipv6Header(from, to, length) {
  const ip = new Uint8Array(40);
  const view = new DataView(ip.buffer);
  view.setUint32(0, 0x60000000);
  view.setUint16(4, length);
  view.setUint16(6, (6 << 8) | 64);
  ip.set(from.ip, 8);
  ip.set(to.ip, 24);
  return ip;
}

/** Chunks of a pcapng file of a recording between two addresses as text. */
export function pcapng(recording, peerText, localText, comment) {
  const peer = { ...address(peerText, 1), seq: 0 };
  const local = { ...address(localText, 2), seq: 0 };
  if (peer.ip.length !== local.ip.length) Object.assign(local, { ip: new Uint8Array(peer.ip.length).fill(1) });
  const chunks = [sectionHeader(comment), interfaceDescription()];
  let time = recording.blocks[0]?.record.time ?? Date.now();
  const send = (from, to, flags, data = new Uint8Array()) => {
    chunks.push(packetBlock(time, packet(from, to, flags, data)));
    from.seq += data.length + (flags & (FLAGS.SYN | FLAGS.FIN) ? 1 : 0);
  };
  const carry = (from, to, { bytes, missing }) => {
    for (let at = 0; at < bytes.length; at += MOST_DATA) {
      const last = at + MOST_DATA >= bytes.length;
      send(from, to, FLAGS.ACK | (last ? FLAGS.PSH : 0), bytes.subarray(at, at + MOST_DATA));
    }
    // A hole in the sequence is what Wireshark shows as bytes that were not captured.
    from.seq += missing;
  };
  // So that the peer is the client, whoever speaks first.
  send(peer, local, FLAGS.SYN);
  send(local, peer, FLAGS.SYN | FLAGS.ACK);
  send(peer, local, FLAGS.ACK);
  for (const { record, parts } of recording.blocks) {
    time = Math.max(time, record.time ?? time);
    for (const part of parts) {
      if (part.direction === 'in') carry(peer, local, part);
      if (part.direction === 'out') carry(local, peer, part);
    }
    if (record.event === 'end') send(peer, local, FLAGS.FIN | FLAGS.ACK);
    if (record.mark === 'fin-sent') send(local, peer, FLAGS.FIN | FLAGS.ACK);
  }
  return chunks;
}
