// `wasi:keyvalue` and `hotsocket:store`, and nothing else: for a script that asks for the
// module `hotsocket`. At build time a trial run puts `store_trial.js` in its place.
import atomics from 'wasi:keyvalue/atomics@0.2.0-draft2';
import batch from 'wasi:keyvalue/batch@0.2.0-draft2';
import keyvalue from 'wasi:keyvalue/store@0.2.0-draft2';
import store from 'hotsocket:store/store@0.1.0';
import { isMaking, reads } from './image.js';

// The handle of a bucket. No instance has one from the image.
export function open(name) {
  reads('the store');
  if (isMaking()) throw new Error('the store is not there while the component is made');
  return keyvalue.open(name);
}
export { atomics, batch, store };
