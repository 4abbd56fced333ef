/** What the worker bundles. */
export { chunk } from './chunk.ts';
export { operation } from './operation.ts';
