// Owns: a recording as pcapng: its bytes in raw IP packets with TCP headers that are made up,
// so that Wireshark follows the stream (draft-ietf-opsawg-pcapng, LINKTYPE_RAW).

const MOST_DATA = 1448;
const FLAGS = { FIN: 1, SYN: 2, PSH: 8, ACK: 16 };
const WINDOW = 65535;

/** 32-bit numbers as the file has them: all browsers are little-endian. */
const numbers = (...list) => new Uint8Array(Uint32Array.from(list).buffer);
const padded = (bytes) => [...bytes, ...new Uint8Array(-bytes.length & 3)];

function block(type, ...body) {
  const length = 12 + body.length;
  return Uint8Array.from([...numbers(type, length), ...body, ...numbers(length)]);
}

function sectionHeader(comment) {
  const text = new TextEncoder().encode(comment).subarray(0, 1000);
  return block(0x0a0d0d0a, ...numbers(0x1a2b3c4d, 1, -1, -1, 1 | (text.length << 16)), ...padded(text), ...numbers(0));
}

function packetBlock(ms, packet) {
  const time = Math.round(ms * 1000);
  return block(6, ...numbers(0, time / 2 ** 32, time, packet.length, packet.length), ...padded(packet));
}

/** `1.2.3.4:80`, `[::1]:80`; what is no address becomes one for documentation (RFC 5737). */
function address(text, otherwise) {
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

function checksum(...chunks) {
  let sum = 0;
  for (const chunk of chunks) {
    for (let i = 0; i < chunk.length; i += 2) sum += (chunk[i] << 8) | (chunk[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

/** 16-bit numbers as they go over the network. */
const words = (...list) => Uint8Array.from(list.flatMap((number) => [(number >> 8) & 255, number & 255]));

function packet(from, to, flags, data) {
  const length = 20 + data.length;
  const ack = flags & FLAGS.ACK ? to.seq : 0;
  const tcp = (sum) => words(from.port, to.port, from.seq >>> 16, from.seq, ack >>> 16, ack, (5 << 12) | flags, WINDOW, sum, 0);
  const v4 = (sum) => words(0x4500, 20 + length, 0, 0x4000, (64 << 8) | 6, sum);
  const addresses = [...from.ip, ...to.ip];
  const ip = from.ip.length === 16 ? words(0x6000, 0, length, (6 << 8) | 64) : v4(checksum(v4(0), addresses));
  return Uint8Array.from([...ip, ...addresses, ...tcp(checksum(addresses, words(6, length), tcp(0), data)), ...data]);
}

/** Chunks of a pcapng file of a recording between two addresses as text. */
export function pcapng(recording, peerText, localText, comment) {
  const peer = { ...address(peerText, 1), seq: 0 };
  const local = { ...address(localText, 2), seq: 0 };
  if (peer.ip.length !== local.ip.length) Object.assign(local, { ip: new Uint8Array(peer.ip.length).fill(1) });
  const chunks = [sectionHeader(comment), block(1, ...numbers(101, 0))];
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
