// Stands in for `host.js` when `build` runs the script's top level once, to see
// whether it starts and which port it listens on. Nothing is printed.
import { watched } from './image.js';

const nowhere = { ip: '', port: 0 };
const nothing = () => {};
// Before globals.js puts another in its place.
const { now } = Date;

export const connection = {
  info: () => ({ id: 0, local: nowhere, peer: nowhere }),
  write() { throw { payload: { tag: 'closed' } }; },
  end: nothing,
  abort: nothing,
  holdOpen: nothing,
  setTimer: nothing,
  clearTimer: nothing,
};
export const environment = { getEnvironment: () => [] };
export const capabilities = {
  environment: { setting: nothing, log: nothing },
  session: { pause: nothing, resume: nothing, checkpoint: nothing, label: nothing },
};
export const hibernation = { stayAwake: nothing, keep: nothing, kept: nothing };
// Short text doesn't get there (see text.js), and none is long here but in tests.
export const utf8 = undefined;
export const { monotonicClock, output, random, wallClock } = watched({
  monotonicClock: { now: () => BigInt(now()) * 1000000n },
  output: { print: nothing, error: nothing, panic: nothing },
  random: { getRandomBytes: (count) => new Uint8Array(count).fill(7) },
  wallClock: { now: () => ({ seconds: Math.floor(now() / 1000), nanoseconds: 0 }) },
});
