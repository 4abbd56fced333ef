/** Forgets the ledger rows of runs that have ended: what is decided stands in segments, and nobody applies it any more. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../model/database.ts';
import type { Log } from '../../model/log.ts';
import { createEffectsSweep, type EffectsSweep, type StaleRun } from '../../storage/effects.ts';
import { openName } from '../../storage/keys.ts';
import type { Records } from '../../storage/records.ts';

export interface EffectsSweeperDeps {
  readonly database: Database;
  readonly records: Pick<Records, 'readOpen'>;
  readonly log: Log;
  readonly intervalMs?: number;
}

export interface EffectsSweeper {
  /** Resolves when the pass at work has ended. */
  stop(): Promise<void>;
}

const INTERVAL_MS = 60_000;
/** Far longer than a transaction may stay open: none that knows nothing of a row is still to come to its commit. */
const AGE_MS = 10 * 60_000;
const RUNS_MAX = 256;
const ROWS_MAX = 5_000;

/** In every worker: those that meet pass each other by. */
export function startEffectsSweeper(deps: EffectsSweeperDeps): EffectsSweeper {
  const { database, log, intervalMs = INTERVAL_MS } = deps;
  const stopping = new AbortController();
  const sweep = createEffectsSweep(database);

  async function loop(): Promise<void> {
    for (;;) {
      // Workers that start together need not sweep together.
      await sleep(intervalMs * (0.75 + Math.random() / 2), null, { signal: stopping.signal }).catch(() => null);
      if (stopping.signal.aborted) return;
      await sweepOnce(sweep, deps.records, stopping.signal).catch((cause: unknown) =>
        log('debug', 'the batch ledger could not be swept', { cause }),
      );
    }
  }

  const looping = loop();
  return {
    async stop() {
      stopping.abort();
      await looping;
    },
  };
}

/** A run is in work as long as it has its marker, however long it waits or is paused. Resolves to rows deleted. */
export async function sweepOnce(
  sweep: EffectsSweep,
  records: Pick<Records, 'readOpen'>,
  signal: AbortSignal,
  ageMs: number = AGE_MS,
): Promise<number> {
  let rows = 0;
  for (const run of await sweep.stale(ageMs, RUNS_MAX)) {
    if ((await records.readOpen(openName(run.uid, run.run))) === null) rows += await forget(sweep, run, signal);
  }
  return rows;
}

async function forget(sweep: EffectsSweep, run: StaleRun, signal: AbortSignal): Promise<number> {
  let rows = 0;
  while (!signal.aborted) {
    const deleted = await sweep.forget(run, ROWS_MAX);
    rows += deleted;
    if (deleted < ROWS_MAX) break;
  }
  return rows;
}
