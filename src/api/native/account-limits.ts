/** `GET /v1/limits`: how much the caller's account may have going on, and what is left of it. */
import type { ApiApp, AppDeps } from '../context.ts';
import { readQuery } from '../query.ts';
import { rateLimitHeaders } from '../rate-limit-headers.ts';
import { VARY } from '../render.ts';
import { addRoute, type Handler, needs } from '../routes.ts';

export function addAccountLimits(app: ApiApp, deps: AppDeps): void {
  addRoute(app, '/v1/limits', { GET: needs('read', limitsHandler(deps)) });
}

/** An account without limits gets an empty list. */
function limitsHandler({ operations }: AppDeps): Handler {
  return async (c) => {
    readQuery(c, []);
    const account = c.get('account');
    const limits = await operations.limits(account);
    const headers = { 'Cache-Control': 'private, no-store', Vary: VARY, ...rateLimitHeaders(limits) };
    return c.json({ account, limits }, 200, headers);
  };
}
