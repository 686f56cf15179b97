// Stands in for `host.js` when `build` runs the script's top level once, to see
// whether it starts and which port it listens on. Nothing is printed.
const nowhere = { ip: '', port: 0 };
const nothing = () => {};

export const connection = {
  info: () => ({ id: 0, local: nowhere, peer: nowhere }),
  write() { throw { payload: { tag: 'closed' } }; },
  end: nothing,
  abort: nothing,
  holdOpen: nothing,
  setTimer: nothing,
  clearTimer: nothing,
};
export const output = { print: nothing, error: nothing, panic: nothing };
export const environment = { getEnvironment: () => [] };
export const monotonicClock = { now: () => BigInt(Date.now()) * 1000000n };
export const capabilities = {
  environment: { setting: nothing, log: nothing },
  session: { pause: nothing, resume: nothing, checkpoint: nothing, label: nothing },
};
export const hibernation = { stayAwake: nothing, keep: nothing, kept: nothing };
// Short text doesn't get there (see text.js), and none is long here but in tests.
export const utf8 = undefined;
export const random = { getRandomBytes: (count) => new Uint8Array(count).fill(7) };
