// `path`: npm's path-browserify, which is Node's own for POSIX.
'use strict';

const path = require('path-browserify');
const { absent } = require('./errors.js');

path.toNamespacedPath ??= (name) => name;
path.win32 ??= absent({}, 'path.win32', ['join', 'resolve', 'normalize', 'basename', 'dirname', 'relative']);

module.exports = path;
