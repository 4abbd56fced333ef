/** Sees to it that what was accepted runs and ends: outbox, lost and ended-from-outside workflows, stale uploads. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../model/log.ts';
import { dataPrefix, openName } from '../../storage/keys.ts';
import type { OpenMarker } from '../../storage/records.ts';
import { createBackground } from '../background.ts';
import { mapBounded, within } from '../deadline.ts';
import type { OperationsStorage } from '../deps.ts';
import type { OperationsSettings } from '../settings.ts';
import {
  createEnsureRunning,
  FAULT_WAIT_MS,
  LOOK_INTERVAL_MS,
  type TemporalParts,
  type Watch,
} from './ensure-running.ts';
import type { Nudges } from './nudges.ts';
import { faultOf } from './temporal-link.ts';

const CONCURRENCY = 8;
const BATCH_MAX = 256;
const NUDGE_INTERVAL_MS = 1_000;
/** Its submit is still at work. */
const FRESH_MS = 5_000;

export interface ReconcilerDeps {
  readonly storage: Pick<OperationsStorage, 'store' | 'records'>;
  readonly temporal: TemporalParts;
  readonly nudges: Nudges;
  readonly settings: Pick<
    OperationsSettings,
    'reconcileIntervalMs' | 'stagingLeaseMs' | 'callDeadlineMs' | 'storeDeadlineMs'
  >;
  readonly log: Log;
}

export interface Reconciler {
  start(): void;
  /** Resolves when the pass at work has ended; every step of it has a deadline. */
  stop(): Promise<void>;
}

export function createReconciler(deps: ReconcilerDeps): Reconciler {
  const { storage, temporal, nudges, settings, log } = deps;
  const background = createBackground(loop);
  const { signal } = background;
  const watches = new Map<string, Watch>();
  const look = createLook(deps, watches);

  function lookAt(uids: readonly string[], nudged: boolean): Promise<unknown> {
    return mapBounded(uids, CONCURRENCY, async (uid) => {
      if (!signal.aborted) await look(uid, nudged);
    });
  }

  async function lookAtNudged(): Promise<void> {
    if (nudges.size === 0) return;
    if (temporal.link.isDown() && !(await temporal.link.probe())) return;
    await lookAt(nudges.take(), true);
  }

  async function lookAtAll(): Promise<void> {
    const seen = new Set<string>();
    let batch: string[] = [];
    for await (const uid of storage.records.listOpen(signal)) {
      seen.add(uid);
      if (Date.now() < (watches.get(uid)?.nextAt ?? 0)) continue;
      batch.push(uid);
      if (batch.length < BATCH_MAX) continue;
      await lookAt(batch, false);
      batch = [];
    }
    await lookAt(batch, false);
    for (const uid of watches.keys()) if (!seen.has(uid)) watches.delete(uid);
  }

  async function loop(): Promise<void> {
    for (let allAt = 0; !signal.aborted; ) {
      try {
        await lookAtNudged();
        if (Date.now() >= allAt) {
          allAt = Date.now() + settings.reconcileIntervalMs;
          await lookAtAll();
        }
      } catch (error) {
        if (!signal.aborted) log('warn', 'a pass of the reconciler failed; the next one goes on', { error });
      }
      const waitMs = Math.min(NUDGE_INTERVAL_MS, settings.reconcileIntervalMs);
      await sleep(waitMs, undefined, { signal }).catch(() => {});
    }
  }

  return background;
}

/** One marker, looked at and done what it needs. Never throws: another look follows. */
function createLook({ storage, temporal, nudges, settings, log }: ReconcilerDeps, watches: Map<string, Watch>) {
  const { store, records } = storage;
  const ensureRunning = createEnsureRunning({ records, temporal, settings, log });

  function blob<T>(what: string, work: Promise<T>): Promise<T> {
    return within(settings.storeDeadlineMs, what, work);
  }

  async function sweep(uid: string): Promise<number> {
    await blob('a stale upload', store.deletePrefix(dataPrefix(uid)));
    await blob('an open marker', records.deleteOpen(uid));
    return LOOK_INTERVAL_MS;
  }

  /** Whoever wrote it may still be at work until its lease is over. */
  async function expire(uid: string, ageMs: number): Promise<number> {
    const leftMs = settings.stagingLeaseMs - ageMs;
    return leftMs >= 0 ? Math.min(LOOK_INTERVAL_MS, leftMs + 1) : await sweep(uid);
  }

  /** A retry that was never accepted: what it wrote stays with the operation's data, and goes with it. */
  async function dropRetry({ uid }: OpenMarker, run: number, ageMs: number): Promise<number> {
    const leftMs = settings.stagingLeaseMs - ageMs;
    if (leftMs >= 0) return Math.min(LOOK_INTERVAL_MS, leftMs + 1);
    await blob('an open marker', records.deleteOpen(uid, run));
    return LOOK_INTERVAL_MS;
  }

  async function careForRetry(marker: OpenMarker, run: number, watch: Watch): Promise<number> {
    const { uid, account, operationId, leaseAt } = marker;
    const id = operationId ?? '';
    const [record, retry] = await blob(
      'the records',
      Promise.all([records.readRecord(account, id), records.readRun(account, id, run)]),
    );
    if (record?.uid !== uid || retry === null) return await dropRetry(marker, run, Date.now() - leaseAt);
    return await ensureRunning({ record, run: retry }, watch);
  }

  /** Answers the milliseconds until the next look. */
  async function care(marker: OpenMarker, watch: Watch, nudged: boolean): Promise<number> {
    const { uid, account, operationId, leaseAt, run = 1 } = marker;
    const ageMs = Date.now() - leaseAt;
    if (operationId === null) return await expire(uid, ageMs);
    if (ageMs < FRESH_MS && !nudged) return FRESH_MS - ageMs;
    // Nothing can be started now: an outage must not become a storm of reads.
    if (temporal.link.isDown() && ageMs <= settings.stagingLeaseMs) {
      if (nudged) nudges.add(openName(uid, run));
      return FAULT_WAIT_MS;
    }
    if (run > 1) return await careForRetry(marker, run, watch);
    const record = await blob('a record', records.readRecord(account, operationId));
    if (record === null) return await expire(uid, ageMs);
    return record.uid === uid ? await ensureRunning({ record, run: null }, watch) : await sweep(uid);
  }

  return async (uid: string, nudged: boolean): Promise<void> => {
    const watch = watches.get(uid) ?? { nextAt: 0, restarts: 0, restartAt: 0 };
    watches.set(uid, watch);
    try {
      const marker = await blob('an open marker', records.readOpen(uid));
      const waitMs = marker === null ? LOOK_INTERVAL_MS : await care(marker, watch, nudged);
      watch.nextAt = Date.now() + waitMs;
    } catch (error) {
      watch.nextAt = Date.now() + FAULT_WAIT_MS;
      if (nudged) nudges.add(uid);
      if (faultOf(error) !== 'unreachable') log('warn', 'an operation could not be looked after', { uid, error });
    }
  };
}
