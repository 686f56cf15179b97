// The methods of a console, for two functions that print lines: what `console` and
// `new console.Console(…)` have in common.
'use strict';

const { formatWithOptions, inspect } = require('node-inspect-extracted');

const duration = (time) => {
  if (time < 1000) return `${Number(time.toFixed(3))}ms`;
  const seconds = Math.floor(time / 1000);
  const two = (number) => String(number).padStart(2, '0');
  if (seconds < 60) return `${(time / 1000).toFixed(3)}s`;
  const rest = `${two(seconds % 60)}${(time % 1000 / 1000).toFixed(3).slice(1)}`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}:${rest} (m:ss.mmm)`;
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)} (h:mm:ss)`;
};

// A table with lines around its cells.
function table(head, columns) {
  const width = (text) => [...text].length;
  const widths = head.map((name, at) => Math.max(width(name), ...columns[at].map(width)) + 2);
  const cell = (text, at) => ` ${text}${' '.repeat(widths[at] - width(text) - 1)}`;
  const row = (cells) => `│${cells.map(cell).join('│')}│`;
  const rule = (left, middle, right) => left + widths.map((count) => '─'.repeat(count)).join(middle) + right;
  const rows = Math.max(0, ...columns.map(({ length }) => length));
  return [
    rule('┌', '┬', '┐'), row(head), rule('├', '┼', '┤'),
    ...Array.from({ length: rows }, (_, at) => row(columns.map((column) => column[at] ?? ''))),
    rule('└', '┴', '┘'),
  ].join('\n');
}

const shown = (value) => inspect(value, {
  maxArrayLength: 3, breakLength: Infinity,
  depth: value !== null && typeof value === 'object' && !Array.isArray(value) && Object.keys(value).length > 2 ? -1 : 0,
});

function rowsOf(data) {
  if (data instanceof Map) return { index: '(iteration index)', rows: [...data].map(([key, value], at) => [String(at), value, key]), isMap: true };
  if (data instanceof Set) return { index: '(iteration index)', rows: [...data].map((value, at) => [String(at), value]) };
  return { index: '(index)', rows: Object.keys(data).map((key) => [key, data[key]]) };
}

function tableOf(data, properties) {
  const { index, rows, isMap } = rowsOf(data);
  if (isMap) {
    return table([index, 'Key', 'Values'], [rows.map(([key]) => key), rows.map(([, , key]) => shown(key)), rows.map(([, value]) => shown(value))]);
  }
  const columns = new Map(properties?.map((name) => [name, []]));
  const values = [];
  let plain = false;
  rows.forEach(([, value], at) => {
    const isPrimitive = value === null || (typeof value !== 'function' && typeof value !== 'object');
    if (isPrimitive) {
      plain = true;
      values[at] = shown(value);
      return;
    }
    for (const key of properties ?? Object.keys(value)) {
      if (!columns.has(key)) columns.set(key, []);
      if (Object.prototype.hasOwnProperty.call(value, key)) columns.get(key)[at] = shown(value[key]);
    }
  });
  const full = (cells) => Array.from({ length: rows.length }, (_, at) => cells[at] ?? '');
  const head = [index, ...columns.keys()];
  const cells = [rows.map(([key]) => key), ...[...columns.values()].map(full)];
  if (plain) {
    head.push('Values');
    cells.push(full(values));
  }
  return table(head, cells);
}

function consoleOn(print, error, options = {}) {
  let indent = '';
  const step = ' '.repeat(options.groupIndentation ?? 2);
  const counts = new Map();
  const times = new Map();
  const format = (args) => formatWithOptions(options.inspectOptions ?? {}, ...args);
  const put = (line, args) => {
    let text = format(args);
    if (indent !== '') text = indent + text.replaceAll('\n', `\n${indent}`);
    line(text);
  };
  const missing = (method, label) => process.emitWarning(`No such label '${label}' for console.${method}()`);
  const log = (...args) => put(print, args);
  const elapsed = (label) => duration(performance.now() - times.get(label));
  const methods = {
    log,
    warn: (...args) => put(error, args),
    dir: (value, how) => put(print, [inspect(value, { customInspect: false, ...options.inspectOptions, ...how })]),
    time(label = 'default') {
      label = `${label}`;
      if (times.has(label)) process.emitWarning(`Label '${label}' already exists for console.time()`);
      else times.set(label, performance.now());
    },
    timeEnd(label = 'default') {
      label = `${label}`;
      if (!times.has(label)) return missing('timeEnd', label);
      log('%s: %s', label, elapsed(label));
      times.delete(label);
    },
    timeLog(label = 'default', ...args) {
      label = `${label}`;
      if (!times.has(label)) return missing('timeLog', label);
      log('%s: %s', label, elapsed(label), ...args);
    },
    trace(...args) {
      const stack = new Error().stack.split('\n').slice(1).join('\n');
      put(error, [`Trace${args.length > 0 ? ': ' : ''}${format(args)}\n${stack}`]);
    },
    assert(condition, ...args) {
      if (condition) return;
      args[0] = `Assertion failed${args.length === 0 ? '' : `: ${args[0]}`}`;
      put(error, args);
    },
    clear() {},
    count(label = 'default') {
      label = `${label}`;
      counts.set(label, (counts.get(label) ?? 0) + 1);
      log(`${label}: ${counts.get(label)}`);
    },
    countReset(label = 'default') {
      if (!counts.delete(`${label}`)) process.emitWarning(`Count for '${label}' does not exist`);
    },
    group(...args) {
      if (args.length > 0) log(...args);
      indent += step;
    },
    groupEnd() { indent = indent.slice(step.length); },
    table(data, properties) {
      if (properties !== undefined && !Array.isArray(properties)) {
        throw require('./checks.js').wrongType('properties', 'an instance of Array', properties);
      }
      if (data === null || typeof data !== 'object') return log(data);
      log(tableOf(data, properties));
    },
    profile() {},
    profileEnd() {},
    timeStamp() {},
  };
  return Object.assign(methods, {
    debug: methods.log,
    info: methods.log,
    dirxml: methods.log,
    error: methods.warn,
    groupCollapsed: methods.group,
  });
}

module.exports = { consoleOn };
