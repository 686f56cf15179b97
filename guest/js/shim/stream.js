// `stream`: Node's own streams, in the npm package readable-stream.
'use strict';

const stream = require('readable-stream/lib/stream.js');

module.exports = stream;
