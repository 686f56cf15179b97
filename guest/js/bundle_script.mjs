// A script with the files and packages that it asks for, as one text.
import { existsSync, readFileSync } from 'node:fs';
import { builtinModules, SourceMap } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';
import * as esbuild from 'esbuild';
import { asksForPeer, MODULES, startsTls, topicsOf } from './asked.mjs';

// What is wrong with the script, in words for its author.
export class Mistake extends Error {}

// How esbuild bundles, the script and the shim.
export const COMMON = {
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
export async function bundleScript(source) {
  // Where the script is told that it is.
  const path = `/${basename(source)}`;
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
      define: { __filename: JSON.stringify(path), __dirname: '"/"',
        'import.meta.url': JSON.stringify(`file://${path}`), 'import.meta.dirname': '"/"', 'import.meta.filename': JSON.stringify(path) },
    });
    const output = (ending) => result.outputFiles.find(({ path }) => path.endsWith(ending)).text;
    const code = output('.js');
    const inputs = Object.keys(result.metafile.inputs).map((path) => resolve(dirname(source), path));
    const own = await ownFiles(source, result.metafile.inputs);
    return { path, code, places: placesOf(code, output('.map')), asked, missing, inputs, own, topics: topicsOf(code), peer: asksForPeer(code), tls: startsTls(code) };
  } catch (error) {
    const [first] = error.errors ?? [];
    if (!first) throw error;
    const at = first.location;
    const text = /top-level await/i.test(first.text)
      ? 'await at the top level is not available in a hotsocket guest: put it into an async function'
      : notInstalled(first.text, dirname(source)) ?? first.text;
    throw new Mistake(at ? `${at.file}:${at.line}:${at.column + 1}: ${text}` : text);
  }
}

// What to do about a package that esbuild has not found, if that is the mistake.
function notInstalled(text, dir) {
  const [, name] = /^Could not resolve "((?:@[^/"]+\/)?[^./"@#:][^/":]*)[/"]/.exec(text) ?? [];
  if (name === undefined) return undefined;
  // If it is there, what is missing is a part of it.
  const above = [];
  for (let at = dir; !above.includes(at); at = dirname(at)) above.push(at);
  if (above.some((at) => existsSync(join(at, 'node_modules', name)))) return undefined;
  const home = above.find((at) => existsSync(join(at, 'package.json'))) ?? dir;
  return `the package "${name}" is not installed: run \`npm install ${name}\` in ${home}`;
}

// The script and its own modules, without packages, for own_copies.mjs.
async function ownFiles(source, inputs) {
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
