import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TrancheError } from '../../../src/model/errors.ts';
import type { OperationState } from '../../../src/model/operation.ts';
import { createAudit } from '../../../src/operations/audit.ts';
import type { Status } from '../../../src/operations/status.ts';
import { createAuditStore } from '../../../src/storage/audit.ts';
import { createRecords } from '../../../src/storage/records.ts';
import { createSegments } from '../../../src/storage/segments.ts';
import { viewOf } from '../../fixtures/fake-operations.ts';
import { type Folder, openFolder } from '../../fixtures/operations-under-test.ts';

let folder: Folder;
beforeEach(async () => {
  folder = await openFolder();
});
afterEach(() => folder.remove());

const actor = { subject: 'ann', traceId: 'a'.repeat(32) };
const act = { action: 'paused', account: 'acme', id: 'op', actor } as const;

function auditOf(state: OperationState, fresh = state) {
  const logged: unknown[] = [];
  const { store } = folder;
  const storage = { store, records: createRecords(store), segments: createSegments(store) };
  const view = (at: OperationState) => viewOf({ id: 'op', account: 'acme', state: at });
  // Only what the trail asks of it.
  const status = { get: async () => view(state), fresh: async () => view(fresh) } as unknown as Status;
  const log = (level: string, message: string, facts?: object) => void logged.push({ level, message, ...facts });
  const audit = createAudit({ storage, status, storeDeadlineMs: 1_000, log });
  return { audit, logged, entries: () => createAuditStore(folder.store).read('acme', 'op') };
}

const done = async () => ({ operation: viewOf({ id: 'op' }), settled: true });

describe('the audit trail around a verb', () => {
  it('has the entry before the deed, unconfirmed, and confirms it afterwards', async () => {
    const { audit, entries, logged } = auditOf('running');
    let during: unknown;
    await audit.recorded({ ...act, detail: { why: 'x' } }, async () => {
      during = await entries();
      return await done();
    });
    const entry = { at: expect.any(String), action: 'paused', by: 'ann', traceId: actor.traceId };
    expect(during).toEqual([{ ...entry, detail: { why: 'x', unconfirmed: true } }]);
    expect(await entries()).toEqual([{ ...entry, detail: { why: 'x' } }]);
    const line = { operationId: 'op', account: 'acme', action: 'paused', by: 'ann', traceId: actor.traceId };
    expect(logged).toEqual([{ level: 'info', message: 'audit', ...line, detail: { why: 'x' } }]);
  });

  it.each([
    ['illegal_transition', 0],
    ['not_found', 0],
    ['unavailable', 1],
  ] as const)('takes it back where the deed was refused as %s: %i entries stay', async (code, left) => {
    const { audit, entries, logged } = auditOf('running');
    const verb = () => Promise.reject(new TrancheError(code, 'no'));
    await expect(audit.recorded(act, verb)).rejects.toMatchObject({ code });
    const stay = await entries();
    expect(stay).toHaveLength(left);
    for (const { detail } of stay) expect(detail).toEqual({ unconfirmed: true });
    expect(logged).toEqual([]);
  });

  it('writes nothing for what is so already, but asks the workflow before it believes that', async () => {
    const settled = auditOf('paused');
    await settled.audit.recorded(act, done);
    expect(await settled.entries()).toEqual([]);
    const stale = auditOf('paused', 'running');
    await stale.audit.recorded(act, done);
    expect(await stale.entries()).toHaveLength(1);
  });

  it('shows the newest thousand, oldest first', async () => {
    const trail = createAuditStore(folder.store);
    const name = (n: number) => `01J${String(n).padStart(23, '0')}`;
    const entry = { at: new Date().toISOString(), action: 'paused', by: null, traceId: 't' } as const;
    const numbers = Array.from({ length: 1_010 }, (_, n) => n);
    await Promise.all(numbers.map((n) => trail.create('acme', 'op', name(n), { ...entry, detail: { n } })));
    const shown = await trail.read('acme', 'op');
    expect(shown.map(({ detail }) => detail['n'])).toEqual(numbers.slice(10));
    await expect(trail.create('acme', 'op', name(5), { ...entry, detail: {} })).rejects.toThrow(/exists/);
  });
});
