/** Sees to it that nothing is kept for ever: purges left half-way, operations and tombstones that are over, orphans. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../model/log.ts';
import { createBackground } from '../background.ts';
import type { OperationsStorage } from '../deps.ts';
import type { TemporalLink } from '../running/temporal-link.ts';
import { createHours } from './hours.ts';
import { createSweepLease } from './lease.ts';
import { createPending } from './pending.ts';
import type { Removal } from './removal.ts';
import { createVisit } from './visit.ts';
import { createWalk } from './walk.ts';
import type { WorkflowRuns } from './workflow-runs.ts';

export interface SweeperDeps {
  readonly storage: Pick<OperationsStorage, 'store' | 'records'>;
  readonly removal: Removal;
  readonly workflowRuns: WorkflowRuns;
  readonly link: TemporalLink;
  readonly settings: { readonly retentionMs: number; readonly reconcileIntervalMs: number };
  readonly log: Log;
  /** Epoch ms; absent: the clock. */
  readonly now?: () => number;
}

export interface Sweeper {
  start(): void;
  /** Resolves when the step at work has ended. */
  stop(): Promise<void>;
}

/** Folders that the walk goes through between two looks at what is urgent. */
const WALK_STEPS = 8;

export function createSweeper(deps: SweeperDeps): Sweeper {
  const { storage, settings, log, now = Date.now } = deps;
  const { retentionMs } = settings;
  const visit = createVisit({ storage, removal: deps.removal, retentionMs, log });
  const hours = createHours({ storage, visit, retentionMs });
  const walk = createWalk({ storage, visit, retentionMs, log });
  const finishPending = createPending(deps);
  const lease = createSweepLease(storage.records);
  const background = createBackground(run);
  const { signal } = background;

  async function finishPurges(): Promise<void> {
    if (await lease.take()) await finishPending(signal);
  }

  async function sweep(): Promise<void> {
    if (!(await lease.take())) return;
    const runs = await hours.sweep(now(), { signal, lasts: lease.take });
    if (runs > 0) log('info', 'what was due by its retention has been swept', { runs });
    for (let steps = 0; steps < WALK_STEPS && (await lease.take()) && (await walk.step(now(), signal)); steps++);
  }

  async function loop(pass: () => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      // Processes that start together need not look together.
      const waitMs = settings.reconcileIntervalMs * (1.5 + Math.random());
      await sleep(waitMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      await pass().catch((error: unknown) => {
        if (!signal.aborted) log('warn', 'a pass of the sweep failed; the next one goes on', { error });
      });
    }
  }

  /** What somebody has asked for does not wait for what takes its time. */
  async function run(): Promise<void> {
    await Promise.all([loop(finishPurges), loop(sweep)]);
    await lease.release().catch(() => {});
  }

  return background;
}
