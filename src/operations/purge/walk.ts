/** The net below the hours: goes slowly through all that is stored, and takes what nobody has a marker for. */
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeTime } from 'ulid';
import type { Log } from '../../model/log.ts';
import { dataPrefix, OPEN_PREFIX } from '../../storage/keys.ts';
import type { OperationsStorage } from '../deps.ts';
import { isDamage, type Visit } from './visit.ts';

export interface WalkDeps {
  readonly storage: Pick<OperationsStorage, 'store' | 'records'>;
  readonly visit: Visit;
  readonly retentionMs: number;
  readonly log: Log;
  /** Blobs looked at per second. */
  readonly blobsPerSecondMax?: number;
}

export interface Walk {
  /** One folder further, where a walk is due or under way. Resolves to false where there was nothing to do. */
  step(nowMs: number, signal: AbortSignal): Promise<boolean>;
}

const PHASES = ['records', 'data', 'keyless'] as const;
const ROOTS = { records: 'operations/', data: 'data/', keyless: 'keyless/' } as const;

/** Where the walk is: folders are gone through in the order of their names, so that the last one's name says it all. */
interface Position {
  readonly version: 1;
  readonly phase: (typeof PHASES)[number];
  /** The last folder that is done; '' = none. */
  readonly after: string;
  readonly begunAtMs: number;
  /** Operations that are older than a retention and stand all the same: their data is no orphan. null: too many to say. */
  readonly old: readonly string[] | null;
  /** The whole walk is done, and this was when. */
  readonly doneAtMs: number | null;
}

const INTERVAL_MS = 3_600_000;
/** About a hundredth of a core on a local disk; 43 M operations, two blobs each, take two days. */
const BLOBS_PER_SECOND_MAX = 500;
/** What is done again where the process ends. */
const NOTED_EVERY_MS = 30_000;
const OLD_MAX = 20_000;
/** Beyond retention: whoever is to find it by its marker has had the time. */
const MARGIN_MS = 2 * 86_400_000;

export function createWalk({ storage, visit, retentionMs, log, blobsPerSecondMax }: WalkDeps): Walk {
  const { store, records } = storage;
  const blobMs = 1_000 / (blobsPerSecondMax ?? BLOBS_PER_SECOND_MAX);
  let position: Position | null = null;
  let folders: readonly string[] | null = null;
  let notedAt = 0;

  /** `<account>/<hash>/` and the like, sorted. */
  async function foldersOf(root: string, depth: number): Promise<readonly string[]> {
    if (depth === 0) return [root];
    const names = await store.folders(root);
    const below = await Promise.all(names.map((name) => foldersOf(`${root}${name}/`, depth - 1)));
    return below.flat().sort();
  }

  async function blobsUnder(folder: string, signal: AbortSignal, look: (key: string, atMs: number) => Promise<void>) {
    let seen = 0;
    for await (const { key, modifiedAtMs } of store.list(folder, { signal })) {
      await look(key, modifiedAtMs);
      if (++seen % 500 === 0) await sleep(500 * blobMs, undefined, { signal });
    }
    await sleep((seen % 500) * blobMs, undefined, { signal });
  }

  /** Records and tombstones that are older than a retention; the hours have taken most of them. */
  async function walkRecords(folder: string, at: Position, nowMs: number, signal: AbortSignal): Promise<Position> {
    let { old } = at;
    await blobsUnder(folder, signal, async (key, modifiedAtMs) => {
      if (!key.endsWith(RECORD_END) || modifiedAtMs + retentionMs + MARGIN_MS > nowMs) return;
      const [, account = ''] = key.split('/');
      const id = key.slice(key.lastIndexOf('/') + 1, -RECORD_END.length);
      const standing = await records.readStanding(account, id).catch((error: unknown) => {
        if (!isDamage(error)) throw error;
        log('warn', 'the record of an operation is damaged: what is left of it stays', { account, id, error });
        // Whose data is whose cannot be told then.
        old = null;
        return null;
      });
      const uid = standing?.record?.uid ?? standing?.tombstone?.uid;
      if (uid === undefined || (await visit({ account, id, uid }, nowMs)) === 'nothing') return;
      old = old === null || old.length >= OLD_MAX ? null : [...old, uid];
    });
    return { ...at, old };
  }

  /** A uid tells its age; what is older than any record that is left, and open, or known to be old, belongs to nobody. */
  async function walkData(folder: string, at: Position, _nowMs: number, signal: AbortSignal): Promise<Position> {
    if (at.old === null) return at;
    const old = new Set(at.old);
    for (const uid of await store.folders(folder)) {
      signal.throwIfAborted();
      const bornMs = bornOf(uid);
      if (bornMs === null || bornMs + retentionMs + MARGIN_MS > at.begunAtMs || old.has(uid)) continue;
      if ((await isOpen(uid)) || (await isYoung(uid, at.begunAtMs))) continue;
      log('info', 'data that belongs to no operation is deleted', { uid });
      await store.deletePrefix(dataPrefix(uid));
      await sleep(blobMs, undefined, { signal });
    }
    return at;
  }

  async function isOpen(uid: string): Promise<boolean> {
    if ((await store.get(`${OPEN_PREFIX}${uid}`)) !== null) return true;
    for await (const { key } of store.list(OPEN_PREFIX)) if (key.startsWith(`${OPEN_PREFIX}${uid}-`)) return true;
    return false;
  }

  /** An upload may have taken long: its record is as old as its last chunk. */
  async function isYoung(uid: string, nowMs: number): Promise<boolean> {
    for await (const { modifiedAtMs } of store.list(dataPrefix(uid))) {
      if (modifiedAtMs + retentionMs + 2 * MARGIN_MS > nowMs) return true;
    }
    return false;
  }

  /** Claims whose operation has gone, or never was. */
  async function walkKeyless(folder: string, at: Position, nowMs: number, signal: AbortSignal): Promise<Position> {
    const touched = new Set<string>();
    await blobsUnder(folder, signal, async (key, modifiedAtMs) => {
      if (modifiedAtMs + retentionMs + MARGIN_MS > nowMs) return;
      await store.delete(key);
      touched.add(key.slice(0, key.lastIndexOf('/') + 1));
    });
    for (const prefix of touched) await store.deleteEmpty(prefix);
    return at;
  }

  const steps = { records: walkRecords, data: walkData, keyless: walkKeyless } as const;
  const depths = { records: 2, data: 1, keyless: 2 } as const;

  return {
    async step(nowMs, signal) {
      position ??= (await records.readSweep<Position>('walk')) ?? begin(nowMs);
      if (position.doneAtMs !== null) {
        if (nowMs - position.doneAtMs < INTERVAL_MS) return false;
        position = begin(nowMs);
      }
      const { phase, after } = position;
      folders ??= await foldersOf(ROOTS[phase], depths[phase]);
      const next = folders.find((folder) => folder > after);
      position = next === undefined ? turn(position, nowMs) : await steps[phase](next, position, nowMs, signal);
      if (next === undefined) folders = null;
      else position = { ...position, after: next };
      if (next === undefined || performance.now() - notedAt > NOTED_EVERY_MS) {
        await records.putSweep('walk', position);
        notedAt = performance.now();
      }
      return true;
    },
  };
}

const RECORD_END = '~operation.json';

function begin(nowMs: number): Position {
  return { version: 1, phase: 'records', after: '', begunAtMs: nowMs, old: [], doneAtMs: null };
}

function turn(position: Position, nowMs: number): Position {
  const next = PHASES[PHASES.indexOf(position.phase) + 1];
  return next === undefined ? { ...position, doneAtMs: nowMs } : { ...position, phase: next, after: '' };
}

function bornOf(uid: string): number | null {
  try {
    return decodeTime(uid);
  } catch {
    return null;
  }
}
