/** The probes: is the process alive, may it get traffic, and which part is at fault. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isAllowed } from '../model/access.ts';
import type { Health } from '../operations/operations.ts';
import type { ApiApp, ApiContext, AppDeps } from './context.ts';
import { addRoute, type Handler, needs } from './routes.ts';

export function addHealth(app: ApiApp, deps: AppDeps): void {
  // Alive = the event loop turns; it asks nobody, so that a restart never answers for somebody else's outage.
  addRoute(app, '/health/live', { GET: needs('public', (c) => c.json({ status: 'ok' }, 200, NO_STORE)) });
  addRoute(app, '/health', { GET: needs('public', async (c) => answer(c, await check(deps), false)) });
  addRoute(app, '/health/ready', { GET: needs('public', async (c) => answer(c, await check(deps), false)) });
  addRoute(app, '/health/detailed', { GET: needs('public', detailedHandler(deps)) });
}

const NO_STORE = { 'Cache-Control': 'no-store' } as const;

function answer(c: ApiContext, health: Health, detailed: boolean): Response {
  const status = health.ok ? 'ok' : 'unavailable';
  return c.json(detailed ? { status, parts: health.parts } : { status }, health.ok ? 200 : 503, NO_STORE);
}

/** Which part is at fault is everybody's to see; why, with the names of hosts and folders, is the operators'. */
function detailedHandler(deps: AppDeps): Handler {
  return async (c) => {
    const [health, shown] = await Promise.all([check(deps), mayKnowWhy(c)]);
    if (shown) return answer(c, health, true);
    const parts = Object.entries(health.parts).map(([name, { ok, tookMs }]) => [name, { ok, tookMs }]);
    return c.json(
      { status: health.ok ? 'ok' : 'unavailable', parts: Object.fromEntries(parts) },
      health.ok ? 200 : 503,
      NO_STORE,
    );
  };
}

/** A probe signs in nowhere: that it did not is no error. */
async function mayKnowWhy(c: ApiContext): Promise<boolean> {
  try {
    await c.get('enter')(c, 'read');
    const { subject, roles } = c.get('caller');
    return subject === null || isAllowed(roles, 'any_account');
  } catch {
    return false;
  }
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
