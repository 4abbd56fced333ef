/** Where asynchronous vendors bring their answers. The token in the path is all that is asked of them. */
import type { ApiApp, AppDeps } from '../context.ts';
import { addRoute, type Handler, needs } from '../routes.ts';
import { readSmallBody } from '../small-body.ts';

const BODY_BYTES_MAX = 64 * 1024;

export function addCallbacks(app: ApiApp, deps: AppDeps): void {
  addRoute(app, '/v1/vendors/:vendor/callbacks/:token', { POST: needs('public', takeHandler(deps)) });
}

/** Late and double answers get the same 204: the vendor has nothing to do again. */
function takeHandler({ operations }: AppDeps): Handler {
  return async (c) => {
    const body = await readSmallBody(c, BODY_BYTES_MAX);
    await operations.takeCallback(c.req.param('vendor') ?? '', c.req.param('token') ?? '', body);
    return c.body(null, 204);
  };
}
