// The build writes async functions as plain ones (see bundle_script.mjs). For scripts that ask
// whether a function is async, by its constructor or its tag, this answers as Node does.
'use strict';

const PARAMETERS = '(?:[^()]|\\([^()]*\\))*';
const WRITTEN = new RegExp(`^(?:[^()=]*\\(${PARAMETERS}\\)|[\\w$]+)\\s*(?:=>\\s*|\\{\\s*return\\s+)__async(Generator)?\\(`);

// What it was, or undefined.
function kindOf(value) {
  const found = typeof value === 'function' && WRITTEN.exec(Function.prototype.toString.call(value));
  return found ? `Async${found[1] ?? ''}Function` : undefined;
}

const kinds = Object.fromEntries(['AsyncFunction', 'AsyncGeneratorFunction'].map((name) => {
  const kind = function () { throw new Error(`async code that is made of text is not available in a hotsocket guest`); };
  Object.defineProperty(kind, 'name', { value: name });
  Object.defineProperty(kind, Symbol.hasInstance, { value: (value) => kindOf(value) === name });
  return [name, kind];
}));

Object.defineProperty(Function.prototype, 'constructor', {
  configurable: true,
  get() { return kinds[kindOf(this)] ?? Function; },
});
Object.defineProperty(Function.prototype, Symbol.toStringTag, {
  configurable: true,
  get() { return kindOf(this); },
});
