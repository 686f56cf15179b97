// `net.BlockList` and `net.SocketAddress`.
'use strict';

const { checkInteger, checkString, wrongValue } = require('./checks.js');
const { net } = require('./net.js');

const custom = Symbol.for('nodejs.util.inspect.custom');

// An address as a number of 32 or 128 bits.
function numberOf(address, family) {
  if (family === 'ipv4') return address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  address = address.replace(/%.*$/, '');
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  if (dotted) {
    const number = numberOf(dotted[2], 'ipv4');
    address = `${dotted[1]}${(number >> 16n).toString(16)}:${(number & 0xffffn).toString(16)}`;
  }
  const [head, tail] = address.split('::').map((half) => (half === '' ? [] : half.split(':')));
  const groups = tail === undefined ? head : [...head, ...Array(8 - head.length - tail.length).fill('0'), ...tail];
  return groups.reduce((sum, group) => sum * 65536n + BigInt(parseInt(group, 16)), 0n);
}

function familyOf(family) {
  checkString(family, 'family');
  family = family.toLowerCase();
  if (family !== 'ipv4' && family !== 'ipv6') throw wrongValue('family', family);
  return family;
}

class SocketAddress {
  #address;
  #port;
  #family;
  #flow;
  constructor({ address, port = 0, family = 'ipv4', flowlabel = 0 } = {}) {
    this.#family = familyOf(family);
    address ??= this.#family === 'ipv4' ? '127.0.0.1' : '::';
    checkString(address, 'options.address');
    checkInteger(port, 'options.port', 0, 65535);
    if (!(this.#family === 'ipv4' ? net.isIPv4(address) : net.isIPv6(address))) {
      throw require('./errors.js').coded(Error, 'ERR_INVALID_ADDRESS', 'Invalid socket address');
    }
    [this.#address, this.#port, this.#flow] = [address, port, flowlabel];
  }
  get address() { return this.#address; }
  get port() { return this.#port; }
  get family() { return this.#family; }
  get flowlabel() { return this.#flow; }
  toJSON() { return { address: this.#address, port: this.#port, family: this.#family, flowlabel: this.#flow }; }
  [custom](depth, options, inspect) { return depth < 0 ? 'SocketAddress' : `SocketAddress ${inspect(this.toJSON(), options)}`; }
}

const addressOf = (address, family) => {
  if (address instanceof SocketAddress) return address;
  checkString(address, 'address');
  return new SocketAddress({ address, family: familyOf(family) });
};
const shownFamily = (family) => (family === 'ipv4' ? 'IPv4' : 'IPv6');

class BlockList {
  // The last one comes first, as in Node.
  #rules = [];

  static isBlockList(value) { return value instanceof BlockList; }

  addAddress(address, family = 'ipv4') {
    const it = addressOf(address, family);
    const number = numberOf(it.address, it.family);
    this.#rules.unshift({ family: it.family, first: number, last: number, text: `Address: ${shownFamily(it.family)} ${it.address}` });
  }

  addRange(start, end, family = 'ipv4') {
    const [first, last] = [addressOf(start, family), addressOf(end, family)];
    const [low, high] = [numberOf(first.address, first.family), numberOf(last.address, last.family)];
    if (low > high) throw wrongValue('start', start, 'must come before end');
    this.#rules.unshift({ family: first.family, first: low, last: high, text: `Range: ${shownFamily(first.family)} ${first.address}-${last.address}` });
  }

  addSubnet(address, prefix, family = 'ipv4') {
    const it = addressOf(address, family);
    const bits = it.family === 'ipv4' ? 32 : 128;
    checkInteger(prefix, 'prefix', 0, bits);
    const rest = BigInt(bits - prefix);
    const first = (numberOf(it.address, it.family) >> rest) << rest;
    this.#rules.unshift({ family: it.family, first, last: first + (1n << rest) - 1n, text: `Subnet: ${shownFamily(it.family)} ${it.address}/${prefix}` });
  }

  check(address, family = 'ipv4') {
    let it;
    try {
      it = addressOf(address, family);
    } catch (error) {
      if (error.code !== 'ERR_INVALID_ADDRESS') throw error;
      return false;
    }
    const number = numberOf(it.address, it.family);
    const within = (wanted, value) => this.#rules.some((rule) => rule.family === wanted && value >= rule.first && value <= rule.last);
    // An IPv4 address as IPv6 writes it counts as itself.
    return within(it.family, number)
      || (it.family === 'ipv6' && number >> 32n === 0xffffn && within('ipv4', number & 0xffffffffn));
  }

  get rules() { return this.#rules.map(({ text }) => text); }
  [custom](depth, options, inspect) { return depth < 0 ? 'BlockList' : `BlockList ${inspect({ rules: this.rules }, options)}`; }
}

module.exports = { BlockList, SocketAddress };
