/** `GET /v1/targets`: what operations can be on, each with the JSON Schema of its items. */
import type { ApiApp, AppDeps } from '../context.ts';
import { readQuery } from '../query.ts';
import { VARY } from '../render.ts';
import { addRoute, needs } from '../routes.ts';

export function addTargets(app: ApiApp, { operations }: AppDeps): void {
  addRoute(app, '/v1/targets', {
    GET: needs('read', (c) => {
      readQuery(c, []);
      return c.json({ data: operations.targets() }, 200, { 'Cache-Control': 'private, no-cache', Vary: VARY });
    }),
  });
}
