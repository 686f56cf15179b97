// A class of the web's that there is not: things may be asked whether they are of it, and
// none is; making one throws.
'use strict';

module.exports = (name) => {
  function Absent() { throw new Error(`${name} is not available in a hotsocket guest`); }
  return Object.defineProperty(Absent, 'name', { value: name });
};
