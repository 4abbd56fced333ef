/** Goes through the hours whose ends are due, once for what expires and once more for tombstones that are over. */
import { setTimeout as sleep } from 'node:timers/promises';
import { endedPrefix, type RunName, readRunName } from '../../storage/keys.ts';
import { mapBounded } from '../deadline.ts';
import type { OperationsStorage } from '../deps.ts';
import type { Visit } from './visit.ts';

export interface HoursDeps {
  readonly storage: Pick<OperationsStorage, 'store' | 'records'>;
  readonly visit: Visit;
  readonly retentionMs: number;
  /** Runs visited per second: a sweep must not keep the store from those who wait for it. */
  readonly runsPerSecondMax?: number;
}

/** Epoch ms of the first hour that is not done yet. */
interface Cursors {
  readonly version: 1;
  readonly expire: number;
  readonly forget: number;
}

export interface Hours {
  /** All that is due by now. Resolves to the runs visited; goes on there where it is stopped or the store fails. */
  sweep(nowMs: number, turn: Turn): Promise<number>;
}

/** While it lasts, this process sweeps. */
export interface Turn {
  readonly signal: AbortSignal;
  /** False: another process does now. */
  lasts(): Promise<boolean>;
}

const HOUR_MS = 3_600_000;
/** Where nobody has swept yet: what is older is found by the walk. */
const FIRST_LOOK_BACK_MS = 48 * HOUR_MS;
const BATCH = 64;
const CONCURRENCY = 8;
/** An hour at 1,000 operations a minute is done in four minutes. */
const RUNS_PER_SECOND_MAX = 250;

export function createHours({ storage, visit, retentionMs, runsPerSecondMax }: HoursDeps): Hours {
  const { store, records } = storage;
  const batchMs = (1_000 * BATCH) / (runsPerSecondMax ?? RUNS_PER_SECOND_MAX);
  let known: Cursors | null = null;

  /** `forget`: at the second visit the marker goes, or stands anew under the hour that its tombstone counts from. */
  async function visitRun(key: string, pass: 'expire' | 'forget', nowMs: number): Promise<void> {
    const name = readRunName(key);
    const visited = name === null ? 'nothing' : await visit(name, nowMs);
    if (visited === 'tombstone' && pass === 'forget' && name !== null) await markAnew(name);
    if (visited === 'nothing' || pass === 'forget') await store.delete(key);
  }

  /** It was purged late. Of an operation that still stands, a later run's marker stands as well. */
  async function markAnew(name: RunName): Promise<void> {
    const standing = await records.readStanding(name.account, name.id);
    const tombstone = standing?.tombstone;
    if (tombstone?.uid !== name.uid) return;
    await records.markEnded({ ...name, run: tombstone.run }, Date.parse(tombstone.purgedAt));
  }

  async function sweepHour(hour: number, pass: 'expire' | 'forget', nowMs: number, { signal, lasts }: Turn) {
    let runs = 0;
    let batch: string[] = [];
    const flush = async () => {
      if (signal.aborted || !(await lasts())) throw new Error('this turn to sweep is over');
      const pace = sleep(batch.length === BATCH ? batchMs : 0, undefined, { signal });
      pace.catch(() => {});
      await mapBounded(batch, CONCURRENCY, (key) => visitRun(key, pass, nowMs));
      runs += batch.length;
      batch = [];
      await pace;
    };
    for await (const { key } of store.list(endedPrefix(hour), { signal })) {
      batch.push(key);
      if (batch.length === BATCH) await flush();
    }
    await flush();
    if (pass === 'forget') await deleteFolders(hour);
    return runs;
  }

  async function deleteFolders(hour: number): Promise<void> {
    const prefix = endedPrefix(hour);
    await store.deleteEmpty(prefix);
    // The day's, once its last hour is gone.
    await store.deleteEmpty(prefix.slice(0, prefix.lastIndexOf('/', prefix.length - 2) + 1));
  }

  return {
    async sweep(nowMs, turn) {
      const due = { forget: floor(nowMs - 2 * retentionMs), expire: floor(nowMs - retentionMs) };
      if (known !== null && known.expire >= due.expire && known.forget >= due.forget) return 0;
      let cursors: Cursors = (await records.readSweep<Cursors>('hours')) ?? firstCursors(due);
      let runs = 0;
      // What is over goes first: it takes no write, so it works on a full disk, too.
      for (const pass of ['forget', 'expire'] as const) {
        for (let hour = cursors[pass]; hour < due[pass]; hour += HOUR_MS) {
          const found = await sweepHour(hour, pass, nowMs, turn);
          cursors = { ...cursors, [pass]: hour + HOUR_MS };
          // An hour without any is as quickly gone through again.
          if (found > 0) await records.putSweep('hours', cursors);
          runs += found;
        }
      }
      await records.putSweep('hours', cursors);
      known = cursors;
      return runs;
    },
  };
}

/** An hour is due as a whole. */
function floor(ms: number): number {
  return Math.floor(ms / HOUR_MS) * HOUR_MS;
}

function firstCursors(due: Omit<Cursors, 'version'>): Cursors {
  return { version: 1, expire: due.expire - FIRST_LOOK_BACK_MS, forget: due.forget - FIRST_LOOK_BACK_MS };
}
