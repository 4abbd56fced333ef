/** Registers a path with all its methods at once, each with what it takes to be let in; every other method gets 405 with `Allow`. */
import { TrancheError } from '../model/errors.ts';
import type { ApiApp, ApiContext, RouteAccess } from './context.ts';
import { answerMethodNotAllowed } from './errors.ts';

export type Handler = (c: ApiContext) => Response | Promise<Response>;
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** A handler and who may call it: `addRoute` takes nothing else, so that no route can forget to say so. */
export interface Guarded {
  readonly access: RouteAccess;
  readonly handler: Handler;
}

/** What was registered, for tests that walk every route. */
export interface Route {
  readonly method: Method;
  readonly path: string;
  readonly access: RouteAccess;
}

const registered = new WeakMap<ApiApp, Route[]>();

/**
 * `public`: nobody signs in; `caller` and `account` are then not there.
 * @example addRoute(app, '/v1/operations', { GET: needs('read', list), POST: needs('submit', submit) })
 */
export function needs(access: RouteAccess, handler: Handler): Guarded {
  return { access, handler };
}

export function addRoute(app: ApiApp, path: string, handlers: { readonly [method in Method]?: Guarded }): void {
  const allow: string[] = [];
  for (const [method, { access, handler }] of Object.entries(handlers)) {
    app.on(method, path, async (c) => {
      await c.get('enter')(c, access);
      return await handler(c);
    });
    routesOf(app).push({ method: method as Method, path, access });
    // Hono answers HEAD from the GET handler and drops the body.
    allow.push(...(method === 'GET' ? ['GET', 'HEAD'] : [method]));
  }
  app.all(path, (c) => answerMethodNotAllowed(c, allow.join(', ')));
}

export function routesOf(app: ApiApp): Route[] {
  const routes = registered.get(app) ?? [];
  registered.set(app, routes);
  return routes;
}

const OPERATION_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

/** The `:id` of the path. What cannot be an id is not found, like any id that is not there. */
export function operationId(c: ApiContext): string {
  return asOperationId(c.req.param('id') ?? '');
}

export function asOperationId(text: string): string {
  if (!OPERATION_ID.test(text)) throw operationNotFound();
  return text;
}

export function operationNotFound(): TrancheError {
  return new TrancheError('not_found', 'There is no such operation.');
}
