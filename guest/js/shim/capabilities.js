// `socket.hotsocket.setting` and `.log`. Time and random bytes are Node's own
// functions, which show the host's clock and come from the host.
'use strict';

const { environment } = require('./host.js').capabilities;
const { coded } = require('./errors.js');
const lines = require('./console.js');

const LEVELS = ['debug', 'info', 'warn', 'error'];

// What the server was started with for this name (`--set NAME=VALUE`).
function setting(name) {
  return environment.setting(String(name).toWellFormed()) ?? undefined;
}

function valueOf(value) {
  if (typeof value === 'boolean') return { tag: 'boolean', val: value };
  if (Number.isSafeInteger(value)) return { tag: 'integer', val: value };
  if (typeof value === 'number') return { tag: 'number', val: value };
  return { tag: 'text', val: String(value).toWellFormed() };
}

// A line with a level and fields. What a successor's connection callback logs was
// logged when the connection opened.
function log(level, message, fields = {}) {
  if (!LEVELS.includes(level)) {
    throw coded(TypeError, 'ERR_INVALID_ARG_VALUE', `socket.hotsocket.log: the level must be one of ${LEVELS.join(', ')}`);
  }
  if (lines.isMuted()) return;
  const list = Object.entries(fields).slice(0, 32);
  environment.log(level, String(message).toWellFormed(),
    list.map(([name, value]) => ({ name: name.toWellFormed(), value: valueOf(value) })));
}

module.exports = { setting, log };
