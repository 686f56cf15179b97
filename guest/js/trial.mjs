// The trial: the script's top level runs once under Node, to see that it starts, and where
// it listens.
import vm from 'node:vm';
import { bundleGuest } from './bundle_guest.mjs';
import { Mistake } from './bundle_script.mjs';

// A top level that takes longer than this has no end.
const TRIAL_MS = 5000;

// Run the top level as an instance would, with nothing of this machine in reach
// but the language itself. Gives the port that it listens on, and why it must run in
// each instance; undefined if it need not.
export async function tryOut(script) {
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
