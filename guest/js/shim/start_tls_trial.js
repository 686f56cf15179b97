// Stands in for `start_tls_host.js` when `build` runs the script's top level once: there is
// no connection yet.
export const upgrade = { canStartTls: () => false, startTls() {} };
