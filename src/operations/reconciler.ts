/** Sees to it that what was accepted runs and ends: outbox, lost and ended-from-outside workflows, stale uploads. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type { Log } from '../model/log.ts';
import type { OperationRecord } from '../model/operation.ts';
import type { OperationInput } from '../model/workflow-contract.ts';
import { dataPrefix } from '../storage/keys.ts';
import type { OpenMarker } from '../storage/records.ts';
import { mapBounded, within } from './deadline.ts';
import type { OperationsStorage } from './deps.ts';
import type { Nudges } from './nudges.ts';
import { workflowIdOf } from './operation-id.ts';
import type { OperationsSettings } from './settings.ts';
import type { Starter } from './starter.ts';
import { faultOf, type TemporalLink } from './temporal-link.ts';

const CONCURRENCY = 8;
const BATCH_MAX = 256;
const NUDGE_INTERVAL_MS = 1_000;
/** Its submit is still at work. */
const FRESH_MS = 5_000;
/** How often a running workflow, or an upload that goes on, is looked at. */
const LOOK_INTERVAL_MS = 60_000;
const FAULT_WAIT_MS = 5_000;
/** A workflow that closes again and again is started again ever more seldom. */
const RESTART_WAIT_MIN_MS = 10_000;
const RESTART_WAIT_MAX_MS = 5 * 60_000;

export interface ReconcilerDeps {
  readonly storage: Pick<OperationsStorage, 'store' | 'records'>;
  readonly temporal: { readonly client: Client; readonly link: TemporalLink; readonly starter: Starter };
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

/** What is remembered of one open marker between two looks. */
/** Started, task scheduled, closed: no worker has ever taken the workflow up. */
const HISTORY_UNTOUCHED = 3;

interface Watch {
  nextAt: number;
  restarts: number;
  restartAt: number;
}

export function createReconciler({ storage, temporal, nudges, settings, log }: ReconcilerDeps): Reconciler {
  const { store, records } = storage;
  const { client, link, starter } = temporal;
  const stopping = new AbortController();
  const watches = new Map<string, Watch>();
  let looping: Promise<void> | null = null;

  function blob<T>(what: string, work: Promise<T>): Promise<T> {
    return within(settings.storeDeadlineMs, what, work);
  }

  async function loop(): Promise<void> {
    for (let allAt = 0; !stopping.signal.aborted; ) {
      try {
        await lookAtNudged();
        if (Date.now() >= allAt) {
          allAt = Date.now() + settings.reconcileIntervalMs;
          await lookAtAll();
        }
      } catch (error) {
        if (!stopping.signal.aborted) log('warn', 'a pass of the reconciler failed; the next one goes on', { error });
      }
      const waitMs = Math.min(NUDGE_INTERVAL_MS, settings.reconcileIntervalMs);
      await sleep(waitMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  }

  async function lookAtNudged(): Promise<void> {
    if (nudges.size === 0) return;
    if (link.isDown() && !(await link.probe())) return;
    await mapBounded(nudges.take(), CONCURRENCY, (uid) => look(uid, true));
  }

  async function lookAtAll(): Promise<void> {
    const seen = new Set<string>();
    let batch: string[] = [];
    for await (const uid of records.listOpen(stopping.signal)) {
      seen.add(uid);
      if (Date.now() < (watches.get(uid)?.nextAt ?? 0)) continue;
      batch.push(uid);
      if (batch.length < BATCH_MAX) continue;
      await mapBounded(batch, CONCURRENCY, (each) => look(each, false));
      batch = [];
    }
    await mapBounded(batch, CONCURRENCY, (each) => look(each, false));
    for (const uid of watches.keys()) if (!seen.has(uid)) watches.delete(uid);
  }

  async function look(uid: string, nudged: boolean): Promise<void> {
    if (stopping.signal.aborted) return;
    const watch = watches.get(uid) ?? { nextAt: 0, restarts: 0, restartAt: 0 };
    watches.set(uid, watch);
    try {
      const marker = await blob('an open marker', records.readOpen(uid));
      const waitMs = marker === null ? LOOK_INTERVAL_MS : await care(marker, watch, nudged);
      watch.nextAt = Date.now() + waitMs;
    } catch (error) {
      watch.nextAt = Date.now() + FAULT_WAIT_MS;
      if (faultOf(error) !== 'unreachable') log('warn', 'an operation could not be looked after', { uid, error });
      else if (nudged) nudges.add(uid);
    }
  }

  /** Returns the milliseconds until the next look. */
  async function care(marker: OpenMarker, watch: Watch, nudged: boolean): Promise<number> {
    const { uid, account, operationId, leaseAt } = marker;
    const ageMs = Date.now() - leaseAt;
    if (operationId === null) return await expire(uid, ageMs);
    if (ageMs < FRESH_MS && !nudged) return FRESH_MS - ageMs;
    // Nothing can be started now: an outage must not become a storm of reads.
    if (link.isDown() && ageMs <= settings.stagingLeaseMs) return FAULT_WAIT_MS;
    const record = await blob('a record', records.readRecord(account, operationId));
    if (record === null) return await expire(uid, ageMs);
    if (record.uid !== uid) return await sweep(uid);
    return await ensureRunning(record, watch);
  }

  /** Whoever wrote it may still be at work until its lease is over. */
  async function expire(uid: string, ageMs: number): Promise<number> {
    const leftMs = settings.stagingLeaseMs - ageMs;
    return leftMs >= 0 ? Math.min(LOOK_INTERVAL_MS, leftMs + 1) : await sweep(uid);
  }

  async function sweep(uid: string): Promise<number> {
    await blob('a stale upload', store.deletePrefix(dataPrefix(uid)));
    await blob('an open marker', records.deleteOpen(uid));
    return LOOK_INTERVAL_MS;
  }

  async function ensureRunning(record: OperationRecord, watch: Watch): Promise<number> {
    if (await closeIfEnded(record)) return LOOK_INTERVAL_MS;
    const found = await describe(record);
    if (found === 'running') return LOOK_INTERVAL_MS;
    // It may have ended between the two looks.
    if (await closeIfEnded(record)) return LOOK_INTERVAL_MS;
    if (found === 'absent') return await startFirst(record);
    if (Date.now() < watch.restartAt) return watch.restartAt - Date.now();
    return await startAgain(record, found, watch);
  }

  async function closeIfEnded({ account, id, uid }: OperationRecord): Promise<boolean> {
    if ((await blob('a summary', records.readSummary(account, id))) === null) return false;
    await blob('an open marker', records.deleteOpen(uid));
    return true;
  }

  /** `settle`: somebody ended it; `resume`: it was lost. */
  async function describe({
    account,
    id,
  }: OperationRecord): Promise<'running' | 'absent' | 'settle' | 'settle_untouched' | 'resume'> {
    const handle = client.workflow.getHandle(workflowIdOf(account, id));
    try {
      const { status, historyLength } = await link.call(settings.callDeadlineMs, () => handle.describe());
      if (status.name === 'TERMINATED' || status.name === 'CANCELLED' || status.name === 'FAILED') {
        return historyLength <= HISTORY_UNTOUCHED ? 'settle_untouched' : 'settle';
      }
      return status.name === 'TIMED_OUT' || status.name === 'COMPLETED' ? 'resume' : 'running';
    } catch (error) {
      if (faultOf(error) === 'not_found') return 'absent';
      throw error;
    }
  }

  async function startFirst(record: OperationRecord): Promise<number> {
    const checkpoint = await blob('a checkpoint', records.readCheckpoint(record.account, record.id));
    const mode = checkpoint === null ? 'start' : 'resume';
    return (await starter.start({ record, mode, again: false })) ? LOOK_INTERVAL_MS : FAULT_WAIT_MS;
  }

  async function startAgain(record: OperationRecord, mode: OperationInput['mode'], watch: Watch): Promise<number> {
    if (!(await starter.start({ record, mode, again: true }))) return FAULT_WAIT_MS;
    log('info', 'a workflow had closed without ending its operation; another goes on', { uid: record.uid, mode });
    const waitMs = Math.min(RESTART_WAIT_MAX_MS, RESTART_WAIT_MIN_MS * 2 ** watch.restarts++);
    watch.restartAt = Date.now() + waitMs;
    return waitMs;
  }

  return {
    start() {
      looping ??= loop();
    },
    async stop() {
      stopping.abort();
      await looping;
    },
  };
}
