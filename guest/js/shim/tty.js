// `tty`: nothing is a terminal.
'use strict';

const { absent } = require('./errors.js');

module.exports = absent({ isatty: () => false }, 'tty', ['ReadStream', 'WriteStream']);
