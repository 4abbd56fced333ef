/** What every handler of the api room is given: its dependencies, and the shape of Hono's context. */
import type { HttpBindings } from '@hono/node-server';
import type { Context, Hono } from 'hono';
import type { Log } from '../model/log.ts';
import type { Operations } from '../operations/operations.ts';
import type { ApiLimits } from './limits.ts';

export interface AppDeps {
  readonly operations: Operations;
  readonly log: Log;
  readonly limits: ApiLimits;
  /** False while the process starts or drains: then it is alive but not ready. */
  readonly ready: () => boolean;
  /** Of `/product/bulk`, whose clients send no key: an identical body within it is the same request; 0 = never. */
  readonly keylessReplayWindowMs: number;
  /** What clients call us, e.g. `https://bulk.example.com`; null: what their Host header says. */
  readonly publicUrl: string | null;
  /** Aborted when the server closes: whoever waits answers now. */
  readonly closing: AbortSignal;
}

export type ApiEnv = {
  Bindings: Partial<HttpBindings>;
  Variables: { requestId: string; traceId: string; account: string };
};
export type ApiContext = Context<ApiEnv>;
export type ApiApp = Hono<ApiEnv>;

/** Node's side of the request; empty under `app.request()`, where Hono leaves `env` undefined whatever its type says. */
export function connectionOf(c: ApiContext): Partial<HttpBindings> {
  return c.env ?? {};
}
