/** Every target that the service has: one line each. */
export { contacts } from './contacts.ts';
export { noop } from './noop.ts';
export { products } from './products.ts';
export { async, sync } from './vendor-jobs.ts';
