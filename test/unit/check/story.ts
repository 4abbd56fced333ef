/** A small history made by hand, true in every line: three items, one refused by the vendor, retried and executed. */
import { judgeHistory } from '../../check/check.ts';
import type {
  Download,
  Exchange,
  Fault,
  Frame,
  HistoryLine,
  Reading,
  Submitted,
  TableEffects,
  VendorCall,
  VendorFacts,
} from '../../check/history.ts';
import { packRows, type Row } from '../../check/rows.ts';
import type { Rule } from '../../check/rule.ts';

export const UID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
export const TRACE = 'a'.repeat(32);
export const RETRY_TRACE = 'b'.repeat(32);

export const frame = (over: Partial<Frame> = {}): Frame => ({
  ...{ kind: 'frame', version: 1, seed: null, startedAtMs: 0, endedAtMs: 100_000, endsWithinMs: 30_000, store: 'fs' },
  ...over,
});

export const submitted = (over: Partial<Submitted> = {}): Submitted => ({
  ...{ surface: 'v1', target: 'products', key: null, payload: 'p', items: 3 },
  ...{ scheduledAtMs: null, mayStopItself: false, ...over },
});

let exchanges = 0;

/** A request and its answer 10 ms later. */
export function exchange(over: Partial<Exchange> & Pick<Exchange, 'action' | 'sentAtMs'>): Exchange {
  exchanges += 1;
  return {
    ...{ kind: 'exchange', id: exchanges, client: 'c', server: 'api', account: 'acme', method: 'GET', path: '/' },
    ...{ sentWallMs: over.sentAtMs, endedAtMs: over.sentAtMs + 10, status: 200, code: null, retryAfter: false },
    ...{ traceId: null, replayed: false, operationId: 'op', submitted: null, retried: null, owners: ['acme'], ...over },
  };
}

export const submission = (sentAtMs: number, over: Partial<Exchange> = {}): Exchange =>
  exchange({
    action: 'submit',
    sentAtMs,
    method: 'POST',
    status: 202,
    traceId: TRACE,
    submitted: submitted(),
    ...over,
  });

const NOTHING = { pending: 0, running: 0, succeeded: 0, failed: 0, skipped: 0, cancelled: 0, unknown: 0 };

/** Asked for 10 ms before it was seen. `counts` beside zeros; the total is 3. */
export function reading(
  seenAtMs: number,
  { counts = {}, ...over }: Partial<Omit<Reading, 'counts'>> & { counts?: Partial<Reading['counts']> },
): Reading {
  return {
    ...{ kind: 'reading', via: 'status', client: 'c', server: 'api', account: 'acme', operationId: 'op' },
    ...{ owner: 'acme', traceId: TRACE, beganAtMs: seenAtMs - 10, seenAtMs, stream: null, state: 'running' },
    ...{ outcome: null, run: 1, revision: 0, live: true, counts: { total: 3, ...NOTHING, ...counts }, ...over },
  };
}

export function download(endedAtMs: number, rows: readonly Row[], over: Partial<Download> = {}): Download {
  return {
    ...{ kind: 'download', client: 'c', server: 'api', account: 'acme', operationId: 'op' },
    ...{ beganAtMs: endedAtMs - 10, endedAtMs, complete: true, ...packRows(rows), ...over },
  };
}

export const row = (index: number, outcome: Row['outcome'] = 'succeeded', code: string | null = null): Row => ({
  ...{ index, outcome, code },
});

/** Executed and answered 200, unless told otherwise. */
export function call(at: number, key: string, over: Partial<VendorCall> = {}): VendorCall {
  return {
    ...{ kind: 'call', vendor: 'products', at, sentAtMs: at - 1, key: `${UID}:${key}`, traceId: TRACE },
    ...{ method: 'PATCH', status: 200, applied: true, replayed: false, lagMs: 0, ...over },
  };
}

export const vendor = (over: Partial<VendorFacts> = {}): VendorFacts => ({
  ...{ kind: 'vendor', vendor: 'products', honoursKeys: true, isComplete: true, latencyMaxMs: 50, ...over },
});

export const fault = (what: Fault['what'], fromMs: number, toMs: number, whom = 'api'): Fault => ({
  ...{ kind: 'fault', what, whom, fromMs, toMs },
});

export const effects = (over: Partial<TableEffects>): TableEffects => ({
  ...{ kind: 'effects', account: 'acme', operationId: 'op', once: [], more: [], ...over },
});

/** Everything has its place in time; the parts are named so that a test can change one. */
export const story = () => ({
  frame: frame(),
  vendor: vendor(),
  submission: submission(1_000),
  queued: reading(1_010, { via: 'submit', state: 'queued', counts: { pending: 3 } }),
  first: call(1_100, '0'),
  partial: download(1_200, [row(0)], { complete: false }),
  running: reading(1_250, { revision: 2, counts: { pending: 1, running: 1, succeeded: 1 } }),
  second: call(1_300, '1'),
  third: call(1_350, '2', { status: 422, applied: false }),
  ended: reading(2_000, {
    ...{ revision: 5, state: 'ended', outcome: 'partially_succeeded', counts: { succeeded: 2, failed: 1 } },
  }),
  final: download(2_100, [row(0), row(1), row(2, 'failed', 'vendor_rejected')]),
  retry: exchange({
    ...{ action: 'retry', sentAtMs: 3_000, method: 'POST', status: 202, traceId: RETRY_TRACE },
    retried: { fromRun: 1, outcomes: ['failed'], codes: null, indexes: null, corrected: null },
  }),
  retrying: reading(3_010, { via: 'retry', run: 2, state: 'queued', counts: { pending: 1, succeeded: 2 } }),
  again: call(3_100, '2:r2', { traceId: RETRY_TRACE }),
  endedAgain: reading(4_000, {
    ...{ run: 2, revision: 3, state: 'ended', outcome: 'succeeded', counts: { succeeded: 3 } },
  }),
  finalAgain: download(4_100, [row(0), row(1), row(2)]),
});
export type Story = ReturnType<typeof story>;

/** The story with some of its lines changed or taken out (`null`), and more of them. */
export function told(
  changed: { readonly [name in keyof Story]?: HistoryLine | null } = {},
  more: readonly HistoryLine[] = [],
): readonly HistoryLine[] {
  const lines: (HistoryLine | null)[] = Object.values({ ...story(), ...changed });
  return [...lines.filter((line) => line !== null), ...more];
}

/** What the rule says of it, in words. */
export function saidBy(rule: Rule, lines: readonly HistoryLine[]): readonly string[] {
  return judgeHistory({ lines }, [rule]).violations.map(({ text }) => text);
}

export function factsOf(rule: Rule, lines: readonly HistoryLine[]): number {
  return judgeHistory({ lines }, [rule]).facts[rule.name] ?? 0;
}
