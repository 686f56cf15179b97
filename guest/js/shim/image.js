// The script's top level, run when the image is made that all instances start from.
//
// What it does inside the engine is part of that image. What it prints is kept
// here and printed once, when the server starts; its timers count from the start
// of each instance (timers.js). What it may not have from the image is a value
// that is each instance's own: the clock, randomness. `reads` notes the first such
// read, and the build then leaves the top level to each instance. For the
// environment see environment.js.
'use strict';

// More lines than these (in characters) would be memory of each instance.
const MOST_PRINTED = 64 << 10;

// Packages that read the clock while they load, and only to count how often a function
// of theirs is called (lodash: `shortOut`): whatever it says then, they work the same.
const ONLY_COUNTS = /(^|\/)node_modules\/lodash(-es)?\//;

let making = false;
// Why this top level cannot be part of the image: the first reason.
let reason;
let printed = [];
let size = 0;

// The first frame of the stack that is the script's, as `file:line`.
function whereNow() {
  const [, found] = /^ +at (?:.*\()?((?!hotsocket:)[^()]+:\d+)\)?$/m.exec(new Error().stack) ?? [];
  return found;
}

// Something was read that is not the same in each instance.
function reads(what) {
  if (!making || reason !== undefined) return;
  const where = whereNow();
  if (what.startsWith('the clock') && ONLY_COUNTS.test(where)) return;
  reason = `it reads ${what}${where === undefined ? '' : ` (${where})`}`;
}

// The host's functions, noticing those calls. Not `connection`: at this time
// there is none, and a call of it ends the making of the image.
function watched({ monotonicClock, output, random, wallClock }) {
  const line = (stream) => (text) => {
    if (!making) return output[stream](text);
    size += text.length;
    if (size <= MOST_PRINTED) printed.push([stream, text]);
    else reason ??= `it prints more than ${MOST_PRINTED >> 10} KiB`;
  };
  return {
    monotonicClock: { now() { reads('the clock'); return monotonicClock.now(); } },
    output: { print: line('print'), error: line('error'), panic(words) { if (!making) output.panic(words); } },
    random: { getRandomBytes(count) { reads('random bytes'); return random.getRandomBytes(count); } },
    // In milliseconds. In the image 0, so that the same source gives the same bytes.
    wallClock(how) {
      reads(`the clock with ${how}`);
      if (making) return 0;
      const { seconds, nanoseconds } = wallClock.now();
      return Number(seconds) * 1000 + Math.floor(nanoseconds / 1e6);
    },
  };
}

module.exports = {
  reads,
  watched,
  isMaking: () => making,
  // Run it. Gives why it can't be part of the image; undefined if it can.
  make(task) {
    making = true;
    try {
      task();
    } finally {
      making = false;
    }
    return reason;
  },
  printed: () => printed,
};
