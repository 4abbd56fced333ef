import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TrancheError } from '../../../src/model/errors.ts';
import type { OperationState } from '../../../src/model/operation.ts';
import { createAudit } from '../../../src/operations/audit.ts';
import type { Status } from '../../../src/operations/status/status.ts';
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

function auditOf(state: OperationState, fresh = state, run = 1, store = folder.store) {
  const logged: unknown[] = [];
  const storage = { store, records: createRecords(store), segments: createSegments(store) };
  const view = (at: OperationState) => viewOf({ id: 'op', account: 'acme', state: at, run });
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
    ['paused', true],
    ['cancelled', true],
    ['amended', false],
  ] as const)('on a full disk %s takes place: %s', async (action, takesPlace) => {
    const full = () => Promise.reject(new Error('ENOSPC'));
    const { audit, logged } = auditOf('running', 'running', 1, { ...folder.store, create: full, put: full });
    let did = false;
    const verb = async () => {
      did = true;
      return await done();
    };
    const recorded = audit.recorded({ ...act, action }, verb);
    if (takesPlace) expect(await recorded).toMatchObject({ settled: true });
    else await expect(recorded).rejects.toMatchObject({ code: 'unavailable' });
    expect(did).toBe(takesPlace);
    const message = 'an audit entry could not be written before its deed';
    expect(logged.filter((line) => (line as { message: string }).message === message)).toHaveLength(takesPlace ? 1 : 0);
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

  it('says once what is asked again and again, also where no state tells that it is so already', async () => {
    const { audit, entries } = auditOf('scheduled');
    for (let n = 0; n < 5; n++) await audit.recorded(act, done);
    expect(await entries()).toHaveLength(1);
    const amended = (priority: number) => ({ ...act, action: 'amended', detail: { priority } }) as const;
    for (const priority of [4, 4, 5, 4, 4]) await audit.recorded(amended(priority), done);
    await audit.recorded({ ...amended(4), actor: { ...actor, subject: 'bob' } }, done);
    await audit.recorded(amended(4), done);
    expect((await entries()).map(({ action, by, detail }) => [action, by, detail['priority']])).toEqual([
      ['paused', 'ann', undefined],
      ['amended', 'ann', 4],
      ['amended', 'ann', 5],
      ['amended', 'ann', 4],
      ['amended', 'bob', 4],
      ['amended', 'ann', 4],
    ]);
  });

  it('says once what is tried again and again in vain, and confirms it when it is done', async () => {
    const { audit, entries } = auditOf('running');
    const lost = () => Promise.reject(new TrancheError('unavailable', 'later'));
    for (let n = 0; n < 5; n++) await expect(audit.recorded(act, lost)).rejects.toMatchObject({ code: 'unavailable' });
    expect(await entries()).toMatchObject([{ detail: { unconfirmed: true } }]);
    await audit.recorded(act, done);
    expect((await entries()).map(({ detail }) => detail)).toEqual([{}]);
  });

  it('says it again where somebody else did another thing meanwhile', async () => {
    const { audit, entries } = auditOf('running');
    await audit.recorded(act, done);
    await audit.recorded(act, async () => {
      await audit.recorded({ ...act, action: 'amended' }, done);
      return await done();
    });
    expect((await entries()).map(({ action }) => action)).toEqual(['paused', 'amended', 'paused']);
  });

  it('says it again in another run', async () => {
    const { audit, entries } = auditOf('running');
    await audit.recorded(act, done);
    const base = { succeeded: 0, failed: 0, skipped: 0, cancelled: 0, unknown: 0 };
    const source = { fingerprint: 'f', prefix: 'p', chunkItems: [1], firstIndexes: [0], corrections: null } as const;
    const createdAt = new Date(Date.now() + 1).toISOString();
    const run = { version: 1, run: 2, base, ...source, createdAt, requestedBy: 'ann', traceId: 't' } as const;
    await createRecords(folder.store).createRun('acme', 'op', run);
    const { audit: later } = auditOf('running', 'running', 2);
    await later.recorded(act, done);
    expect(await entries()).toHaveLength(2);
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
