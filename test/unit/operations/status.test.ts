import { Client, Connection } from '@temporalio/client';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { EMPTY_TALLY, type OperationRecord, type Progress } from '../../../src/model/operation.ts';
import type { Nudges } from '../../../src/operations/running/nudges.ts';
import type { TemporalLink } from '../../../src/operations/running/temporal-link.ts';
import { createStatus } from '../../../src/operations/status/status.ts';
import type { Records } from '../../../src/storage/records.ts';
import { plan } from '../../fixtures/plan.ts';

/** A store that holds a finished operation and lets each summary wait for a word. */
function slowStore({ runsAway = false } = {}) {
  let letGo = (): void => {};
  const word = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const ended = {
    version: 1,
    run: 1,
    revision: 1_003,
    state: 'ended',
    outcome: 'succeeded',
    amended: {},
  } as unknown as Progress;
  const records = {
    readStanding: async () => ({ record: RECORD, tombstone: null }),
    readRun: () => (runsAway ? new Promise<null>(() => {}) : Promise.resolve(null)),
    readSummary: async () => {
      await word;
      return { ...ended, tally: { succeeded: 2, failed: 0, skipped: 0, cancelled: 0, unknown: 0 }, running: 0 };
    },
    readCheckpoint: async () => null,
  } as unknown as Records;
  return { records, letGo: () => letGo() };
}

const RECORD = {
  ...{ version: 1, id: 'op', account: 'default', uid: '01', target: 'noop', total: 2, plan: plan() },
  ...{ createdAt: '2026-01-01T00:00:00.000Z', input: {}, metadata: {}, chunkItems: [2] },
} as unknown as OperationRecord;

/** Temporal is away, once these answers are given. */
function statusOn(records: Records, statusCacheMs: number, answers: Progress[] = []) {
  const isDown = () => answers.length === 0;
  const call = async () => answers.shift() ?? Promise.reject(new Error('away'));
  const settings = { statusCacheMs, statusDeadlineMs: 1_500, retentionMs: 1_000 };
  const client = new Client({ connection: Connection.lazy({ address: '127.0.0.1:1' }) });
  const nudges = { add: () => {} } as unknown as Nudges;
  const link = { call, probe: async () => false, isDown } as unknown as TemporalLink;
  return createStatus({ records, client, link, nudges, settings });
}

describe('a stored status', () => {
  it('is waited for by everybody who comes while it is read', async () => {
    const { records, letGo } = slowStore();
    const status = statusOn(records, 500);
    const readers = [status.stored('default', 'op'), status.stored('default', 'op'), status.get('default', 'op')];
    await new Promise((wake) => setImmediate(wake));
    letGo();
    for (const view of await Promise.all(readers)) {
      expect(view).toMatchObject({ state: 'ended', live: true, revision: 1_003, counts: { pending: 0, succeeded: 2 } });
    }
  });

  it('does not call itself live where the store does not say whether a later run has begun', async () => {
    const { records, letGo } = slowStore({ runsAway: true });
    letGo();
    const status = statusOn(records, 0);
    expect(await status.get('default', 'op')).toMatchObject({ state: 'ended', run: 1, live: false });
    expect(await status.get('default', 'op')).toMatchObject({ state: 'ended', run: 1, live: false });
  });

  it('of an ended operation is not called live in a list while somebody else still asks whether it was purged', async () => {
    const { records, letGo } = slowStore();
    letGo();
    const tombstone = { gone: 'purged', id: 'op', account: 'default', uid: '01', total: 2, tally: EMPTY_TALLY };
    const standings: Promise<unknown>[] = [Promise.resolve({ record: RECORD, tombstone: null })];
    const readStanding = () => standings.shift() ?? Promise.reject(new Error('asked too often'));
    const status = statusOn({ ...records, readStanding } as unknown as Records, 0);
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => void vi.useRealTimers());
    expect(await status.stored('default', 'op')).toMatchObject({ state: 'ended', live: true });
    vi.setSystemTime(Date.now() + 5_000);
    const purged = Promise.withResolvers<unknown>();
    standings.push(purged.promise);
    const asking = status.get('default', 'op');
    // In a list nothing is sought so soon after the last time.
    await new Promise((wake) => setImmediate(wake));
    expect(await status.stored('default', 'op', 1)).toMatchObject({ state: 'ended', live: false });
    const waiting = status.get('default', 'op');
    purged.resolve({ record: null, tombstone });
    await expect(asking).rejects.toMatchObject({ code: 'gone' });
    await expect(waiting).rejects.toMatchObject({ code: 'gone' });
  });

  it('of an ended operation is the latest where that is asked for, however lately a retry was looked for', async () => {
    const { records, letGo } = slowStore();
    letGo();
    const retry = { version: 1, run: 2, base: EMPTY_TALLY, createdAt: '2026-01-01T00:01:00.000Z' };
    let retried = false;
    const readRun = async (_account: string, _id: string, run: number) => (retried && run === 2 ? retry : null);
    const summaryOf = async (account: string, id: string, run: number) =>
      run === 1 ? await records.readSummary(account, id, run) : null;
    const status = statusOn({ ...records, readRun, readSummary: summaryOf } as unknown as Records, 60_000);
    expect(await status.get('default', 'op')).toMatchObject({ state: 'ended', run: 1, live: true });
    retried = true;
    expect(await status.get('default', 'op')).toMatchObject({ state: 'ended', run: 1 });
    expect(await status.latest('default', 'op')).toMatchObject({ state: 'queued', run: 2 });
    expect(await status.get('default', 'op')).toMatchObject({ state: 'queued', run: 2 });
  });

  it('of an ended operation is not called live in a list once a retry may have begun unseen', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => void vi.useRealTimers());
    const { records, letGo } = slowStore();
    letGo();
    const status = statusOn(records, 500);
    expect(await status.stored('default', 'op', 1)).toMatchObject({ state: 'ended', live: true });
    vi.setSystemTime(Date.now() + 2_000);
    expect(await status.stored('default', 'op', 1)).toMatchObject({ state: 'ended', live: false });
    expect(await status.get('default', 'op')).toMatchObject({ state: 'ended', live: true });
    expect(await status.stored('default', 'op', 1)).toMatchObject({ state: 'ended', live: true });
  });

  it('is not live by what was seen before the workflow was told something, where nobody answers after it', async () => {
    const seen = running({ succeeded: 1, running: 1, asOf: '2026-01-01T00:00:05.000Z' });
    const { records } = slowStore();
    const status = statusOn({ ...records, readSummary: async () => null }, 60_000, [seen]);
    expect(await status.get('default', 'op')).toMatchObject({ state: 'running', live: true });
    expect(await status.get('default', 'op')).toMatchObject({ state: 'running', live: true });
    expect(await status.fresh('default', 'op')).toMatchObject({ state: 'running', live: false });
    expect(await status.get('default', 'op')).toMatchObject({ state: 'running', live: false });
  });

  it('never shows fewer items decided, though a checkpoint of the same revision says so', async () => {
    const before = running({ succeeded: 3, running: 1, asOf: '2026-01-01T00:00:05.000Z' });
    const after = running({ succeeded: 0, running: 4, asOf: '2026-01-01T00:00:09.000Z' });
    const checkpoints = [before, after];
    const { records } = slowStore();
    const readCheckpoint = async () => checkpoints.shift() ?? null;
    const status = statusOn({ ...records, readSummary: async () => null, readCheckpoint }, 0);
    expect(await status.get('default', 'op')).toMatchObject({ revision: 5, counts: { succeeded: 3 } });
    expect(await status.get('default', 'op')).toMatchObject({ revision: 5, counts: { succeeded: 3 } });
    expect(checkpoints).toEqual([]);
  });
});

function running({ succeeded, ...rest }: { succeeded: number; running: number; asOf: string }): Progress {
  const tally = { ...EMPTY_TALLY, succeeded };
  const standing = { version: 1, run: 1, revision: 5, state: 'running', outcome: null, throttle: null, amended: {} };
  return { ...standing, tally, startedAt: null, endedAt: null, ...rest } as unknown as Progress;
}
