import { describe, expect, it } from 'vitest';
import { renderResultLine } from '../../../src/model/result-line.ts';
import { viewOf } from '../../fixtures/fake-operations.ts';
import { appOver } from './setup.ts';

const ERROR = { code: 'invalid_item', message: 'email: "x", is none', retryable: false };
const ROWS = [
  { label: { email: 'a@example.com' }, outcome: 'succeeded' },
  { label: {}, outcome: 'failed', error: ERROR },
  { label: { email: 'A@example.com' }, outcome: 'skipped', reason: 'duplicate', duplicateOf: 0 },
  { label: { email: 'b@example.com' }, outcome: 'cancelled' },
  { label: { email: '=c@example.com' }, outcome: 'unknown', error: { ...ERROR, message: 'lost' } },
] as const;
const textOf = (piece: number) =>
  ROWS.map((row, n) => {
    const index = piece * ROWS.length + n;
    return `${renderResultLine({ index, line: index + 2, attempts: 1, ...row })}\n`;
  }).join('');
const LOG = [
  { line: 2, entityKey: 'a@example.com', status: 'SUCCESS', reason: null },
  { line: 3, entityKey: null, status: 'FAILED', reason: 'email: "x", is none' },
  { line: 4, entityKey: 'A@example.com', status: 'SKIPPED', reason: 'DUPLICATE' },
  { line: 5, entityKey: 'b@example.com', status: 'SKIPPED', reason: 'CANCELLED' },
  { line: 6, entityKey: '=c@example.com', status: 'FAILED', reason: 'lost' },
];

/** `pieces` result pieces of the five rows above; `read` counts those that were asked for. */
function logged(pieces = 1) {
  const counter = { read: 0, skipped: 0 };
  async function* lines() {
    while (counter.read < pieces) yield Buffer.from(textOf(counter.read++));
  }
  const n = pieces;
  const counts = {
    total: 5 * n,
    pending: 0,
    running: 0,
    succeeded: n,
    failed: n,
    skipped: n,
    cancelled: n,
    unknown: n,
  };
  const operation = viewOf({ id: 'op', state: 'ended', outcome: 'partially_succeeded', counts });
  const results = async ({ fromIndex = 0 }) => {
    counter.skipped = Math.floor(fromIndex / ROWS.length);
    counter.read = counter.skipped;
    return { operation, complete: true, lines: lines() };
  };
  return { counter, app: appOver({ results }).app };
}

const get = async (query: string, pieces = 1) => {
  const { app, counter } = logged(pieces);
  const answer = await app.request(`/bulk-actions/op/logs${query}`);
  return { answer, counter };
};

describe('the log of a bulk action', () => {
  it('says of each row its line, its entity, what became of it and why', async () => {
    const { answer } = await get('');
    const paging = { total: 5, page: 1, limit: 100, totalPages: 1, complete: true };
    expect(await answer.json()).toEqual({ data: LOG, ...paging });
    expect(answer.headers.get('X-Total-Count')).toBe('5');
    expect(answer.headers.get('Results-Complete')).toBe('?1');
  });

  it.each([
    ['?status=success', [0]],
    ['?status=FAILED', [1, 4]],
    ['?status=SKIPPED', [2, 3]],
    ['?entityKey=a@EXAMPLE.com', [0, 2]],
    ['?entityKey=a@example.com&status=SKIPPED', [2]],
    ['?entityKey=nobody', []],
    ['?page=2&limit=2', [2, 3]],
    ['?page=4&limit=2', []],
    ['?page=2&limit=1&entityKey=a@example.com', [2]],
  ])('filters and pages by %s', async (query, expected) => {
    const { answer } = await get(query);
    expect(((await answer.json()) as { data: unknown }).data).toEqual(expected.map((at) => LOG[at]));
  });

  it('counts what fits the filter, not what fits the page', async () => {
    expect((await get('?status=FAILED&limit=1', 10)).answer.headers.get('X-Total-Count')).toBe('20');
    expect((await get('?entityKey=a@example.com&limit=1', 10)).answer.headers.get('X-Total-Count')).toBe('20');
    expect((await get('?entityKey=nobody', 10)).answer.headers.get('X-Total-Count')).toBe('0');
  });

  it('reads no further than the page, and nothing for a page behind the last', async () => {
    expect((await get('?limit=10', 1_000)).counter.read).toBe(2);
    const { answer, counter } = await get('?page=401&limit=7', 1_000);
    expect(counter).toEqual({ skipped: 560, read: 562 });
    expect(((await answer.json()) as { data: { line: number }[] }).data.map(({ line }) => line)).toEqual(
      Array.from({ length: 7 }, (_, n) => 2_802 + n),
    );
    const behind = await get('?page=900000&limit=10', 1_000);
    expect(behind.counter.read).toBe(behind.counter.skipped);
  });

  it('is a CSV to download, whole or by page, with formulas guarded where asked', async () => {
    const { answer } = await get('?format=csv');
    expect(answer.headers.get('Content-Disposition')).toBe('attachment; filename="op-logs.csv"');
    const rows = (await answer.text()).split('\r\n');
    expect(rows.slice(0, 4)).toEqual([
      'line,entityKey,status,reason',
      '2,a@example.com,SUCCESS,',
      '3,,FAILED,"email: ""x"", is none"',
      '4,A@example.com,SKIPPED,DUPLICATE',
    ]);
    expect(rows).toHaveLength(7);
    expect(rows[5]).toBe('6,=c@example.com,FAILED,lost');
    const guarded = await (await get('?format=csv&escape=spreadsheet&status=FAILED&limit=1&page=2')).answer.text();
    expect(guarded).toBe("line,entityKey,status,reason\r\n6,'=c@example.com,FAILED,lost\r\n");
    const many = await (await get('?format=csv&page=3&limit=700', 1_000)).answer.text();
    expect(many.split('\r\n')).toHaveLength(702);
  });

  it.each(['?status=DONE', '?format=xml', '?page=0', '?limit=1001', '?escape=html'])(
    'answers 400 to %s',
    async (query) => {
      expect((await get(query)).answer.status).toBe(400);
    },
  );
});
