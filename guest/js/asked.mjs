// What a script asks for, found by its names, and what there is for it. A component has no
// more of the shim, and imports no more of the contract, than its script can use.

// What `require` and `import` find for the modules that Node brings, and for our own. Only those
// that the script asks for become part of its component.
export const MODULES = {
  'net': "require('./shim/net.js').net",
  'hotsocket': "require('./shim/hotsocket.js')",
  'http': "require('./shim/http.js')",
  'assert': "require('./shim/assert.js')",
  'assert/strict': "require('./shim/assert.js').strict",
  'async_hooks': "require('./shim/async_hooks.js')",
  'buffer': "require('./shim/buffer.js')",
  'console': "require('./shim/console.js').console",
  'crypto': "require('./shim/crypto.js')",
  'diagnostics_channel': "require('./shim/diagnostics_channel.js')",
  'dns': "require('./shim/dns.js')",
  'dns/promises': "require('./shim/dns.js').promises",
  'events': "require('./shim/events.js')",
  'fs': "require('./shim/fs.js')",
  'fs/promises': "require('./shim/fs.js').promises",
  'os': "require('./shim/os.js')",
  'path': "require('./shim/path.js')",
  'path/posix': "require('./shim/path.js')",
  'perf_hooks': "require('./shim/perf_hooks.js')",
  'process': "require('./shim/process.js')",
  'punycode': "require('punycode-from-npm')",
  'querystring': "require('./shim/querystring.js')",
  'readline': "require('./shim/readline.js')",
  'readline/promises': "require('./shim/readline.js').promises",
  'stream': "require('./shim/stream.js')",
  'stream/promises': "require('./shim/stream.js').promises",
  'string_decoder': "require('./shim/string_decoder.js')",
  'sys': "require('./shim/util.js')",
  'timers': "require('./shim/timers.js').timers",
  'timers/promises': "require('./shim/promises.js').timers",
  'tls': "require('./shim/tls.js')",
  'tty': "require('./shim/tty.js')",
  'url': "require('./shim/url.js')",
  'util': "require('./shim/util.js')",
  'util/types': "require('./shim/util.js').types",
};

// What is not part of a component whose script never names it: the name, whose property
// it is, and where it comes from.
const NAMED = {
  'URL': ['globalThis', "require('./shim/whatwg.js').URL"],
  'URLSearchParams': ['globalThis', "require('./shim/whatwg.js').URLSearchParams"],
  'Blob': ['globalThis', "require('./shim/blob.js').Blob"],
  'File': ['globalThis', "require('./shim/blob.js').File"],
  ...Object.fromEntries(['ReadableStream', 'WritableStream', 'TransformStream', 'Headers', 'Request', 'Response', 'FormData'].map((name) =>
    [name, ['globalThis', `require('./shim/absent_class.js')('${name}')`]])),
  'structuredClone': ['globalThis', "require('./shim/structured_clone.js')"],
  'parseArgs': ["require('./shim/util.js')", "require('@pkgjs/parseargs').parseArgs"],
  'BlockList': ["require('./shim/net.js').net", "require('./shim/block_list.js').BlockList"],
  ...Object.fromEntries(['pbkdf2', 'pbkdf2Sync', 'scrypt', 'scryptSync', 'hkdf', 'hkdfSync'].map((name) =>
    [name, ["require('./shim/crypto.js')", `require('./shim/key_derivation.js').${name}`]])),
  'SocketAddress': ["require('./shim/net.js').net", "require('./shim/block_list.js').SocketAddress"],
};

// What of `hotsocket:topics` the script uses; see shim/topics.js. As `socket.hotsocket` may
// be given another name, so may its functions be found by their own: of these, `join` is
// an array's as well.
export function topicsOf(code) {
  const names = 'leave|publish|subscribers|will';
  const named = new RegExp(`\\bhotsocket\\s*\\??\\.\\s*(join|${names})\\b`).test(code);
  const aliased = /\bhotsocket\b(?!\s*\??\.\s*\w)/.test(code) && (new RegExp(`[.{,]\\s*(${names})\\b`).test(code)
    || (/[.{,]\s*join\b/.test(code) && /(["'`])(message|direct)\1/.test(code)));
  const used = named || aliased;
  return { used, subscriber: used && /(["'`])(message|lagged)\1/.test(code) };
}

// Whether the script asks who the peer is; see shim/peer.js.
export function asksForPeer(code) {
  return /[.{,]\s*(getPeerCertificate|getProtocol|getCipher|alpnProtocol|servername|encrypted|authorized)\b/.test(code)
    || /\bhotsocket\s*\??\.\s*peer\b/.test(code)
    || (/\bhotsocket\b(?!\s*\??\.\s*\w)/.test(code) && /[.{,]\s*peer\b/.test(code));
}

// Whether the script has TLS begin; see shim/start_tls.js.
export function startsTls(code) {
  return /[.{,]\s*(startTLS|canStartTLS)\b/.test(code);
}

// The entries of NAMED whose names are in this script.
export function namedIn({ code, asked }) {
  const named = Object.entries(NAMED).filter(([name, [owner]]) =>
    (new RegExp(`\\b${name}\\b`).test(code) || (name === 'URL' && code.includes('pathToFileURL')))
    && (!owner.includes('crypto') || asked.has('crypto')));
  // The global, which is no property of a module.
  if (/\b(globalThis|global|self)\.crypto\b|(?<![.\w$])crypto\.(getRandomValues|randomUUID|subtle)\b/.test(code)) {
    named.push(['crypto', ['globalThis', "require('./shim/web_crypto.js')"]]);
  }
  return named;
}

// The world of a component with what this script asks for, and no more.
export function worldOf({ asked, topics, peer, tls }) {
  const worlds = ['javascript'];
  if (asked.has('fs') || asked.has('fs/promises')) worlds.push('files');
  if (asked.has('hotsocket')) worlds.push('hotsocket:store/imports@0.1.0');
  if (peer) worlds.push('hotsocket:peer/imports@0.1.0');
  if (tls) worlds.push('hotsocket:tls/imports@0.1.0');
  if (topics.used) worlds.push('hotsocket:topics/imports@0.1.0');
  if (topics.subscriber) worlds.push('hotsocket:topics/exports@0.1.0');
  return `package hotsocket:javascript@0.1.0;\nworld script { ${worlds.map((world) => `include ${world};`).join(' ')} }\n`;
}
