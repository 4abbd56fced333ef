/** What every handler of the api room is given: its dependencies, and the shape of Hono's context. */
import type { HttpBindings } from '@hono/node-server';
import type { Context, Hono } from 'hono';
import type { Caller, Permission } from '../model/access.ts';
import type { Log } from '../model/log.ts';
import type { ApiKeys } from '../operations/api-keys.ts';
import type { Actor, Operations } from '../operations/operations.ts';
import type { BulkActionLimits } from './bulk-actions/bulk-actions.ts';
import type { ApiLimits } from './limits.ts';
import type { SignIn } from './sign-in/sign-in.ts';

export interface AppDeps {
  readonly operations: Operations;
  readonly log: Log;
  /** Who may come in, and for which account. */
  readonly signIn: SignIn;
  /** null: there is no database to keep them in. */
  readonly apiKeys: ApiKeys | null;
  readonly limits: ApiLimits;
  /** False while the process starts or drains: then it is alive but not ready. */
  readonly ready: () => boolean;
  /** Of `/product/bulk`, whose clients send no key: an identical body within it is the same request; 0 = never. */
  readonly keylessReplayWindowMs: number;
  /** Of `/bulk-actions`; absent = none. */
  readonly bulkActions?: BulkActionLimits;
  /** What clients call us, e.g. `https://bulk.example.com`; null: what their Host header says. */
  readonly publicUrl: string | null;
  /** Aborted when the server closes: whoever waits answers now. */
  readonly closing: AbortSignal;
}

/** What a route asks of its caller; `public`: nothing, nobody is looked at. */
export type RouteAccess = Permission | 'public';

export type ApiEnv = {
  Bindings: Partial<HttpBindings>;
  Variables: {
    requestId: string;
    traceId: string;
    /** Sets `caller` and `account`, or throws `unauthenticated` or `forbidden`. Called by `addRoute`, before the handler. */
    enter: (c: ApiContext, access: RouteAccess) => Promise<void>;
    /** Who is asking; on every route that is not public. */
    caller: Caller;
    /** `caller.account`: the one that everything the handler touches belongs to. */
    account: string;
  };
};
export type ApiContext = Context<ApiEnv>;
export type ApiApp = Hono<ApiEnv>;

/** Who does it, for the audit trail. */
export function actorOf(c: ApiContext): Actor {
  return { subject: c.get('caller').subject, traceId: c.get('traceId') };
}

/** Node's side of the request; empty under `app.request()`, where Hono leaves `env` undefined whatever its type says. */
export function connectionOf(c: ApiContext): Partial<HttpBindings> {
  return c.env ?? {};
}

/** The path for the log: without the token of a callback, which whoever reads it could use, and bounded. */
export function pathForLog(c: ApiContext): string {
  return c.req.path.replace(/(\/callbacks\/).*/, '$1…').slice(0, 200);
}
