// Stands in for `store_host.js` when `build` runs the script's top level once.
import { reads } from './image.js';

export function open() {
  reads('the store');
  throw new Error('the store is not there while the component is made');
}
export const atomics = undefined;
export const batch = undefined;
export const store = undefined;
