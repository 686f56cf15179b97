// Stands in for `files.js` when `build` runs the script's top level once.
import { reads } from './image.js';

export function directories() {
  reads('a file');
  return [];
}
