import { describe, expect, it, vi } from 'vitest';
import type { BlobStore } from '../../../src/storage/blob-store.ts';
import { createRecords } from '../../../src/storage/records.ts';
import { keysUnder, onTemporal, operationsOn, request, switchable } from '../../fixtures/operations-under-test.ts';

const BODY = '{"n":1}\n{"n":2}\n';

const { env, folder } = onTemporal();

let accounts = 0;
const freshAccount = () => `account-${accounts++}`;

async function describeWorkflow(account: string, id: string) {
  return await env.client.workflow.getHandle(`${account}/${id}`).describe();
}

describe('submit', () => {
  it('keeps the operation and starts its workflow', async () => {
    const account = freshAccount();
    const { operation, replayed } = await operationsOn(folder.store, env.client).submit(request(BODY, { account }));
    expect(replayed).toBe(false);
    expect(operation).toMatchObject({ account, state: 'queued', live: true, revision: 0, counts: { total: 2 } });
    expect((await describeWorkflow(account, operation.id)).status.name).toBe('RUNNING');
    const record = await createRecords(folder.store).readRecord(account, operation.id);
    expect(record?.inlineChunk).not.toBeNull();
    expect(await keysUnder(folder.store, 'data/')).toEqual([]);
    expect(await keysUnder(folder.store, 'open/')).toHaveLength(1);
  });

  it('takes a scheduled request again when its time is over, and refuses one that comes too late at first', async () => {
    const account = freshAccount();
    const operations = operationsOn(folder.store, env.client);
    const scheduledAt = new Date(Date.now() + 700).toISOString();
    const scheduled = (key: string, body = BODY) => request(body, { account, key, scheduledAt });
    expect(await operations.submit(scheduled('in-time'))).toMatchObject({ replayed: false });
    await vi.waitUntil(() => Date.now() > Date.parse(scheduledAt), { timeout: 5_000 });
    const kept = await keysUnder(folder.store, 'operations/');
    const again = await operations.submit(scheduled('in-time'));
    expect(again).toMatchObject({ replayed: true, operation: { id: 'in-time', scheduledAt } });
    const other = operations.submit(scheduled('in-time', '{"n":9}\n'));
    await expect(other).rejects.toMatchObject({ code: 'idempotency_key_reused' });
    await expect(operations.submit(scheduled('too-late'))).rejects.toMatchObject({ code: 'invalid_policy' });
    expect(await keysUnder(folder.store, 'operations/')).toEqual(kept);
    const lenient = { ...scheduled('surface'), readFields: () => ({}) };
    expect(await operations.submit(lenient)).toMatchObject({ replayed: false, operation: { state: 'queued' } });
  });

  it('makes one operation and one start of 100 concurrent requests with one key', async () => {
    const account = freshAccount();
    const operations = operationsOn(folder.store, env.client);
    const start = vi.spyOn(env.client.workflowService, 'startWorkflowExecution');
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => operations.submit(request(BODY, { account, key: 'one-key' }))),
    );
    expect(new Set(answers.map(({ operation }) => operation.id))).toEqual(new Set(['one-key']));
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
    expect(start).toHaveBeenCalledTimes(1);
    start.mockRestore();
    expect(await keysUnder(folder.store, `operations/${account}/`)).toHaveLength(1);
    expect(await keysUnder(folder.store, 'open/')).toHaveLength(1);
  });

  it('makes one operation of two processes racing with one key, and keeps only the winner’s chunks', async () => {
    const account = freshAccount();
    const large = `${JSON.stringify({ text: 'x'.repeat(60_000) })}\n`;
    const processes = [operationsOn(folder.store, env.client), operationsOn(folder.store, env.client)];
    const answers = await Promise.all(processes.map((p) => p.submit(request(large, { account, key: 'raced' }))));
    expect(answers.map(({ replayed }) => replayed).sort()).toEqual([false, true]);
    const record = await createRecords(folder.store).readRecord(account, 'raced');
    const chunks = await keysUnder(folder.store, 'data/');
    expect(chunks).toHaveLength(1);
    expect(chunks[0]).toContain(record?.uid);
  });

  it('refuses a key with other bytes, another target, another policy, and keeps nothing of it', async () => {
    const account = freshAccount();
    const operations = operationsOn(folder.store, env.client);
    const key = 'used';
    await operations.submit(request(BODY, { account, key }));
    const before = [await keysUnder(folder.store, 'data/'), await keysUnder(folder.store, 'open/')];
    for (const other of [
      request(`${BODY}{}\n`, { account, key }),
      request(`${JSON.stringify('x'.repeat(60_000))}\n`, { account, key }),
      request(BODY, { account, key, target: 'products' }),
      request(BODY, { account, key, policy: { concurrency: 2 } }),
    ]) {
      await expect(operations.submit(other)).rejects.toMatchObject({ code: 'idempotency_key_reused' });
    }
    expect([await keysUnder(folder.store, 'data/'), await keysUnder(folder.store, 'open/')]).toEqual(before);
  });

  it('tells a client’s own k_ key from the name made of another’s', async () => {
    const account = freshAccount();
    const operations = operationsOn(folder.store, env.client);
    const { operation } = await operations.submit(request(BODY, { account, key: 'a key with spaces' }));
    expect(operation.id).toMatch(/^k_[a-z2-7]{52}$/);
    await expect(operations.submit(request(BODY, { account, key: operation.id }))).rejects.toMatchObject({
      code: 'idempotency_key_reused',
    });
    const again = await operations.submit(request(BODY, { account, key: 'a key with spaces' }));
    expect(again).toMatchObject({ replayed: true, operation: { id: operation.id } });
  });

  it('replays an ended operation that Temporal has forgotten, without starting it again', async () => {
    const account = freshAccount();
    const first = operationsOn(folder.store, env.client);
    const { operation } = await first.submit(request(BODY, { account, key: 'old' }));
    const ended = { ...endedProgress(), tally: { succeeded: 2, failed: 0, skipped: 0, cancelled: 0, unknown: 0 } };
    await createRecords(folder.store).createSummary(account, 'old', ended);
    const { runId } = await describeWorkflow(account, 'old');
    await env.client.workflowService.deleteWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId: `${account}/old`, runId },
    });
    await vi.waitFor(() => expect(describeWorkflow(account, 'old')).rejects.toThrow(), { timeout: 20_000 });
    const again = await operationsOn(folder.store, env.client).submit(request(BODY, { account, key: 'old' }));
    expect(again).toMatchObject({ replayed: true, operation: { id: operation.id, state: 'ended', live: true } });
    await expect(describeWorkflow(account, 'old')).rejects.toThrow();
  });

  it('answers unavailable and keeps nothing while the store is away', async () => {
    const account = freshAccount();
    const disk = switchable(folder.store);
    const operations = operationsOn(disk.store, env.client);
    disk.off = true;
    for (const body of [BODY, `${JSON.stringify('x'.repeat(60_000))}\n`]) {
      await expect(operations.submit(request(body, { account, key: 'kept' }))).rejects.toMatchObject({
        code: 'unavailable',
        facts: { retryAfterSeconds: expect.any(Number) },
      });
    }
    disk.off = false;
    for (const prefix of ['operations/', 'data/', 'open/']) expect(await keysUnder(folder.store, prefix)).toEqual([]);
    expect(await operations.submit(request(BODY, { account, key: 'kept' }))).toMatchObject({ replayed: false });
  });

  it('leaves nothing behind where the body is refused half-way', async () => {
    const account = freshAccount();
    const operations = operationsOn(folder.store, env.client);
    const items = Array.from({ length: 6_000 }, (_, n) => `{"n":${n}}`).join(',');
    const torn = request(`[${items},{"n":`, { account, contentType: 'application/json' });
    await expect(operations.submit(torn)).rejects.toMatchObject({ code: 'malformed_body' });
    expect(await keysUnder(folder.store, 'data/')).toEqual([]);
    expect(await keysUnder(folder.store, 'open/')).toEqual([]);
  });

  it('takes target, policy and metadata from the form', async () => {
    const account = freshAccount();
    const parts = { target: 'noop', concurrency: '3', metadata: '{"who":"me"}' };
    const form = Object.entries(parts)
      .map(([name, value]) => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`)
      .concat(
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\na,b\r\n1,2\r\n',
        '--b--\r\n',
      );
    const contentType = 'multipart/form-data; boundary=b';
    const operations = operationsOn(folder.store, env.client);
    const { operation } = await operations.submit(request(form.join(''), { account, contentType, target: null }));
    expect(operation).toMatchObject({ target: 'noop', metadata: { who: 'me' }, counts: { total: 1 } });
    const record = await createRecords(folder.store).readRecord(account, operation.id);
    expect(record?.plan.sliceConcurrency).toBe(3);
    const other = form.join('').replace('noop', 'none');
    await expect(operations.submit(request(other, { account, contentType, target: null }))).rejects.toMatchObject({
      code: 'unknown_target',
    });
  });

  it('asks the store what became of a record whose create failed, and keeps the chunks where it cannot tell', async () => {
    const account = freshAccount();
    const large = `${JSON.stringify('x'.repeat(60_000))}\n`;
    for (const lands of [true, false]) {
      const torn: BlobStore = {
        ...folder.store,
        async create(key, bytes) {
          if (!key.startsWith('operations/')) return await folder.store.create(key, bytes);
          if (lands) await folder.store.create(key, bytes);
          throw new Error('the answer was lost');
        },
      };
      const submitting = operationsOn(torn, env.client).submit(request(large, { account, key: `lands-${lands}` }));
      if (lands) expect(await submitting).toMatchObject({ replayed: false, operation: { id: 'lands-true' } });
      else await expect(submitting).rejects.toMatchObject({ code: 'unavailable' });
    }
    expect(await keysUnder(folder.store, 'data/')).toHaveLength(2);
    expect(await keysUnder(folder.store, 'open/')).toHaveLength(2);
  });

  it('names the targets there are before it reads a byte', async () => {
    const operations = operationsOn(folder.store, env.client);
    const unread = request(BODY, { target: 'product' });
    await expect(operations.submit(unread)).rejects.toMatchObject({
      code: 'unknown_target',
      facts: { allowed: expect.arrayContaining(['products', 'noop']) },
    });
    expect(unread.body.readableDidRead).toBe(false);
    await expect(operations.submit(request(BODY, { target: null }))).rejects.toMatchObject({ code: 'unknown_target' });
  });
});

describe('submit without a key', () => {
  const windowed = (account: string) => request(BODY, { account, keylessReplayWindowMs: 600_000 });

  it('takes an identical body within the window for the same request, over processes that race', async () => {
    const account = freshAccount();
    const processes = [operationsOn(folder.store, env.client), operationsOn(folder.store, env.client)];
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? processes[0] : processes[1])?.submit(windowed(account))),
    );
    expect(new Set(answers.map((answer) => answer?.operation.id)).size).toBe(1);
    expect(answers.filter((answer) => answer?.replayed === false)).toHaveLength(1);
    expect(await keysUnder(folder.store, `operations/${account}/`)).toHaveLength(1);
  });

  it('takes it for a new one after the window, and without a window', async () => {
    const account = freshAccount();
    const operations = operationsOn(folder.store, env.client);
    const first = await operations.submit(windowed(account));
    const record = await createRecords(folder.store).readRecord(account, first.operation.id);
    const claim = { version: 1, operationId: first.operation.id, at: Date.now() - 600_001 } as const;
    const [standing] = await keysUnder(folder.store, `keyless/${account}/`);
    await folder.store.put(standing ?? '', Buffer.from(JSON.stringify(claim)));
    const second = await operations.submit(windowed(account));
    expect(second.replayed).toBe(false);
    expect(second.operation.id).not.toBe(first.operation.id);
    const third = await operations.submit(windowed(account));
    expect(third).toMatchObject({ replayed: true, operation: { id: second.operation.id } });
    const unwindowed = await operations.submit(request(BODY, { account }));
    expect(unwindowed.replayed).toBe(false);
    expect(record?.fingerprint).toMatch(/^[0-9a-f]{64}$/);
  });

  it('completes a claim whose process died before the record', async () => {
    const account = freshAccount();
    const operations = operationsOn(folder.store, env.client);
    const records = createRecords(folder.store);
    const probe = await operations.submit(windowed(account));
    const record = await records.readRecord(account, probe.operation.id);
    const other = freshAccount();
    const claim = { version: 1, operationId: 'CLAIMED', at: Date.now() } as const;
    await records.createKeyless(other, record?.fingerprint ?? '', 0, claim);
    const completed = await operations.submit(windowed(other));
    expect(completed).toMatchObject({ replayed: false, operation: { id: 'CLAIMED' } });
  });
});

function endedProgress() {
  const at = new Date().toISOString();
  return {
    version: 1,
    run: 1,
    revision: 9,
    state: 'ended',
    outcome: 'succeeded',
    running: 0,
    throttle: null,
    amended: {},
    startedAt: at,
    endedAt: at,
    asOf: at,
  } as const;
}
