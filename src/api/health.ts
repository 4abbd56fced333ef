/** The probes: is the process alive, may it get traffic, and which part is at fault. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Health } from '../operations/operations.ts';
import type { ApiApp, ApiContext, AppDeps } from './context.ts';
import { addRoute, needs } from './routes.ts';

export function addHealth(app: ApiApp, deps: AppDeps): void {
  // Alive = the event loop turns; it asks nobody, so that a restart never answers for somebody else's outage.
  addRoute(app, '/health/live', { GET: needs('public', (c) => c.json({ status: 'ok' }, 200, NO_STORE)) });
  addRoute(app, '/health', { GET: needs('public', async (c) => answer(c, await check(deps), false)) });
  addRoute(app, '/health/ready', { GET: needs('public', async (c) => answer(c, await check(deps), false)) });
  addRoute(app, '/health/detailed', { GET: needs('public', async (c) => answer(c, await check(deps), true)) });
}

const NO_STORE = { 'Cache-Control': 'no-store' } as const;

function answer(c: ApiContext, health: Health, detailed: boolean): Response {
  const status = health.ok ? 'ok' : 'unavailable';
  return c.json(detailed ? { status, parts: health.parts } : { status }, health.ok ? 200 : 503, NO_STORE);
}

/** Never throws and never hangs: a probe's failure is its answer. */
async function check({ operations, ready, log, limits }: AppDeps): Promise<Health> {
  if (!ready()) return failed('process', 'starting or draining', 0);
  const began = performance.now();
  const stop = new AbortController();
  try {
    const late = sleep(limits.healthTimeoutMs, null, { signal: stop.signal, ref: false });
    // Once the probe has answered, the aborted timer rejects and nobody waits for it.
    late.catch(() => {});
    const health = await Promise.race([operations.health(), late]);
    return health ?? failed('probe', 'did not answer in time', performance.now() - began);
  } catch (error) {
    log('error', 'health probe failed', { error });
    return failed('probe', 'failed', performance.now() - began);
  } finally {
    stop.abort();
  }
}

function failed(part: string, detail: string, tookMs: number): Health {
  return { ok: false, parts: { [part]: { ok: false, detail, tookMs: Math.round(tookMs) } } };
}
