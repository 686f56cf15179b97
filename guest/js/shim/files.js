// WASI's files, and nothing else: for a script that asks for `fs`. At build time a trial
// run puts `files_trial.js` in its place.
import preopens from 'wasi:filesystem/preopens@0.2.0';
import { isMaking, reads } from './image.js';

export function directories() {
  // What is there is each server's own, and not the image's.
  reads('a file');
  return isMaking() ? [] : preopens.getDirectories();
}
