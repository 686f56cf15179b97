// A guest's source: the shim, and the script in it.
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import { MODULES, namedIn } from './asked.mjs';
import { COMMON } from './bundle_script.mjs';

const here = dirname(fileURLToPath(import.meta.url));

// The shim and the packages that it stands upon, around the script.
export async function bundleGuest({ path, code, places, asked, missing, topics, peer, tls }, { trial = false, intoImage = false }) {
  const named = namedIn({ code, asked });
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
    process.argv.push(${JSON.stringify(path)});
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
