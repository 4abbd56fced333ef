/** What the worker bundles. */
export { chunk } from './chunk.ts';
export { governor } from './governor.ts';
export { operation } from './operation.ts';
