import { describe, expect, it } from 'vitest';
import { auditPrefix } from '../../../src/storage/keys.ts';
import { createRecords } from '../../../src/storage/records.ts';
import {
  keysUnder,
  lazyClient,
  onTemporal,
  operationsOn,
  request,
  switchable,
} from '../../fixtures/operations-under-test.ts';

const { env, folder } = onTemporal();

const ann = { subject: 'ann', traceId: 'a'.repeat(32) };
const bob = { subject: 'bob', traceId: 'b'.repeat(32) };
const NO_PORT = 1;

async function submitted(operations = operationsOn(folder.store, env.client)) {
  const traced = { submittedBy: 'sue', traceId: 'c'.repeat(32) };
  const { operation } = await operations.submit(request('{}\n{}\n', traced));
  return { operations, id: operation.id };
}

async function signalsOf(id: string): Promise<(string | null | undefined)[]> {
  const { events } = await env.client.workflow.getHandle(`default/${id}`).fetchHistory();
  const signals = (events ?? []).map((event) => event.workflowExecutionSignaledEventAttributes?.signalName);
  return signals.filter((name) => name !== undefined);
}

describe('the audit trail', () => {
  it('begins with who submitted it, which costs no blob', async () => {
    const { operations, id } = await submitted();
    expect(await operations.audit('default', id)).toEqual([
      {
        ...{ at: expect.any(String), action: 'submitted', by: 'sue', traceId: 'c'.repeat(32) },
        detail: { surface: 'v1', target: 'noop', items: 2 },
      },
    ]);
    expect(await keysUnder(folder.store, auditPrefix('default', id))).toEqual([]);
  });

  it('says who paused and cancelled, in order, to every process', async () => {
    const { operations, id } = await submitted();
    await operations.pause('default', id, ann);
    await operations.cancel('default', id, bob);
    const trail = await operationsOn(folder.store, env.client).audit('default', id);
    expect(trail.slice(1).map(({ action, by, traceId, detail }) => ({ action, by, traceId, detail }))).toEqual([
      { action: 'paused', by: 'ann', traceId: ann.traceId, detail: {} },
      { action: 'cancelled', by: 'bob', traceId: bob.traceId, detail: {} },
    ]);
    expect(trail.map(({ at }) => at)).toEqual([...trail.map(({ at }) => at)].sort());
  });

  it('has a retry by its record', async () => {
    const { operations, id } = await submitted();
    const run = { version: 1, fingerprint: 'f', prefix: 'p', chunkItems: [2, 1], firstIndexes: [0, 2] } as const;
    const base = { succeeded: 0, failed: 0, skipped: 0, cancelled: 0, unknown: 0 };
    const who = { createdAt: new Date().toISOString(), requestedBy: 'ann', traceId: ann.traceId };
    await createRecords(folder.store).createRun('default', id, { ...run, run: 2, base, corrections: null, ...who });
    const [, retried] = await operations.audit('default', id);
    expect(retried).toMatchObject({ action: 'retried', by: 'ann', traceId: ann.traceId, detail: { run: 2, items: 3 } });
  });

  it('has nothing of what was refused', async () => {
    const { operations, id } = await submitted();
    await expect(operations.pause('default', 'nope', ann)).rejects.toMatchObject({ code: 'not_found' });
    const refused = operations.amend('default', id, { priority: 99 }, ann);
    await expect(refused).rejects.toMatchObject({ code: 'invalid_policy' });
    expect(await operations.audit('default', id)).toHaveLength(1);
    await expect(operations.audit('default', 'nope')).rejects.toMatchObject({ code: 'not_found' });
    await expect(operations.audit('other', id)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('says of what nobody answered for that nobody knows', async () => {
    const { id } = await submitted();
    const cutOff = operationsOn(folder.store, lazyClient(NO_PORT));
    await expect(cutOff.pause('default', id, ann)).rejects.toMatchObject({ code: 'unavailable' });
    const [, paused] = await operationsOn(folder.store, env.client).audit('default', id);
    expect(paused).toMatchObject({ action: 'paused', by: 'ann', detail: { unconfirmed: true } });
  });

  it('comes before the deed: where it cannot be written, nothing is done', async () => {
    const away = switchable(folder.store);
    const { operations, id } = await submitted(operationsOn(away.store, env.client));
    away.off = true;
    const amending = operations.amend('default', id, { concurrency: 2 }, ann);
    await expect(amending).rejects.toMatchObject({ code: 'unavailable' });
    expect(await signalsOf(id)).toEqual([]);
    // Only to stop is always possible.
    await operations.cancel('default', id, ann);
    expect(await signalsOf(id)).toEqual(['cancel']);
    away.off = false;
    expect(await operations.audit('default', id)).not.toContainEqual(expect.objectContaining({ action: 'amended' }));
  });
});
