// `hotsocket build FILE.js`, the part that runs under Node: bundles a script with
// the shim, runs its top level once to see that it starts, and makes the
// component, with the top level run into its image where it can be. Started by hotsocket, in the directory where the packages are
// installed, as: node build.mjs SCRIPT OUTPUT
//
// Tells what it did as JSON on standard output. What is wrong with the script is
// one line on standard error and exit code 1; anything else is 2.
import { builtinModules, SourceMap } from 'node:module';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import { componentize } from 'componentize-qjs';
import * as esbuild from 'esbuild';
import { engine } from './engine.mjs';
import { changedCopies } from './own_copies.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const [source, output] = process.argv.slice(2).map((path) => resolve(path));
const name = relative(dirname(source), source);
// A top level that takes longer than this has no end.
const TRIAL_MS = 5000;

// What `require` and `import` find for the modules that Node brings, and for our own. Only those
// that the script asks for become part of its component.
const MODULES = {
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
function topicsOf(code) {
  const names = 'leave|publish|subscribers|will';
  const named = new RegExp(`\\bhotsocket\\s*\\??\\.\\s*(join|${names})\\b`).test(code);
  const aliased = /\bhotsocket\b(?!\s*\??\.\s*\w)/.test(code) && (new RegExp(`[.{,]\\s*(${names})\\b`).test(code)
    || (/[.{,]\s*join\b/.test(code) && /(["'`])(message|direct)\1/.test(code)));
  const used = named || aliased;
  return { used, subscriber: used && /(["'`])(message|lagged)\1/.test(code) };
}

// Whether the script asks who the peer is; see shim/peer.js.
function asksForPeer(code) {
  return /[.{,]\s*(getPeerCertificate|getProtocol|getCipher|alpnProtocol|servername|encrypted|authorized)\b/.test(code)
    || /\bhotsocket\s*\??\.\s*peer\b/.test(code)
    || (/\bhotsocket\b(?!\s*\??\.\s*\w)/.test(code) && /[.{,]\s*peer\b/.test(code));
}

// Whether the script has TLS begin; see shim/start_tls.js.
function startsTls(code) {
  return /[.{,]\s*(startTLS|canStartTLS)\b/.test(code);
}

class Mistake extends Error {}

const COMMON = {
  bundle: true,
  write: false,
  platform: 'node',
  target: 'esnext',
  // The engine's promises stand still; the shim's are reached this way.
  supported: { 'dynamic-import': false, 'async-await': false, 'async-generator': false, 'for-await': false },
  keepNames: true,
  legalComments: 'none',
  metafile: true,
  logLevel: 'silent',
};

// The script and all it asks for, but for Node's modules, as the body of a
// function (require, module, exports).
async function bundleScript() {
  const asked = new Set();
  // Those that Node has and a guest hasn't, and the file that asks for each.
  const missing = new Map();
  const modules = {
    name: 'modules',
    setup(build) {
      // Only the script itself is `require.main`, and begins with `#!`. The same
      // length, so that each line stays where it is.
      build.onLoad({ filter: /\.(c|m)?js$/ }, ({ path }) => {
        if (path !== source) return undefined;
        const text = readFileSync(path, 'utf8');
        return { contents: text.replace(/^#!.*/, '').replace(/\brequire\.main(?=\s*={2,3}\s*module\b)/g, 'module      ') };
      });
      build.onResolve({ filter: /^(node:)?[a-z_0-9]+(\/[a-z_]+)?$/ }, ({ path, importer }) => {
        const module = path.replace(/^node:/, '');
        if (!builtinModules.includes(module) && !path.startsWith('node:') && path !== 'hotsocket') return undefined;
        if (module in MODULES) {
          asked.add(module);
          return { path: module, external: true };
        }
        if (!builtinModules.includes(module)) {
          return { errors: [{ text: `Node ${process.versions.node} has no module "${path}"` }] };
        }
        const asking = relative(dirname(source), importer);
        if (!missing.has(module)) missing.set(module, asking);
        return { path: module, external: true };
      });
    },
  };
  try {
    const result = await esbuild.build({
      ...COMMON,
      entryPoints: [source],
      absWorkingDir: dirname(source),
      plugins: [modules],
      outfile: 'script.js',
      format: 'cjs',
      sourcemap: 'external',
      define: { __filename: JSON.stringify(`/${name}`), __dirname: '"/"',
        'import.meta.url': JSON.stringify(`file:///${name}`), 'import.meta.dirname': '"/"', 'import.meta.filename': JSON.stringify(`/${name}`) },
    });
    const output = (ending) => result.outputFiles.find(({ path }) => path.endsWith(ending)).text;
    const code = output('.js');
    const inputs = Object.keys(result.metafile.inputs).map((path) => resolve(dirname(source), path));
    const own = await ownFiles(result.metafile.inputs);
    return { code, places: placesOf(code, output('.map')), asked, missing, inputs, own, topics: topicsOf(code), peer: asksForPeer(code), tls: startsTls(code) };
  } catch (error) {
    const [first] = error.errors ?? [];
    if (!first) throw error;
    const at = first.location;
    const text = /top-level await/i.test(first.text)
      ? 'await at the top level is not available in a hotsocket guest: put it into an async function'
      : first.text;
    throw new Mistake(at ? `${at.file}:${at.line}:${at.column + 1}: ${text}` : text);
  }
}

// The script and its own modules, without packages, for own_copies.mjs.
async function ownFiles(inputs) {
  const files = Object.entries(inputs).filter(([path]) =>
    /\.[cm]?[jt]sx?$/.test(path) && !path.split('/').includes('node_modules'));
  return Promise.all(files.map(async ([path, { imports }]) => {
    const text = readFileSync(resolve(dirname(source), path), 'utf8');
    const names = new Map(imports.map(({ original, path }) => [original, path]));
    if (!/\.[cm]?tsx?$/.test(path)) return { path, text, imports: names, lineOf: (line) => line };
    const plain = await esbuild.transform(text, { loader: 'ts', sourcemap: 'external' });
    const map = new SourceMap(JSON.parse(plain.map));
    return { path, text: plain.code, imports: names, lineOf: (line) => (map.findEntry(line - 1, 0).originalLine ?? line - 1) + 1 };
  }));
}

// Where the script's lines are in the bundle: see errors.js.
function placesOf(code, map) {
  const files = [];
  const runs = [];
  const found = new SourceMap(JSON.parse(map));
  code.split('\n').forEach((text, at) => {
    const entry = found.findEntry(at, text.search(/\S/));
    if (entry.originalSource === undefined || entry.generatedLine !== at) return;
    if (!files.includes(entry.originalSource)) files.push(entry.originalSource);
    const file = files.indexOf(entry.originalSource);
    const last = runs.at(-1);
    const line = entry.originalLine + 1;
    if (last && last[2] === file && last[0] + last[1] === at + 1 && last[3] + last[1] === line) last[1]++;
    else runs.push([at + 1, 1, file, line]);
  });
  return { files, runs };
}

// The shim and the packages that it stands upon, around the script.
async function bundleGuest({ code, places, asked, missing, topics, peer, tls }, { trial = false, intoImage = false }) {
  const named = Object.entries(NAMED).filter(([name, [owner]]) =>
    (new RegExp(`\\b${name}\\b`).test(code) || (name === 'URL' && code.includes('pathToFileURL')))
    && (!owner.includes('crypto') || asked.has('crypto')));
  // The global, which is no property of a module.
  if (/\b(globalThis|global|self)\.crypto\b|(?<![.\w$])crypto\.(getRandomValues|randomUUID|subtle)\b/.test(code)) {
    named.push(['crypto', ['globalThis', "require('./shim/web_crypto.js')"]]);
  }
  const entry = `
    import { ${trial ? 'tryOut' : 'start'}, setPlaces } from './shim/main.js';
    const modules = { ${[...asked].map((module) => `${JSON.stringify(module)}: () => ${MODULES[module]}`).join(', ')} };
    ${missing.size > 0 ? "const missing = require('./shim/missing.js');" : ''}
    for (const name of ${JSON.stringify([...missing.keys()])}) {
      const module = missing(name);
      modules[name] = () => module;
    }
    // Not part of this module: a script that is no module need not be strict.
    ${topics.used ? "require('./shim/topics.js');" : ''}
    ${peer ? "require('./shim/peer.js');" : ''}
    ${tls ? "require('./shim/start_tls.js');" : ''}
    ${named.length > 0 ? "const lazily = require('./shim/lazily.js');" : ''}
    ${/Async(Generator)?Function/.test(code) ? "require('./shim/async_functions.js');" : ''}
    ${/\btoLocale/.test(code) ? "require('./shim/locale.js');" : ''}
    ${named.map(([name, [owner, from]]) => `lazily(${owner}, ${JSON.stringify(name)}, () => ${from});`).join('\n')}
    const script = new Function('require', 'module', 'exports', ${JSON.stringify(code)});
    setPlaces(${JSON.stringify(places)});
    const run = () => {
      const module = { exports: {} };
      script.call(module.exports, (name) => modules[name](), module, module.exports);
    };
    ${trial ? 'globalThis.told = tryOut(run);' : topics.subscriber
    ? `const guest = start(run, ${intoImage}, require('./shim/topics.js')); export const { handler, subscriber } = guest;`
    : `export const { handler } = start(run, ${intoImage});`}
  `;
  const own = {
    name: 'own',
    setup(build) {
      // The packages ask for one another, and for Node's modules, by names that
      // are ours to give.
      const files = {
        'url-from-npm': 'node_modules/url/url.js',
        'qs': 'shim/querystring.js',
        'buffer-from-npm': 'node_modules/buffer/index.js',
        'events-from-npm': 'node_modules/events/events.js',
        'buffer': 'shim/buffer.js',
        'events': 'shim/events.js',
        'process/': 'shim/process.js',
        'string_decoder/': 'shim/string_decoder.js',
        'stream': 'shim/stream.js',
        'abort-controller': 'shim/abort.js',
        'punycode-from-npm': 'node_modules/punycode/punycode.js',
        'punycode': 'node_modules/punycode/punycode.js',
        'tr46': 'shim/tr46.js',
        'http-parser-from-npm': 'node_modules/http-parser-js/http-parser.js',
        'assert': 'shim/assert.js',
      };
      build.onResolve({ filter: /^[a-z0-9-_]+\/?$/ }, ({ path }) =>
        (path in files ? { path: resolve(here, files[path]) } : undefined));
      // It looks for the prototype of async generators, of which the build makes others.
      build.onLoad({ filter: /whatwg-url\/lib\/utils\.js$/ }, ({ path }) => ({
        contents: readFileSync(path, 'utf8').replace(/Object\.getPrototypeOf\(async function\* ?\(\) ?\{\}\)\.prototype/, '({})'),
      }));
      if (trial) {
        build.onResolve({ filter: /^\.\/host\.js$/ }, () => ({ path: resolve(here, 'shim/trial.js') }));
        build.onResolve({ filter: /^\.\/files\.js$/ }, () => ({ path: resolve(here, 'shim/files_trial.js') }));
        build.onResolve({ filter: /^\.\/store_host\.js$/ }, () => ({ path: resolve(here, 'shim/store_trial.js') }));
        build.onResolve({ filter: /^\.\/peer_host\.js$/ }, () => ({ path: resolve(here, 'shim/peer_trial.js') }));
        build.onResolve({ filter: /^\.\/start_tls_host\.js$/ }, () => ({ path: resolve(here, 'shim/start_tls_trial.js') }));
        build.onResolve({ filter: /^\.\/topics_host\.js$/ }, () => ({ path: resolve(here, 'shim/topics_trial.js') }));
      }
    },
  };
  const result = await esbuild.build({
    ...COMMON,
    stdin: { contents: entry, resolveDir: here, sourcefile: 'entry.js' },
    absWorkingDir: here,
    plugins: [own],
    format: trial ? 'iife' : 'esm',
    external: ['hotsocket:*', 'wasi:*'],
    // Each byte of source costs five in the component.
    minify: !trial,
  });
  return result.outputFiles[0].text;
}

// Run the top level as an instance would, with nothing of this machine in reach
// but the language itself. Gives the port that it listens on, and why it must run in
// each instance; undefined if it need not.
async function tryOut(script) {
  const context = vm.createContext(Object.create(null));
  const run = (text) => vm.runInContext(text, context, { filename: 'shim.js', timeout: TRIAL_MS });
  run(ENGINE);
  const guest = await bundleGuest(script, { trial: true });
  try {
    run(guest);
  } catch (error) {
    if (error?.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') {
      throw new Mistake(`its top level runs for more than ${TRIAL_MS / 1000} s`);
    }
    throw error;
  }
  // As text: nothing of the script's is called from out here.
  const { words, ports, reason } = JSON.parse(run('String(told)'));
  if (words) throw new Mistake(`it fails when it starts: ${words.split('\n').map((line) => line.trim()).join(' | ')}`);
  if (ports.length === 0) throw new Mistake('it starts no server: a guest calls server.listen() when it starts');
  return { port: ports.find((port) => port > 0) ?? null, reason };
}

// What the engine has and a bare context of Node's hasn't.
const ENGINE = `
  globalThis.performance = { now: () => Date.now() };
  globalThis.btoa = (text) => { let out = ''; const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
    for (let at = 0; at < text.length; at += 3) {
      const [a, b, c] = [0, 1, 2].map((more) => text.charCodeAt(at + more));
      const bits = (a << 16) | ((b || 0) << 8) | (c || 0);
      out += digits[bits >> 18] + digits[(bits >> 12) & 63] + (b >= 0 ? digits[(bits >> 6) & 63] : '=') + (c >= 0 ? digits[bits & 63] : '=');
    }
    return out; };
  globalThis.atob = (text) => { let out = ''; let bits = 0; let count = 0;
    for (const digit of text.replace(/[=\\s]/g, '')) {
      bits = (bits << 6) | 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'.indexOf(digit);
      count += 6;
      if (count >= 8) { count -= 8; out += String.fromCharCode((bits >> count) & 255); }
    }
    return out; };
  Uint8Array.fromBase64 ??= (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  Uint8Array.prototype.toBase64 ??= function () {
    let text = '';
    for (let at = 0; at < this.length; at += 8192) text += String.fromCharCode(...this.subarray(at, at + 8192));
    return btoa(text);
  };
  Uint8Array.fromHex ??= (text) => {
    if (!/^([\\da-f]{2})*$/i.test(text)) throw new SyntaxError('no hex');
    return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  };
  String.prototype.toWellFormed ??= function () { return String(this); };
  Uint8Array.prototype.toHex ??= function () { return Array.from(this, (byte) => byte.toString(16).padStart(2, '0')).join(''); };
`;

async function main() {
  const script = await bundleScript();
  const { port, reason } = await tryOut(script);
  const made = await makeComponent(script, reason);
  writeFileSync(output, made.component);
  const warnings = [...script.missing].map(([module, file]) =>
    `the module "${module}", which ${file} asks for, is not available in a hotsocket guest: using it throws`);
  for (const { name, path, line } of changedCopies(script.own)) {
    warnings.push(`${path}:${line}: \`${name}\` is changed for a connection, and every connection has its own copy of it, `
      + 'so no other one sees the change; docs/topics.md shows how connections meet');
  }
  const notes = made.reason === undefined ? [] : [
    `${name}: its top level runs once for each connection, and not once for all, since ${made.reason}`];
  process.stdout.write(JSON.stringify({ port, inputs: script.inputs, warnings, notes }));
}

// The source, with a function in front that is never called and names each property.
// The engine counts the uses of a name beside the name, so an instance writes to each
// memory page that has one it uses. Names that are read first lie side by side, and not
// between the functions: 14 pages of some 150 fewer in each instance.
function namesFirst(source) {
  const names = new Set(source.match(/(?<=[.{,])[A-Za-z_$][\w$]+/g));
  return `void function(at){${[...names].map((name) => `at.${name}`).join(';')}};${source}`;
}

// The world of a component with what this script asks for, and no more.
function worldOf({ asked, topics, peer, tls }) {
  const worlds = ['javascript'];
  if (asked.has('fs') || asked.has('fs/promises')) worlds.push('files');
  if (asked.has('hotsocket')) worlds.push('hotsocket:store/imports@0.1.0');
  if (peer) worlds.push('hotsocket:peer/imports@0.1.0');
  if (tls) worlds.push('hotsocket:tls/imports@0.1.0');
  if (topics.used) worlds.push('hotsocket:topics/imports@0.1.0');
  if (topics.subscriber) worlds.push('hotsocket:topics/exports@0.1.0');
  return `package hotsocket:javascript@0.1.0;\nworld script { ${worlds.map((world) => `include ${world};`).join(' ')} }\n`;
}

// The component, with the top level run into its image unless there is a reason
// against it, and that reason.
async function makeComponent(script, reason) {
  const runtimeBytes = engine(resolve(here, 'node_modules'));
  const witPath = resolve(here, 'wit');
  writeFileSync(join(witPath, 'script.wit'), worldOf(script));
  const make = async (intoImage) => {
    const jsSource = namesFirst(await bundleGuest(script, { intoImage }));
    const runtime = runtimeBytes ? { runtimeBytes } : { sync: true };
    return (await componentize({ witPath, world: 'script', jsSource, ...runtime })).component;
  };
  if (reason === undefined) {
    try {
      return { component: await make(true) };
    } catch (error) {
      // The trial ran in another engine. What it doesn't know ends here.
      reason = /it (?:reads|prints|fails) [^\n]*/.exec(error.message)?.[0]
        ?? `it fails in the build with ${/wasm trap: ([^\n]*)/.exec(error.message)?.[1] ?? error.message.split('\n')[0]}`;
    }
  }
  return { component: await make(false), reason };
}

try {
  await main();
} catch (error) {
  if (error instanceof Mistake) {
    console.error(error.message.startsWith(`${name}:`) ? error.message : `${name}: ${error.message}`);
    process.exitCode = 1;
  } else {
    console.error(String(error?.stack ?? error));
    process.exitCode = 2;
  }
}
