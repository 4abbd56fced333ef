/** The end of an operation, with and without a database that hears of it. */
import { describe, expect, it } from 'vitest';
import { createFinalize } from '../../../src/activities/finalize.ts';
import type { Progress } from '../../../src/model/operation.ts';
import type { Records } from '../../../src/storage/records.ts';

const NOW = '2026-01-01T00:00:00.000Z';
const summary: Progress = {
  ...{ version: 1, run: 1, revision: 3, state: 'ended', outcome: 'succeeded', running: 0, throttle: null, amended: {} },
  ...{ startedAt: NOW, endedAt: NOW, asOf: NOW },
  tally: { succeeded: 1, failed: 0, skipped: 0, cancelled: 0, unknown: 0 },
};
const ref = { account: 'acme', id: 'op-1', uid: 'uid-1', traceId: 'trace' };

/** What was done, in order. */
function finalizeWith(freePlaces?: (uid: string) => Promise<void>) {
  const done: string[] = [];
  const records = {
    createSummary: async () => done.push('summary') > 0,
    markEnded: async () => void done.push('ended'),
    deleteOpen: async () => void done.push('marker'),
  } as unknown as Records;
  const log = (level: string) => void done.push(level);
  const { finalize } = createFinalize({ records, log, ...(freePlaces === undefined ? {} : { freePlaces }) });
  return { done, finalize: () => finalize({ version: 1, ref, summary }) };
}

describe('finalize', () => {
  it('frees the places after the summary stands', async () => {
    const freed: string[] = [];
    const { done, finalize } = finalizeWith(async (uid) => void freed.push(uid, ...done));
    await finalize();
    expect(freed).toEqual(['uid-1', 'summary', 'ended', 'marker']);
  });

  it('asks no database where nothing in flight is limited', async () => {
    const { done, finalize } = finalizeWith();
    await expect(finalize()).resolves.toEqual(summary);
    expect(done).toEqual(['summary', 'ended', 'marker']);
  });

  it.each([
    ['refuses', () => Promise.reject(new Error('away'))],
    [
      'throws',
      () => {
        throw new Error('closed');
      },
    ],
    ['never answers', () => new Promise<void>(() => {})],
  ])('ends all the same where the database %s', async (_, freePlaces) => {
    const { done, finalize } = finalizeWith(freePlaces);
    await expect(finalize()).resolves.toEqual(summary);
    expect(done).toEqual(['summary', 'ended', 'marker', 'warn']);
  });
});
