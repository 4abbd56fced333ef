import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { isTrancheError } from '../../../src/model/errors.ts';
import type { RunningOperations } from '../../../src/operations/index.ts';
import type { Operations } from '../../../src/operations/operations.ts';
import type { BlobStore } from '../../../src/storage/blob-store.ts';
import { createRecords } from '../../../src/storage/records.ts';
import { endedOperation, recordOf } from '../../fixtures/ended-operations.ts';
import {
  ACTOR,
  dyingAfter,
  eventually,
  keysUnder,
  lazyClient,
  onTemporal,
  operationsOn,
  request,
} from '../../fixtures/operations-under-test.ts';

const { env, folder } = onTemporal();
const NO_PORT = 1;
const ROOTS = ['operations/', 'data/', 'open/', 'audit/', 'ended/', 'purging/', 'keyless/', 'sweep/'];
const OUTCOMES = ['succeeded', 'failed', 'succeeded'] as const;

const process = () => operationsOn(folder.store, env.client);

async function keysOf(store: BlobStore, what: string): Promise<readonly string[]> {
  const keys = (await Promise.all(ROOTS.map((root) => keysUnder(store, root)))).flat();
  return keys.filter((key) => key.includes(what)).sort();
}

function ended(operations: RunningOperations, over: Parameters<typeof endedOperation>[2] = {}) {
  return endedOperation({ operations, store: folder.store }, OUTCOMES, over);
}

/** Everything that can be asked of an operation. */
function reads(operations: Operations, account: string, id: string): Readonly<Record<string, () => Promise<unknown>>> {
  const retry = { outcomes: [], codes: null, indexes: null, corrections: null, actor: ACTOR } as const;
  return {
    get: () => operations.get(account, id),
    results: () => operations.results({ account, id }),
    errors: () => operations.errors(account, id),
    item: () => operations.item(account, id, 0),
    itemInput: () => operations.itemInput(account, id, 0),
    input: () => operations.input(account, id),
    deadLetters: () => operations.deadLetters({ account, id, outcomes: [], format: 'ndjson' }),
    audit: () => operations.audit(account, id),
    job: () => operations.job(account, id),
    pause: () => operations.pause(account, id, ACTOR),
    resume: () => operations.resume(account, id, ACTOR),
    cancel: () => operations.cancel(account, id, ACTOR),
    amend: () => operations.amend(account, id, { concurrency: 2 }, ACTOR),
    retry: () => operations.retry({ account, id, fromRun: 1, ...retry, signal: new AbortController().signal }),
  };
}

const GONE = {
  code: 'gone',
  facts: {
    operation: {
      ...{ target: 'noop', state: 'ended', outcome: 'partially_succeeded', run: 1, cause: 'purged' },
      counts: { total: 3, pending: 0, running: 0, succeeded: 2, failed: 1, skipped: 0, cancelled: 0, unknown: 0 },
    },
  },
};

describe('a purge', () => {
  it('leaves a tombstone, and nothing else of what the operation held', async () => {
    const operations = process();
    const { id, uid } = await ended(operations);
    expect((await keysOf(folder.store, uid)).some((key) => key.startsWith('data/'))).toBe(true);
    await operations.purge('default', id, ACTOR);
    const left = (await keysOf(folder.store, id)).map((key) => key.split('/')[0]);
    expect([...new Set(left)].sort()).toEqual(['audit', 'ended', 'operations', 'purging']);
    expect(await keysUnder(folder.store, `operations/`)).toEqual([expect.stringMatching(/~operation\.json$/)]);
    expect(await keysUnder(folder.store, 'data/')).toEqual([]);
    await expect(env.client.workflow.getHandle(`default/${id}`).describe()).rejects.toThrow();
  });

  it('answers every verb with the final counts afterwards, in every process, and other accounts as ever', async () => {
    const [operations, other] = [process(), process()];
    const { id } = await ended(operations);
    // It knows the operation by heart.
    await other.get('default', id);
    await operations.purge('default', id, ACTOR);
    for (const each of [operations, other, process()]) {
      for (const [verb, read] of Object.entries(reads(each, 'default', id))) {
        await expect(read(), verb).rejects.toMatchObject({ ...GONE, facts: { operation: { id } } });
      }
    }
    await expect(operations.get('default', id)).rejects.toMatchObject(GONE);
    await expect(operations.get('another', id)).rejects.toMatchObject({ code: 'not_found' });
    await expect(operations.purge('another', id, ACTOR)).rejects.toMatchObject({ code: 'not_found' });
    await expect(operations.purge('default', 'never-was', ACTOR)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('keeps the audit trail, who purged it included', async () => {
    const operations = process();
    const { id } = await ended(operations, { submittedBy: 'sue' });
    await operations.purge('default', id, { subject: 'pam', traceId: 'p'.repeat(32) });
    const error: unknown = await operations.audit('default', id).catch((it: unknown) => it);
    const audit = isTrancheError(error) ? error.facts.audit : undefined;
    expect(audit?.map(({ action, by, detail }) => ({ action, by, detail }))).toEqual([
      { action: 'submitted', by: 'sue', detail: { surface: 'v1', target: 'noop', items: 3 } },
      { action: 'purged', by: 'pam', detail: {} },
    ]);
  });

  it('is not shown in lists any more', async () => {
    const operations = process();
    const { id } = await ended(operations, { account: 'lister' });
    const ids = async () => (await operations.list({ account: 'lister', limit: 10 })).data.map((it) => it.id);
    await eventually(async () => (await ids()).includes(id));
    await operations.purge('lister', id, ACTOR);
    await eventually(async () => !(await ids()).includes(id));
    expect((await process().list({ account: 'lister', limit: 10 })).data).toEqual([]);
  });

  it('is refused as long as the operation goes on, and changes nothing then', async () => {
    const operations = process();
    const { operation } = await operations.submit(request('{}\n'));
    const before = await keysOf(folder.store, '');
    const refused = operations.purge('default', operation.id, ACTOR);
    await expect(refused).rejects.toMatchObject({ code: 'illegal_transition', facts: { currentState: 'queued' } });
    expect(await keysOf(folder.store, '')).toEqual(before);
    expect((await operations.audit('default', operation.id)).map(({ action }) => action)).toEqual(['submitted']);
  });

  it('is the same asked for twice, by two processes at once, and once more', async () => {
    const { id } = await ended(process());
    const [a, b] = [process(), process()];
    await Promise.all([a.purge('default', id, ACTOR), b.purge('default', id, ACTOR), a.purge('default', id, ACTOR)]);
    await b.purge('default', id, ACTOR);
    await expect(process().get('default', id)).rejects.toMatchObject(GONE);
    expect(await keysUnder(folder.store, 'operations/')).toHaveLength(1);
  });

  it('and a retry at the same moment: one of them wins, wholly', async () => {
    const seen = new Set<string>();
    for (let round = 0; round < 8; round++) {
      const { id, uid } = await ended(process());
      const [a, b] = [process(), process()];
      const outcome = (error: unknown) => (isTrancheError(error) ? error.code : String(error));
      // Neither is always the quicker one.
      if (round % 3 === 0) await Promise.all([a.get('default', id), b.get('default', id)]);
      const retrying = reads(b, 'default', id)
        ['retry']?.()
        .then(() => 'done', outcome);
      if (round % 2 === 0) await new Promise((wake) => setTimeout(wake, round));
      const [purged, retried] = await Promise.all([
        a.purge('default', id, ACTOR).then(() => 'done', outcome),
        retrying,
      ]);
      seen.add(`${purged}/${retried}`);
      const run = await createRecords(folder.store).readRun('default', id, 2);
      if (purged === 'done') {
        expect(retried).toBe('gone');
        expect(run).toBeNull();
        expect(await keysUnder(folder.store, 'open/')).not.toContain(`open/${uid}-2`);
        await expect(process().get('default', id)).rejects.toMatchObject(GONE);
      } else {
        expect([purged, retried]).toEqual(['illegal_transition', 'done']);
        expect(run).not.toBeNull();
        expect((await process().get('default', id)).run).toBe(2);
      }
    }
    expect([...seen].every((each) => ['done/gone', 'illegal_transition/done'].includes(each))).toBe(true);
  });
});

describe('the key of a purged operation', () => {
  it('stays taken: the same request is not done again, another one is refused, and neither leaves a blob', async () => {
    const operations = process();
    const { id } = await ended(operations, { key: 'order-7' });
    await operations.purge('default', id, ACTOR);
    const before = await keysOf(folder.store, '');
    const body = OUTCOMES.map((_, n) => `{"n":${n}}\n`).join('');
    for (const each of [operations, process()]) {
      await expect(each.submit(request(body, { key: 'order-7' }))).rejects.toMatchObject(GONE);
      const reused = each.submit(request('{"n":9}\n', { key: 'order-7' }));
      await expect(reused).rejects.toMatchObject({ code: 'idempotency_key_reused' });
    }
    expect(await keysOf(folder.store, '')).toEqual(before);
  });

  it('is nobody’s where there was none: an identical body is a request of its own', async () => {
    const operations = process();
    const keyless = { surface: 'product-bulk', keylessReplayWindowMs: 60_000 } as const;
    const { id } = await ended(operations, keyless);
    const body = OUTCOMES.map((_, n) => `{"n":${n}}\n`).join('');
    expect((await operations.submit(request(body, keyless))).replayed).toBe(true);
    await operations.purge('default', id, ACTOR);
    const anew = await operations.submit(request(body, keyless));
    expect(anew.replayed).toBe(false);
    expect(anew.operation.id).not.toBe(id);
  });
});

describe('a reader of results while they are purged', () => {
  it('never sees items that were applied as cancelled: it is told that they are gone', async () => {
    const operations = process();
    const { id } = await ended(operations);
    const { lines } = await operations.results({ account: 'default', id });
    await process().purge('default', id, ACTOR);
    await expect(Readable.from(lines).toArray()).rejects.toMatchObject(GONE);
  });

  it('gets all lines or a torn stream where it was under way', async () => {
    const operations = process();
    const intake = { chunkItems: 1 };
    const { id, uid } = await ended(operations, { intake });
    const { lines } = await operations.results({ account: 'default', id });
    const read = Readable.from(lines).toArray();
    await operations.purge('default', id, ACTOR);
    const text = await read.then(
      (pieces) => Buffer.concat(pieces).toString('utf8'),
      () => null,
    );
    if (text !== null) expect(text).not.toContain('cancelled');
    expect(await keysOf(folder.store, `data/${uid}`)).toEqual([]);
  });
});

describe('a purge whose process dies', () => {
  it('at any of its writes is either not done, or is finished by another process', async () => {
    let undone = 0;
    let died = true;
    for (let writes = 0; died; writes++) {
      expect(writes).toBeLessThan(40);
      const { id, uid } = await ended(process());
      const dying = dyingAfter(folder.store, writes);
      await operationsOn(dying.store, env.client)
        .purge('default', id, ACTOR)
        .catch(() => {});
      ({ died } = dying);
      const sealed = (await createRecords(folder.store).readSeal('default', id, 2)) !== null;
      const isGone = (await createRecords(folder.store).readStanding('default', id))?.tombstone != null;
      if (!sealed && !isGone) {
        undone++;
        expect((await process().get('default', id)).counts.succeeded).toBe(2);
        continue;
      }
      const sweeping = operationsOn(folder.store, env.client, { reconcileIntervalMs: 20 });
      sweeping.start();
      await eventually(async () => (await keysOf(folder.store, uid)).every((key) => !/^(data|open)/.test(key)));
      await eventually(
        async () => (await keysUnder(folder.store, 'operations/')).filter((it) => it.includes(id)).length === 1,
      );
      await sweeping.stop();
      await expect(process().get('default', id)).rejects.toMatchObject(GONE);
    }
    expect(undone).toBeGreaterThan(0);
  });

  it('with Temporal away has its blobs deleted at once, and its workflow once Temporal is back', async () => {
    const { id } = await ended(process());
    const away = operationsOn(folder.store, lazyClient(NO_PORT));
    await away.purge('default', id, ACTOR);
    await expect(away.get('default', id)).rejects.toMatchObject(GONE);
    expect(await keysUnder(folder.store, 'data/')).toEqual([]);
    expect((await env.client.workflow.getHandle(`default/${id}`).describe()).status.name).toBe('RUNNING');
    const back = operationsOn(folder.store, env.client, { reconcileIntervalMs: 20 });
    back.start();
    await eventually(async () => {
      await expect(env.client.workflow.getHandle(`default/${id}`).describe()).rejects.toThrow();
    });
    await eventually(async () => (await keysUnder(folder.store, 'purging/')).length === 0);
    await back.stop();
  });

  it('is not begun again by anybody: neither its workflow nor its record comes back', async () => {
    const operations = process();
    const record = await ended(operations, { key: 'once' });
    // As a process leaves it that dies between the summary and the end of the marker.
    const records = createRecords(folder.store);
    const { account, id, uid } = record;
    await records.putOpen({ version: 1, uid, account, operationId: id, leaseAt: 0 });
    await operations.purge(account, id, ACTOR);
    const reconciling = operationsOn(folder.store, env.client, { reconcileIntervalMs: 20, stagingLeaseMs: 100 });
    await records.putOpen({ version: 1, uid, account, operationId: id, leaseAt: 0 });
    reconciling.start();
    await eventually(async () => (await keysUnder(folder.store, 'open/')).length === 0);
    await reconciling.stop();
    await expect(env.client.workflow.getHandle(`${account}/${id}`).describe()).rejects.toThrow();
    await expect(recordOf(folder.store, account, id)).rejects.toThrow('no record');
  });
});
