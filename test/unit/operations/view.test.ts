import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EMPTY_TALLY, type OperationRecord, type Progress } from '../../../src/model/operation.ts';
import { knownRecord, queuedProgress, toView } from '../../../src/operations/status/view.ts';
import { plan } from '../../fixtures/plan.ts';

const record: OperationRecord = {
  version: 1,
  id: 'op',
  account: 'default',
  uid: 'UID',
  key: 'secret key',
  fingerprint: 'ff',
  surface: 'v1',
  target: 'products',
  plan: plan(),
  chunkItems: [10],
  total: 10,
  input: { mediaType: 'application/json', bytes: 1, sha256: 'aa' },
  metadata: {},
  priority: 3,
  createdAt: '2026-01-01T00:00:00.000Z',
  scheduledAt: null,
  expiresAt: '2026-01-31T00:00:00.000Z',
  submittedBy: null,
  traceId: 't',
  inlineChunk: 'AAAA',
};
const known = knownRecord(record);
const running: Progress = {
  ...queuedProgress(known),
  state: 'running',
  revision: 4,
  running: 3,
  startedAt: '2026-01-01T00:00:00.000Z',
  asOf: '2026-01-01T00:00:02.000Z',
};

describe('a view', () => {
  it('of a record alone is queued, with nothing decided', () => {
    const view = toView(known, queuedProgress(known), false);
    expect(view).toMatchObject({ state: 'queued', revision: 0, live: false, asOf: record.createdAt });
    expect(view.counts).toMatchObject({ total: 10, pending: 10, running: 0 });
    expect(view.progress).toEqual({ percent: 0, itemsPerSecond: null, etaSeconds: null });
  });

  it('shows neither key nor items', () => {
    expect(known).not.toHaveProperty('inlineChunk');
    expect(JSON.stringify(toView(known, running, true))).not.toMatch(/secret|AAAA/);
  });

  it('has a rate and an estimate once something is decided', () => {
    const some = { ...running, tally: { ...EMPTY_TALLY, succeeded: 3, failed: 1 } };
    expect(toView(known, some, true).progress).toEqual({ percent: 40, itemsPerSecond: 2, etaSeconds: 3 });
    expect(toView(known, { ...some, state: 'paused' }, true).progress.etaSeconds).toBeNull();
    const ended = { ...some, state: 'ended', endedAt: '2026-01-01T00:00:04.000Z' } as const;
    expect(toView(known, ended, true).progress).toEqual({ percent: 40, itemsPerSecond: 1, etaSeconds: 0 });
  });

  it('has no rate where the clocks give none', () => {
    const early = { ...running, asOf: running.startedAt ?? '', tally: { ...EMPTY_TALLY, succeeded: 1 } };
    expect(toView(known, early, true).progress.itemsPerSecond).toBeNull();
  });

  it('adds up, and says 100 % only where all is decided', () => {
    const share = fc.nat({ max: 1_000_000 });
    fc.assert(
      fc.property(share, share, share, share, (undecided, succeeded, failed, inFlight) => {
        const total = undecided + succeeded + failed;
        const progress = { ...running, running: inFlight, tally: { ...EMPTY_TALLY, succeeded, failed } };
        const { counts, progress: pace } = toView({ ...known, total }, progress, true);
        const { total: sum, ...parts } = counts;
        expect(Object.values(parts).reduce((a, b) => a + b)).toBe(sum);
        expect(pace.percent === 100).toBe(undecided === 0);
      }),
    );
  });

  it('has the pace of its run: what earlier runs have decided took no time of it', () => {
    const retried = { ...running, run: 2, earlierItems: 4, tally: { ...EMPTY_TALLY, succeeded: 8 } };
    expect(toView(known, retried, true).progress).toEqual({ percent: 80, itemsPerSecond: 2, etaSeconds: 1 });
  });

  it('is scheduled only while its time lies ahead, also where nobody is there to say so', () => {
    const [far, past] = ['2999-01-01T00:00:00.000Z', '2001-01-01T00:00:00.000Z'];
    const stateOf = (scheduledAt: string | null, over: Partial<Progress> = {}) => {
      const scheduled = { ...known, scheduledAt };
      return toView(scheduled, { ...queuedProgress(scheduled), ...over }, false).state;
    };
    expect(stateOf(null)).toBe('queued');
    expect(stateOf(far)).toBe('scheduled');
    expect(stateOf(past)).toBe('queued');
    expect(stateOf(far, { state: 'scheduled', amended: { scheduledAt: past } })).toBe('queued');
    expect(stateOf(null, { state: 'scheduled', amended: { scheduledAt: far } })).toBe('scheduled');
    expect(stateOf(past, { state: 'paused' })).toBe('paused');
  });

  it('is as it was amended', () => {
    const amended = { priority: 1, scheduledAt: '2999-01-01T00:00:00.000Z' };
    expect(toView(known, { ...running, amended }, true)).toMatchObject(amended);
  });

  it('shows limits as amended, the deadline of its run, and why it was halted', () => {
    expect(toView(known, running, true)).toMatchObject({ policy: null, deadline: null, halt: null });
    const failure = { maxFailures: 5, maxFailurePercent: null, minSample: 100, onFailureLimit: 'stop' } as const;
    const limited = knownRecord({ ...record, plan: plan({ failure }), deadline: '2026-02-01T00:00:00.000Z' });
    expect(toView(limited, queuedProgress(limited), false)).toMatchObject({
      policy: failure,
      deadline: limited.deadline,
    });
    const amended = { maxFailures: null, maxFailurePercent: 0.5 };
    const halt = { cause: 'deadline', action: 'stop', at: running.asOf, detail: 'the deadline was …' } as const;
    expect(toView(limited, { ...running, amended, halt }, true)).toMatchObject({
      policy: { ...failure, ...amended },
      deadline: null,
      halt,
    });
    // Its record's deadline is that of the first run.
    const retry = { run: 2, base: EMPTY_TALLY, createdAt: record.createdAt };
    expect(toView(limited, queuedProgress(limited, retry), false).deadline).toBeNull();
  });
});
