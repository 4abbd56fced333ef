/** Registers a path with all its methods at once, so that every other method gets 405 with `Allow`. */
import { TrancheError } from '../model/errors.ts';
import type { ApiApp, ApiContext } from './context.ts';
import { answerMethodNotAllowed } from './errors.ts';

export type Handler = (c: ApiContext) => Response | Promise<Response>;

export function addRoute(app: ApiApp, path: string, handlers: { readonly [method in 'GET' | 'POST']?: Handler }): void {
  const allow: string[] = [];
  for (const [method, handler] of Object.entries(handlers)) {
    app.on(method, path, handler);
    // Hono answers HEAD from the GET handler and drops the body.
    allow.push(...(method === 'GET' ? ['GET', 'HEAD'] : [method]));
  }
  app.all(path, (c) => answerMethodNotAllowed(c, allow.join(', ')));
}

const OPERATION_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

/** The `:id` of the path. What cannot be an id is not found, like any id that is not there. */
export function operationId(c: ApiContext): string {
  const id = c.req.param('id');
  if (id === undefined || !OPERATION_ID.test(id)) throw operationNotFound();
  return id;
}

export function operationNotFound(): TrancheError {
  return new TrancheError('not_found', 'There is no such operation.');
}
