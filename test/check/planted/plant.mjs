/**
 * Loaded before a process under test (`--import`): puts one of our modules in the place of one of the service's, so that
 * a fault is really there in the running service, and no line of the service knows of it.
 */
import { registerHooks } from 'node:module';

/** What is replaced, by what. The replacement still sees the real one. */
const REPLACED = new Map([
  ['/src/storage/open-store.ts', './open-store.ts'],
  ['/src/storage/records.ts', './records.ts'],
  ['/src/vendors/client.ts', './vendor-client.ts'],
]);
const TEMPORAL_CLIENT = '@temporalio/client';

registerHooks({
  resolve(specifier, context, next) {
    const isOurs = context.parentURL?.includes('/test/check/planted/') === true;
    const isService = context.parentURL?.includes('/src/') === true && !context.parentURL.includes('/node_modules/');
    if (isOurs || !isService) return next(specifier, context);
    if (specifier === TEMPORAL_CLIENT) return next(new URL('./temporal-client.ts', import.meta.url).href, context);
    const resolved = next(specifier, context);
    for (const [place, replacement] of REPLACED) {
      if (resolved.url.endsWith(place)) return next(new URL(replacement, import.meta.url).href, context);
    }
    return resolved;
  },
});
