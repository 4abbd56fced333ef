import type { Client } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import type { TemporalLink } from '../../../src/operations/running/temporal-link.ts';
import { createPager } from '../../../src/operations/status/page.ts';
import type { Status } from '../../../src/operations/status/status.ts';
import { viewOf } from '../../fixtures/fake-operations.ts';

const BEGAN = Date.parse('2026-01-01T00:00:00.000Z');

interface FakeRow {
  readonly id: string;
  readonly startedAtMs: number;
  /** As the starter writes it; absent on rows of an older release. */
  readonly createdAtMs?: number;
}

function executionOf({ id, startedAtMs, createdAtMs }: FakeRow) {
  const json = (value: string) => ({ data: Buffer.from(JSON.stringify(value)) });
  return {
    execution: { workflowId: `acme/${id}`, runId: 'r' },
    startTime: { seconds: Math.floor(startedAtMs / 1_000) },
    searchAttributes: { indexedFields: { TrancheState: json('queued') } },
    ...(createdAtMs === undefined
      ? {}
      : { memo: { fields: { createdAt: json(new Date(createdAtMs).toISOString()) } } }),
  };
}

function pagerOver(rows: readonly FakeRow[], counted = rows.length) {
  const calls = { lists: 0, counts: 0 };
  const workflowService = {
    async listWorkflowExecutions({ pageSize, nextPageToken }: { pageSize: number; nextPageToken?: Buffer }) {
      calls.lists++;
      const from = nextPageToken === undefined ? 0 : Number(nextPageToken.toString());
      const to = from + pageSize;
      const token = to < rows.length ? Buffer.from(String(to)) : Buffer.alloc(0);
      return { executions: rows.slice(from, to).map(executionOf), nextPageToken: token };
    },
    async countWorkflowExecutions() {
      calls.counts++;
      return { count: counted };
    },
  };
  // Only what the pager uses of each.
  const client = { options: { namespace: 'default' }, workflowService } as unknown as Client;
  const link = { call: (_deadlineMs: number, work: () => Promise<unknown>) => work() } as unknown as TemporalLink;
  const stored = async (account: string, id: string) => viewOf({ account, id, state: 'queued' });
  const pager = createPager({ client, link, status: { stored } as unknown as Status, deadlineMs: 1_000 });
  const page = async (number: number, limit: number) => {
    const filter = { account: 'acme', surface: 'bulk-actions', states: null, outcomes: null } as const;
    const { data, total } = await pager.page({ ...filter, page: number, limit });
    return { ids: data.map(({ id }) => id), total };
  };
  return { calls, page };
}

describe('a page of many operations', () => {
  it('is the newest by the time of acceptance, whatever order visibility has', async () => {
    const rows = Array.from({ length: 2_500 }, (_, n) => ({ id: `op${n}`, startedAtMs: BEGAN + n * 1_000 }));
    const { calls, page } = pagerOver(rows);
    expect(await page(1, 3)).toEqual({ ids: ['op2499', 'op2498', 'op2497'], total: 2_500 });
    expect((await page(834, 3)).ids).toEqual(['op0']);
    expect(await page(835, 3)).toEqual({ ids: [], total: 2_500 });
    expect(calls).toEqual({ lists: 3, counts: 0 });
  });

  it('has an operation once, where it was accepted, however often it was retried or continued', async () => {
    const { page } = pagerOver([
      { id: 'old', startedAtMs: BEGAN + 9_000, createdAtMs: BEGAN },
      { id: 'new', startedAtMs: BEGAN + 5_000, createdAtMs: BEGAN + 5_000 },
      { id: 'old', startedAtMs: BEGAN, createdAtMs: BEGAN },
      { id: 'unnoted', startedAtMs: BEGAN + 8_000 },
      { id: 'unnoted', startedAtMs: BEGAN + 2_000 },
    ]);
    expect(await page(1, 10)).toEqual({ ids: ['new', 'unnoted', 'old'], total: 3 });
  });

  it('reads 10,000 rows at most, and lets the server count the rest', async () => {
    const rows = Array.from({ length: 12_000 }, (_, n) => ({ id: `op${n}`, startedAtMs: BEGAN - n * 1_000 }));
    const { calls, page } = pagerOver(rows, 12_345);
    expect(await page(1, 2)).toEqual({ ids: ['op0', 'op1'], total: 12_345 });
    expect((await page(100, 100)).ids.at(-1)).toBe('op9999');
    expect(await page(101, 100)).toEqual({ ids: [], total: 12_345 });
    expect(calls).toEqual({ lists: 10, counts: 1 });
  });
});
