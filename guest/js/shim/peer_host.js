// `hotsocket:peer`, and nothing else: for a script that asks who the peer is. At build
// time a trial run puts `peer_trial.js` in its place.
import peer from 'hotsocket:peer/peer@0.1.0';

export { peer };
