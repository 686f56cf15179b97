// `hotsocket:tls`, and nothing else: for a script that has TLS begin. At build time a trial
// run puts `start_tls_trial.js` in its place.
import upgrade from 'hotsocket:tls/upgrade@0.1.0';

export { upgrade };
