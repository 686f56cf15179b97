// `hotsocket build FILE.js`, the part that runs under Node: bundles a script with
// the shim, runs its top level once to see that it starts, and makes the
// component, with the top level run into its image where it can be. Started by
// hotsocket, in the directory where the packages are installed, as:
// node build.mjs SCRIPT OUTPUT
//
// Tells what it did as JSON on standard output. What is wrong with the script is
// one line on standard error and exit code 1; anything else is 2.
import { writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { componentize } from 'componentize-qjs';
import { worldOf } from './asked.mjs';
import { bundleGuest } from './bundle_guest.mjs';
import { bundleScript, Mistake } from './bundle_script.mjs';
import { engine } from './engine.mjs';
import { changedCopies } from './own_copies.mjs';
import { tryOut } from './trial.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const [source, output] = process.argv.slice(2).map((path) => resolve(path));
const name = basename(source);

async function main() {
  const script = await bundleScript(source);
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
