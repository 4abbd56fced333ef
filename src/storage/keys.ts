/** Where each blob stands. Folders are hashed so that millions of operations make no folder too large. */
import { createHash } from 'node:crypto';

/** The records of one operation side by side: a folder of its own would cost each small operation two more fsyncs. */
export function recordKeys(account: string, id: string) {
  const stem = `operations/${account}/${hashOf(id)}/${id}`;
  return {
    record: `${stem}~operation.json`,
    checkpoint: `${stem}~checkpoint.json`,
    /** A run's: the first one's name has no number. */
    summary: (run: number) => (run === 1 ? `${stem}~summary.json` : `${stem}~summary-${run}.json`),
    /** n ≥ 2. */
    run: (run: number) => `${stem}~run-${run}.json`,
  };
}

/** What one ingest wrote and what its slices commit: deleted as a whole. */
export function dataPrefix(uid: string): string {
  return `data/${uid.slice(-2).toLowerCase()}/${uid}/`;
}

/** Of the chunks that came with the submission. */
export function chunkPrefix(uid: string): string {
  return `${dataPrefix(uid)}chunks/`;
}

/** Of one attempt to accept a retry: the run's record says whose chunks count. */
export function runChunkPrefix(uid: string, run: number, attempt: string): string {
  return `${dataPrefix(uid)}chunks-${run}-${attempt}/`;
}

/** Corrected payloads that came with an attempt to accept a retry. */
export function correctionPrefix(uid: string, run: number, attempt: string): string {
  return `${dataPrefix(uid)}corrections-${run}-${attempt}/`;
}

export function chunkKey(prefix: string, ordinal: number): string {
  return prefix + pad(ordinal);
}

/** Duplicates of one chunk, as `prepare` marked them. */
export function marksKey(uid: string, run: number, ordinal: number): string {
  return `${dataPrefix(uid)}marks-${run}/${pad(ordinal)}`;
}

/** Answers of one folder: about a small chunk's, so that looking for a chunk's answers lists few of others. */
const CALLBACKS_PER_FOLDER = 2_500;

/**
 * The answer that a vendor sent for one item. By index and by the run that the item's idempotency key names, not by
 * chunk: a retry under the same key finds what came late.
 */
export function callbackKey(uid: string, keyRun: number, index: number): string {
  return `${callbackPrefix(uid, keyRun, index)}${String(index).padStart(10, '0')}`;
}

/** Of the folder that holds this item's answer. */
export function callbackPrefix(uid: string, keyRun: number, index: number): string {
  return `${dataPrefix(uid)}callbacks-${keyRun}.${pad(Math.floor(index / CALLBACKS_PER_FOLDER))}/`;
}

export function indexOfCallback(key: string): number {
  return Number(key.slice(-10));
}

/** A chunk's segments, compacted rows and journals of one run. */
export function chunkLogPrefix(uid: string, run: number, ordinal: number): string {
  return `${dataPrefix(uid)}run-${run}.${pad(ordinal)}/`;
}

export function segmentKey(uid: string, run: number, ordinal: number, seq: number): string {
  return `${chunkLogPrefix(uid, run, ordinal)}segment-${pad(seq)}`;
}

export function compactedKey(uid: string, run: number, ordinal: number): string {
  return `${chunkLogPrefix(uid, run, ordinal)}compacted`;
}

/** One journal per slice attempt; `attempt` is unique per execution. */
export function journalKey(uid: string, run: number, ordinal: number, seq: number, attempt: string): string {
  return `${chunkLogPrefix(uid, run, ordinal)}journal-${pad(seq)}-${attempt}`;
}

/** Marks an ingest that goes on or an operation that has not ended; what the reconciler walks. */
export const OPEN_PREFIX = 'open/';
export function openKey(name: string): string {
  return `${OPEN_PREFIX}${name}`;
}

/** Each run has a marker of its own, so that the end of one does not take away what the next one stands by. */
export function openName(uid: string, run: number): string {
  return run === 1 ? uid : `${uid}-${run}`;
}

/** Of an operation's audit trail; the same however often its data is deleted. */
export function auditPrefix(account: string, id: string): string {
  return `audit/${account}/${hashOf(id)}/${id}/`;
}

/** The n-th request of one account with this fingerprint that came without a key. */
export function keylessKey(account: string, fingerprint: string, generation: number): string {
  return `${keylessPrefix(account, fingerprint)}${pad(generation)}`;
}

/** Of the claims of one body. */
export function keylessPrefix(account: string, fingerprint: string): string {
  return `keyless/${account}/${fingerprint.slice(0, 2)}/${fingerprint}/`;
}

/** A run of an operation, as the markers of its end and of its purge name it. */
export interface RunName {
  readonly account: string;
  readonly id: string;
  readonly uid: string;
  readonly run: number;
}

/** Runs by the hour in which they ended: a sweep lists what is due and nothing else. `atMs`: epoch ms. */
export function endedPrefix(atMs: number): string {
  const [day, time = ''] = new Date(atMs).toISOString().split('T');
  return `ended/${day}/${time.slice(0, 2)}/`;
}

export function endedKey(name: RunName, atMs: number): string {
  return `${endedPrefix(atMs)}${runNameText(name)}`;
}

/** Purges that somebody has asked for and that may have been left half-way. */
export const PURGING_PREFIX = 'purging/';
export function purgingKey(name: RunName): string {
  return `${PURGING_PREFIX}${runNameText(name)}`;
}

/** The last segment of such a key; null where it is none. */
export function readRunName(key: string): RunName | null {
  const [account, id, uid, run, more] = key.slice(key.lastIndexOf('/') + 1).split('~');
  if (account === undefined || id === undefined || uid === undefined || more !== undefined) return null;
  return /^[1-9]\d{0,5}$/.test(run ?? '') ? { account, id, uid, run: Number(run) } : null;
}

/** At most 200 characters, which is what a key's segment may have; neither part has a `~`. */
function runNameText({ account, id, uid, run }: RunName): string {
  return `${account}~${id}~${uid}~${run}`;
}

/** What a sweep has to remember: how far it has come, and which process sweeps. */
export const SWEEP_KEYS = { lease: 'sweep/lease.json', hours: 'sweep/hours.json', walk: 'sweep/walk.json' } as const;

/** What is kept of a vendor: the budget that a client set, and that a governor has once run. */
export function vendorKeys(vendor: string) {
  return { budget: `vendors/${vendor}/budget.json`, governor: `vendors/${vendor}/governor` };
}

function pad(ordinal: number): string {
  return String(ordinal).padStart(8, '0');
}

function hashOf(id: string): string {
  return createHash('sha256').update(id).digest('hex').slice(0, 2);
}
