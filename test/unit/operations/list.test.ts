import type { Client } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import type { OperationView } from '../../../src/operations/operations.ts';
import type { TemporalLink } from '../../../src/operations/running/temporal-link.ts';
import { createLister } from '../../../src/operations/status/list.ts';
import type { Status } from '../../../src/operations/status/status.ts';
import { viewOf } from '../../fixtures/fake-operations.ts';

/** Visibility has one operation; `now` is what a status would show of it. */
function listerOver(now: { view: OperationView }) {
  const json = (value: string) => ({ data: Buffer.from(JSON.stringify(value)) });
  const calls = { lists: 0 };
  const workflowService = {
    async listWorkflowExecutions() {
      calls.lists++;
      const searchAttributes = { indexedFields: { TrancheState: json('running') } };
      return { executions: [{ execution: { workflowId: 'acme/op', runId: 'r' }, searchAttributes }] };
    },
  };
  // Only what the lister uses of each.
  const client = { options: { namespace: 'default' }, workflowService } as unknown as Client;
  const link = { call: (_deadlineMs: number, work: () => Promise<unknown>) => work() } as unknown as TemporalLink;
  const status = { stored: async () => now.view } as unknown as Status;
  return { calls, ...createLister({ client, link, status, deadlineMs: 1_000 }) };
}

const running = (revision: number, succeeded: number): OperationView => {
  const view = viewOf({ account: 'acme', id: 'op', state: 'running' });
  return { ...view, revision, counts: { ...view.counts, succeeded } };
};

describe('a list that is shared for a second', () => {
  it('shows nothing that is older than what was shown of an operation meanwhile, and asks visibility once', async () => {
    const now = { view: running(3, 10) };
    const { calls, list } = listerOver(now);
    const request = { account: 'acme', limit: 10 };
    expect((await list(request)).data[0]).toMatchObject({ revision: 3, counts: { succeeded: 10 } });
    now.view = running(8, 250);
    expect((await list(request)).data[0]).toMatchObject({ revision: 8, counts: { succeeded: 250 } });
    expect(calls.lists).toBe(1);
  });

  it('leaves out what no longer is as it was asked for', async () => {
    const now = { view: running(3, 10) };
    const { list } = listerOver(now);
    const request = { account: 'acme', limit: 10, state: 'running' } as const;
    expect((await list(request)).data).toHaveLength(1);
    now.view = { ...running(9, 300), state: 'ended', outcome: 'succeeded' };
    expect((await list(request)).data).toEqual([]);
  });
});
