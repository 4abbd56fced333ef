/** `DELETE /v1/operations/{id}`: an ended operation goes, with all that it held; 410 is what is left to be read. */
import { type AppDeps, actorOf } from '../context.ts';
import { readQuery } from '../query.ts';
import { type Guarded, type Handler, needs, operationId } from '../routes.ts';

/** Beside the GET of the same path, which native.ts registers. */
export function purgeRoute(deps: AppDeps): Guarded {
  return needs('control', purgeHandler(deps));
}

/** The same answer however often it is asked for. */
function purgeHandler({ operations }: AppDeps): Handler {
  return async (c) => {
    const id = operationId(c);
    readQuery(c, []);
    await operations.purge(c.get('account'), id, actorOf(c));
    return c.body(null, 204, { 'Cache-Control': 'no-store' });
  };
}
