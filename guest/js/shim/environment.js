// `process.env`: what `hotsocket serve --env` grants, asked for when it is first needed.
//
// In the image (see image.js) nothing of it is set, and the names that the top level
// reads are noted. An instance in whose environment one of them is set runs the top
// level itself.
'use strict';

const { environment } = require('./host.js');
const image = require('./image.js');

// The names that were read for the image; `all` if it has listed them.
const read = new Set();
let all = false;

const variables = {};
// What the script has set or deleted in the image: it keeps.
const changed = new Map();
let isFilled = false;

function fill() {
  if (isFilled) return;
  isFilled = true;
  Object.assign(variables, Object.fromEntries(environment.getEnvironment()));
  for (const [name, value] of changed) {
    if (value === undefined) delete variables[name];
    else variables[name] = value;
  }
}

function reading(name) {
  if (!image.isMaking()) return fill();
  if (name === undefined) all = true;
  else if (typeof name === 'string' && !changed.has(name)) read.add(name);
}

function changing(name, value) {
  if (image.isMaking()) changed.set(name, value);
  else fill();
}

// A script may keep the object that the image has given it.
const watched = new Proxy(variables, {
  get(target, name) { reading(name); return target[name]; },
  has(target, name) { reading(name); return name in target; },
  ownKeys(target) { reading(); return Reflect.ownKeys(target); },
  getOwnPropertyDescriptor(target, name) { reading(name); return Reflect.getOwnPropertyDescriptor(target, name); },
  set(target, name, value) { changing(name, value); target[name] = value; return true; },
  defineProperty(target, name, how) { changing(name, how.value); return Reflect.defineProperty(target, name, how); },
  deleteProperty(target, name) { changing(name, undefined); return delete target[name]; },
});

module.exports = {
  variables: () => watched,
  // Whether the top level would have read in this instance what it read for the image.
  isAsInImage() {
    if (read.size === 0 && !all) return true;
    const here = environment.getEnvironment();
    return all ? here.length === 0 : here.every(([name]) => !read.has(name));
  },
  // The top level runs again.
  forget() {
    for (const [name, value] of changed) if (value !== undefined) delete variables[name];
    changed.clear();
  },
};
