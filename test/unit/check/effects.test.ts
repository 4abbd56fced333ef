/** Rules about vendors and tables: for everything that they forbid, a history that does it. */
import { describe, expect, it } from 'vitest';
import type { BudgetInForce } from '../../check/history.ts';
import { effectsOnce } from '../../check/rules/effects-once.ts';
import { outcomesTrue } from '../../check/rules/outcomes-true.ts';
import { repeatsExplained } from '../../check/rules/repeats-explained.ts';
import { windowsKept } from '../../check/rules/windows-kept.ts';
import {
  call,
  download,
  effects,
  exchange,
  fault,
  row,
  saidBy,
  story,
  submission,
  submitted,
  told,
  vendor,
} from './story.ts';

const OTHER_UID = '01BX5ZZKBKACTAV9WEVGEMMVRZ';
const only = (outcome: Parameters<typeof row>[1], code: string | null = null) =>
  download(2_100, [row(0), row(1), row(2, outcome, code)]);

describe('effects once', () => {
  it.each([
    ['a story', told()],
    ['a replay, which has no effect of its own', told({}, [call(1_400, '0', { applied: false, replayed: true })])],
    ['a vendor that knows no keys', told({ vendor: vendor({ honoursKeys: false }) }, [call(1_400, '0')])],
    [
      'a job that was taken, failed later and was taken again',
      told({
        third: call(1_350, '2', { vendor: 'async', status: 202 }),
        again: call(3_100, '2:r2', { vendor: 'async', status: 202 }),
      }),
    ],
    ['a question about a job', told({}, [call(1_400, '', { key: null, method: 'GET', applied: false })])],
    ['rows written once', told({}, [effects({ once: [[0, 2]] })])],
    [
      'calls of a submission that was never answered and had no key',
      told({}, [
        submission(500, { status: null, operationId: null, traceId: 'c'.repeat(32) }),
        call(600, '0', { key: `${OTHER_UID}:0`, traceId: 'c'.repeat(32) }),
      ]),
    ],
  ])('takes %s', (_, lines) => {
    expect(saidBy(effectsOnce, lines)).toEqual([]);
  });

  it.each([
    ['a key is executed twice', told({}, [call(1_400, '0')]), /index 0 was executed 2 times under one key/],
    ['an item is executed under two keys', told({}, [call(1_400, '0:r2')]), /under the keys of runs 1 and 2/],
    ['a key is of no item', told({}, [call(1_400, '0', { key: 'x' })]), /under the key x, which no item/],
    ['a call has no key', told({}, [call(1_400, '0', { key: null })]), /under the key \(none\)/],
    [
      'an operation has two uids',
      told({}, [call(1_400, '0', { key: `${OTHER_UID}:0` })]),
      /products executed under the key 01BX5ZZKBKACTAV9WEVGEMMVRZ:0/,
    ],
    ['a row is written twice', told({}, [effects({ once: [[0, 1]], more: [[2, 2]] })]), /index 2 was written 2 times/],
  ])('finds that %s', (_, lines, text) => {
    expect(saidBy(effectsOnce, lines)).toContainEqual(expect.stringMatching(text));
  });
});

const NO_CHOICE = { fromRun: 1, outcomes: [], codes: null, indexes: null, corrected: null } as const;

describe('repeats explained', () => {
  const repeat = (at: number) => call(at, '0', { applied: false, replayed: true });

  it.each([
    ['a story', told()],
    ['a repeat after no answer', told({ first: call(1_100, '0', { status: null }) }, [repeat(1_500)])],
    ['a repeat after 503', told({ first: call(1_100, '0', { status: 503, applied: false }) }, [call(1_500, '0')])],
    ['a repeat after 429', told({ first: call(1_100, '0', { status: 429, applied: false }) }, [call(1_500, '0')])],
    ['a worker killed with the answer unwritten', told({}, [fault('worker', 1_200, 1_200), repeat(5_600)])],
    ['a lease that ran out behind a silent link', told({}, [fault('link_temporal', 500, 600), repeat(5_600)])],
    [
      'a doubt that a retry resolves under its own key',
      told({
        final: download(2_100, [row(0), row(1), row(2, 'unknown', 'cancelled_in_doubt')]),
        retry: { ...story().retry, retried: { ...NO_CHOICE, outcomes: ['unknown'] } },
        again: call(3_100, '2', { applied: false, replayed: true }),
      }),
    ],
    ['a machine that stood still', told({}, [fault('stall', 1_050, 1_400), repeat(5_600)])],
    [
      'a machine on which everybody waits 100 ms for a turn',
      told({ frame: { ...story().frame, machineLagMs: 100 } }, [fault('worker', 1_500, 1_500), repeat(5_600)]),
    ],
    [
      'a store that keeps its journal a second later',
      told({ frame: { ...story().frame, store: 's3' } }, [fault('worker', 2_300, 2_300), repeat(6_500)]),
    ],
  ])('takes %s', (_, lines) => {
    expect(saidBy(repeatsExplained, lines)).toEqual([]);
  });

  it.each([
    ['nothing happened', told({}, [repeat(1_500)])],
    ['the worker was killed long after', told({}, [fault('worker', 1_400, 1_400), repeat(5_600)])],
    ['the worker was killed long before', told({}, [fault('worker', 400, 500), repeat(5_600)])],
    ['a retry asked for one', told({}, [call(3_200, '2:r2', { applied: false, replayed: true })])],
    ['an API process was killed', told({}, [fault('api', 1_100, 1_100), repeat(5_600)])],
    ['a refusal is asked again', told({}, [call(1_500, '2', { status: 422, applied: false, replayed: true })])],
    ['the journal on disk was behind for a second', told({}, [fault('worker', 2_300, 2_300), repeat(6_500)])],
  ])('finds a repeat where %s', (_, lines) => {
    expect(saidBy(repeatsExplained, lines)).toContainEqual(expect.stringMatching(/is called again/));
  });
});

describe('windows kept', () => {
  const budget = (calls: number, over: Partial<BudgetInForce> = {}): BudgetInForce => ({
    ...{ kind: 'budget', vendor: 'products', fromMs: 0, toMs: 100_000, windows: [{ calls, seconds: 1 }] },
    ...over,
  });
  /** Left in time, and came together behind a link that stood still. */
  const held = [0, 1, 2, 3].map((n) => call(9_000, `${n}`, { sentAtMs: 5_000 + 900 * n }));

  it.each([
    ['as many as are allowed', told({}, [budget(3)])],
    ['another vendor’s calls', told({}, [budget(1, { vendor: 'sync' })])],
    ['calls from before it was in force', told({}, [budget(1, { fromMs: 2_000 })])],
    ['calls that a link held up', told({}, [budget(3), fault('link_vendor', 5_000, 9_000), ...held])],
    [
      'calls that the vendor was slow to see',
      told({}, [budget(3), ...held.map((each) => ({ ...each, lagMs: 4_000 }))]),
    ],
  ])('takes %s', (_, lines) => {
    expect(saidBy(windowsKept, lines)).toEqual([]);
  });

  it.each([
    ['one call too many', told({}, [budget(2)])],
    [
      'a second window is broken',
      told({}, [budget(3, { windows: [...budget(3).windows, { calls: 3, seconds: 60 }] })]),
    ],
    [
      'calls left together, whatever held them up',
      told({}, [
        ...[budget(3), fault('link_vendor', 5_000, 9_000)],
        ...held.map((each, n) => ({ ...each, sentAtMs: 5_000 + n })),
      ]),
    ],
  ])('finds that %s', (_, lines) => {
    expect(saidBy(windowsKept, lines)).toContainEqual(expect.stringMatching(/are allowed/));
  });
});

describe('outcomes are true', () => {
  const cancel = exchange({ action: 'cancel', sentAtMs: 1_400, method: 'POST', status: 202 });
  const never = { third: null, again: null, retry: null, retrying: null, endedAgain: null, finalAgain: null };
  const unanswered = call(1_350, '2', { status: null, applied: false });
  const contacts = submission(1_000, { submitted: submitted({ target: 'contacts' }) });

  it.each([
    ['a story', told()],
    ['an item cancelled before it was called', told({ ...never, final: only('cancelled') })],
    ['a doubt where nobody answered', told({ ...never, third: unanswered, final: only('unknown') })],
    ['a doubt after a cancel', told({ ...never, final: only('unknown') }, [cancel])],
    ['a doubt after a fault', told({ ...never, final: only('unknown') }, [fault('worker', 1_300, 1_300)])],
    ['a success that a ledger with holes does not show', told({ second: null, vendor: vendor({ isComplete: false }) })],
    [
      'a job that was taken and failed',
      told({ ...never, third: call(1_350, '2', { status: 202 }), final: only('failed', 'vendor_job_failed') }),
    ],
    ['rows as the table has them', told({ submission: contacts }, [effects({ once: [[0, 2]] })])],
  ])('takes %s', (_, lines) => {
    expect(saidBy(outcomesTrue, lines)).toEqual([]);
  });

  it.each([
    [
      'succeeded without a call',
      told({ second: null }),
      /index 1 is succeeded in run 1, and the vendor never executed/,
    ],
    [
      'succeeded by a call without effect',
      told({ second: call(1_300, '1', { applied: false }) }),
      /the vendor never executed/,
    ],
    [
      'succeeded in a retry that called nobody',
      told({ again: null }),
      /index 2 is succeeded in run 2, and the vendor never/,
    ],
    [
      'failed and was executed',
      told({ third: call(1_350, '2') }),
      /index 2 is failed in run 1, and the vendor executed/,
    ],
    ['refused and the vendor never said so', told({ third: null }), /the vendor never refused it/],
    [
      'failed as a job and was never taken',
      told({ ...never, final: only('failed', 'vendor_job_failed') }),
      /the vendor never took it/,
    ],
    ['cancelled and executed', told({ ...never, third: call(1_350, '2'), final: only('cancelled') }), /executed it/],
    ['skipped and executed', told({ ...never, third: call(1_350, '2'), final: only('skipped') }), /executed it/],
    ['unknown for no reason', told({ ...never, final: only('unknown') }), /nothing explains it/],
    [
      'unknown after a fault that was over long before',
      told({ ...never, final: only('unknown') }, [fault('vendor', 100, 200, 'products')]),
      /nothing explains it/,
    ],
    [
      'unknown in a table for no reason',
      told({ ...never, submission: contacts, final: only('unknown') }),
      /nothing explains it/,
    ],
    ['succeeded in no row', told({ submission: contacts }, [effects({ once: [[0, 1]] })]), /is in no row/],
    [
      'failed and written',
      told({ ...never, submission: contacts, final: only('failed') }, [effects({ once: [[0, 2]] })]),
      /index 2 is failed and its row was written/,
    ],
  ])('finds what %s', (_, lines, text) => {
    expect(saidBy(outcomesTrue, lines)).toContainEqual(expect.stringMatching(text));
  });
});
