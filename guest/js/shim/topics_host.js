// `hotsocket:topics`, and nothing else: for a script that uses topics. At build time a
// trial run puts `topics_trial.js` in its place.
import topics from 'hotsocket:topics/topics@0.1.0';

export { topics };
