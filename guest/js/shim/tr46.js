// What whatwg-url asks of npm's tr46, without its tables (a third of a megabyte): a
// host name in other scripts is lower-cased, composed and written in Punycode, and the
// few characters that are mapped to others stay.
'use strict';

const punycode = require('punycode-from-npm');

function toASCII(name) {
  if (/^[\0-\x7f]*$/.test(name)) return name.toLowerCase();
  try {
    return punycode.toASCII(name.normalize('NFKC').toLowerCase());
  } catch {
    return null;
  }
}

module.exports = {
  toASCII,
  toUnicode: (name) => ({ domain: punycode.toUnicode(name), error: false }),
};
