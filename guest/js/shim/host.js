// The host's functions, and nothing else: the only file that names the
// contract. At build time a trial run puts `trial.js` in its place.
import connection from 'hotsocket:socket/connection@0.1.0';
import output from 'hotsocket:socket/output@0.1.0';
import environment from 'wasi:cli/environment@0.2.0';
import random from 'wasi:random/random@0.2.0';

export { connection, environment, output, random };
