// `querystring`.
'use strict';

const escape = (text) => encodeURIComponent(String(text).toWellFormed());

function unescape(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    // What is no UTF-8 becomes U+FFFD, and what is no escape stays.
    const bytes = text.replace(/%([\da-f]{2})|([^%]+|%)/gi, (all, hex) => (hex ? all : Buffer.from(all).toString('hex').replace(/../g, '%$&')));
    return Buffer.from(bytes.replaceAll('%', ''), 'hex').toString();
  }
}

function shown(value) {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' && !Number.isFinite(value)) return '';
  return ['number', 'bigint', 'boolean'].includes(typeof value) ? String(value) : '';
}

function stringify(values, separator = '&', equals = '=', options = {}) {
  if (values === null || typeof values !== 'object') return '';
  const encode = options?.encodeURIComponent ?? querystring.escape;
  return Object.entries(values)
    .flatMap(([name, value]) => (Array.isArray(value) ? value : [value])
      .map((one) => `${encode(shown(name))}${equals || '='}${encode(shown(one))}`))
    .join(separator || '&');
}

function parse(text, separator = '&', equals = '=', options = {}) {
  const values = Object.create(null);
  if (typeof text !== 'string' || text.length === 0) return values;
  const most = options?.maxKeys ?? 1000;
  const decode = options?.decodeURIComponent ?? querystring.unescape;
  const pairs = text.split(separator || '&').filter((pair) => pair !== '');
  for (const pair of most > 0 ? pairs.slice(0, most) : pairs) {
    const at = pair.indexOf(equals || '=');
    const part = (piece) => decode(piece.replaceAll('+', ' '));
    const name = part(at >= 0 ? pair.slice(0, at) : pair);
    const value = at >= 0 ? part(pair.slice(at + (equals || '=').length)) : '';
    if (!(name in values)) values[name] = value;
    else if (Array.isArray(values[name])) values[name].push(value);
    else values[name] = [values[name], value];
  }
  return values;
}

const querystring = {
  parse, stringify, escape, unescape, decode: parse, encode: stringify,
  unescapeBuffer: (text) => Buffer.from(unescape(String(text))),
};

module.exports = querystring;
