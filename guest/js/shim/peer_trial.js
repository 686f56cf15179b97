// Stands in for `peer_host.js` when `build` runs the script's top level once: there is no
// connection yet.
const nothing = () => undefined;

export const peer = {
  listener: nothing, tls: nothing, credentials: nothing, proxy: nothing, certificates: () => [],
  socket: () => ({ local: { ip: '', port: 0 }, peer: { ip: '', port: 0 } }),
};
