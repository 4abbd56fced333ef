import type { Client } from '@temporalio/client';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { describe, expect, it, vi } from 'vitest';
import { noLog } from '../../../src/model/log.ts';
import type { OperationRecord } from '../../../src/model/operation.ts';
import { createNudges } from '../../../src/operations/running/nudges.ts';
import { createStarter } from '../../../src/operations/running/starter.ts';
import { plan } from '../../fixtures/plan.ts';

const record: OperationRecord = {
  version: 1,
  id: 'op',
  account: 'default',
  uid: 'UID',
  key: null,
  fingerprint: 'ff',
  surface: 'v1',
  target: 'products',
  plan: plan(),
  chunkItems: [1],
  total: 1,
  input: { mediaType: 'application/json', bytes: 1, sha256: 'aa' },
  metadata: {},
  priority: 2,
  createdAt: '2026-01-01T00:00:00.000Z',
  scheduledAt: null,
  expiresAt: '2026-01-31T00:00:00.000Z',
  submittedBy: null,
  traceId: 't',
  inlineChunk: 'AAAA',
};
const first = { record, run: null, mode: 'start', again: false } as const;

function starterOn(start: (name: string, options: Record<string, unknown>) => Promise<unknown>) {
  const nudges = createNudges();
  const link = {
    call: <T>(_: number, call: () => Promise<T>) => call(),
    probe: async () => true,
    isDown: () => false,
  };
  const client = { workflow: { start } } as unknown as Client;
  return { nudges, starter: createStarter({ client, link, nudges, deadlineMs: 1_000, log: noLog }) };
}

describe('the starter', () => {
  it('makes one attempt at a time per operation, and shares its answer', async () => {
    const gate = Promise.withResolvers<void>();
    const start = vi.fn(() => gate.promise);
    const { starter } = starterOn(start);
    const answers = Array.from({ length: 100 }, () => starter.start(first));
    gate.resolve();
    expect(new Set(await Promise.all(answers))).toEqual(new Set([true]));
    expect(start).toHaveBeenCalledTimes(1);
    expect(starter.hasStarted(record, 1)).toBe(true);
  });

  it('takes a workflow that stands already for started', async () => {
    const { starter, nudges } = starterOn(async () => {
      throw new WorkflowExecutionAlreadyStartedError('stands', 'default/op', 'operation');
    });
    expect(await starter.start(first)).toBe(true);
    expect(nudges.size).toBe(0);
  });

  it('leaves what failed to the reconciler, and tries again when asked', async () => {
    const start = vi.fn(async () => {
      throw new Error('no');
    });
    const { starter, nudges } = starterOn(start);
    expect(await starter.start(first)).toBe(false);
    expect(await starter.start(first)).toBe(false);
    expect(start).toHaveBeenCalledTimes(2);
    expect(starter.hasStarted(record, 1)).toBe(false);
    expect(nudges.take()).toEqual(['UID']);
  });

  it('gives the workflow its plan and its counts, never an item, and reuses an id only when told', async () => {
    const start = vi.fn(async (_: string, _options: Record<string, unknown>) => undefined);
    const { starter } = starterOn(start);
    await starter.start(first);
    await starter.start({ record, run: null, mode: 'settle', again: true });
    const [firstOptions, again] = start.mock.calls.map(([, options]) => options);
    expect(firstOptions).toMatchObject({
      workflowId: 'default/op',
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      priority: { priorityKey: 2, fairnessKey: expect.stringMatching(/^[0-9a-f]{32}$/) },
      args: [
        { version: 1, mode: 'start', source: { kind: 'record' }, run: 1, total: 1, chunkItems: [1], carried: null },
      ],
    });
    expect(JSON.stringify(firstOptions)).not.toContain('AAAA');
    expect(again).toMatchObject({ workflowIdReusePolicy: 'ALLOW_DUPLICATE', args: [{ mode: 'settle' }] });
  });

  it.each([
    [null, 'queued'],
    ['2001-01-01T00:00:00.000Z', 'queued'],
    ['2999-01-01T00:00:00.000Z', 'scheduled'],
  ])('starts an operation that is scheduled for %s at once, listed as %s', async (scheduledAt, state) => {
    const start = vi.fn(async (_: string, _options: Record<string, unknown>) => undefined);
    const { starter } = starterOn(start);
    expect(await starter.start({ ...first, record: { ...record, scheduledAt } })).toBe(true);
    expect(start.mock.calls[0]?.[1]).toMatchObject({
      args: [{ scheduledAt }],
      typedSearchAttributes: expect.arrayContaining([
        { key: expect.objectContaining({ name: 'TrancheState' }), value: state },
      ]),
    });
  });
});
