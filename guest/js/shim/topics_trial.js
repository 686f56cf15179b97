// Stands in for `topics_host.js` when `build` runs the script's top level once: there is
// no connection yet.
const nothing = () => {};

export const topics = { subscribe: nothing, unsubscribe: nothing, publish: nothing, subscribers: () => 0n, setWill: nothing };
