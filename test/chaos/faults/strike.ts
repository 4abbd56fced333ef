/** Does to the stack what the plan says, for as long as it says, and tells what was done from when to when. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_SETTINGS, type SettingsChange } from '../../../src/mock-vendor/settings.ts';
import type { Fault, FaultKind } from '../../check/history.ts';
import { createVendor } from '../../fixtures/stack/vendor.ts';
import type { ChaosStack } from '../stack/stack.ts';
import type { PlannedFault, Strike } from './plan.ts';

export interface StrikeDeps {
  readonly stack: ChaosStack;
  /** How a vendor behaves when nothing is wrong with it. */
  readonly vendorBaseline: SettingsChange;
  readonly record: (fault: Fault) => void;
  /** Called as each begins. */
  readonly tell: (line: string) => void;
}

export const nowMs = (): number => performance.timeOrigin + performance.now();

/** Resolves when the last one is over. After an abort nothing new begins, and what lasts ends at once. */
export async function strikeAll(plan: readonly PlannedFault[], deps: StrikeDeps, signal: AbortSignal): Promise<void> {
  const startedAt = performance.now();
  const running: Promise<void>[] = [];
  for (const planned of plan) {
    await pause(startedAt + planned.atMs - performance.now(), signal);
    if (signal.aborted) break;
    running.push(strikeOnce(planned, deps, signal));
  }
  await Promise.all(running);
}

async function strikeOnce({ strike, forMs, atMs }: PlannedFault, deps: StrikeDeps, signal: AbortSignal): Promise<void> {
  const fromMs = nowMs();
  deps.tell(`${(atMs / 1_000).toFixed(1)} s, for ${forMs} ms: ${describe(strike)}`);
  const end = await begin(strike, forMs, deps);
  await pause(forMs, signal);
  await end();
  const what = kindOf(strike);
  for (const whom of whomOf(strike))
    deps.record({ kind: 'fault', what, whom, fromMs, toMs: nowMs(), detail: describe(strike) });
}

/** Resolves once it has begun, with how to end it. */
async function begin(strike: Strike, forMs: number, deps: StrikeDeps): Promise<() => Promise<void>> {
  const { stack, vendorBaseline } = deps;
  const over = async (): Promise<void> => {};
  switch (strike.do) {
    case 'kill':
      stack.processes.get(strike.whom)?.kill();
      return over;
    case 'freeze':
      stack.processes.get(strike.whom)?.freeze(forMs);
      return over;
    case 'kill_temporal':
      stack.temporal.kill();
      return over;
    case 'freeze_temporal':
      stack.temporal.freeze(forMs);
      return over;
    case 'kill_database':
      await stack.postgres.kill();
      return () => stack.postgres.start();
    case 'restart_database':
      await stack.postgres.stop();
      return () => stack.postgres.start();
    case 'link':
    case 'store':
      await stack.links.setFault(strike.whom, strike.fault);
      return () => stack.links.setFault(strike.whom, null);
    case 'disk':
      await Promise.all(strike.whom.map((name) => stack.setDiskFault(name, strike.fault)));
      return async () => void (await Promise.all(strike.whom.map((name) => stack.setDiskFault(name, null))));
    case 'vendor': {
      const vendor = createVendor(`${stack.vendorUrl}${strike.whom === 'products' ? '' : `/${strike.whom}`}`);
      await vendor.configure(strike.change);
      return () => vendor.configure(wholeBaseline(vendorBaseline));
    }
  }
}

/** Members that the baseline does not name go back, too; `seed` would restart the vendor's chance. */
export function wholeBaseline(baseline: SettingsChange): SettingsChange {
  const { seed: _seed, ...rest } = { ...DEFAULT_SETTINGS, ...baseline };
  return rest;
}

export function describe(strike: Strike): string {
  switch (strike.do) {
    case 'link':
    case 'store':
      return `${strike.do} ${strike.whom} ${JSON.stringify(strike.fault)}`;
    case 'disk':
      return `disk of ${strike.whom.join(', ')} ${JSON.stringify(strike.fault)}`;
    case 'vendor':
      return `vendor ${strike.whom} ${JSON.stringify(strike.change)}`;
    case 'kill':
    case 'freeze':
      return `${strike.do} ${strike.whom}`;
    default:
      return strike.do;
  }
}

/** By name in the results: which kind of fault this was. */
export function nameOf(strike: Strike): string {
  if (strike.do === 'kill' || strike.do === 'freeze') return `${strike.do} ${strike.whom.replace(/-\d$/, '')}`;
  if (strike.do === 'link') return `link ${strike.fault.kind}`;
  if (strike.do === 'store') return strike.fault.kind === 'http' ? `S3 ${strike.fault.what}` : 'S3';
  if (strike.do === 'disk') return `disk ${strike.fault.kind}`;
  return strike.do === 'vendor' ? `vendor ${Object.keys(strike.change)[0]}` : strike.do.replace('_', ' ');
}

function kindOf(strike: Strike): FaultKind {
  switch (strike.do) {
    case 'kill':
    case 'freeze':
      return strike.whom.startsWith('api') ? 'api' : 'worker';
    case 'kill_temporal':
    case 'freeze_temporal':
      return 'temporal';
    case 'kill_database':
    case 'restart_database':
      return 'database';
    case 'store':
    case 'disk':
      return 'store';
    case 'vendor':
      return 'vendor';
    case 'link':
      return linkKind(strike.whom);
  }
}

function linkKind(link: string): FaultKind {
  const [from, to] = link.split('→');
  if (from === 'client') return 'link_client';
  if (from === 'vendor') return 'link_callback';
  if (to === 'temporal') return 'link_temporal';
  if (to === 'store') return 'link_store';
  return to === 'database' ? 'link_database' : 'link_vendor';
}

function whomOf(strike: Strike): readonly string[] {
  if (strike.do === 'disk') return strike.whom;
  if ('whom' in strike) return [strike.whom];
  return [strike.do.endsWith('temporal') ? 'temporal' : 'database'];
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await sleep(ms, undefined, { signal }).catch(() => undefined);
}
