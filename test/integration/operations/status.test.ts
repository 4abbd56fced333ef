import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { EMPTY_TALLY, type Progress } from '../../../src/model/operation.ts';
import { createRecords } from '../../../src/storage/records.ts';
import {
  ACTOR,
  eventually,
  type Folder,
  openFolder,
  operationsOn,
  request,
  startTemporal,
  switchable,
} from '../../fixtures/operations-under-test.ts';
import { silenceRuntime, startStandIn } from '../../fixtures/stand-in-worker.ts';

const BODY = '{"n":1}\n{"n":2}\n';
const ANSWER_MS = 2_000;

let env: TestWorkflowEnvironment;
let folder: Folder;
let stopWorker: (() => Promise<void>) | null = null;

beforeAll(async () => {
  silenceRuntime();
  env = await startTemporal();
});
afterAll(() => env.teardown());
beforeEach(async () => {
  folder = await openFolder();
});
afterEach(async () => {
  await stopWorker?.();
  stopWorker = null;
  await folder.remove();
});

let accounts = 0;
const freshAccount = () => `account-${accounts++}`;

async function work(): Promise<void> {
  stopWorker = await startStandIn(env, folder.store);
}

function progress(over: Partial<Progress>): Progress {
  const at = new Date().toISOString();
  const standing = { version: 1, run: 1, revision: 1, state: 'running', outcome: null, tally: EMPTY_TALLY } as const;
  return { ...standing, running: 0, throttle: null, amended: {}, startedAt: at, endedAt: null, asOf: at, ...over };
}

async function show(account: string, id: string, over: Partial<Progress>): Promise<void> {
  await env.client.workflow.getHandle(`${account}/${id}`).signal('show', over);
}

describe('status', () => {
  it('answers within 2 s from the checkpoint, not live, while no worker runs, and live once one does', async () => {
    const account = freshAccount();
    const operations = operationsOn(folder.store, env.client, { statusDeadlineMs: 1_500 });
    const { operation } = await operations.submit(request(BODY, { account }));
    const checkpoint = progress({ revision: 4, tally: { ...EMPTY_TALLY, succeeded: 1 } });
    await createRecords(folder.store).putCheckpoint(account, operation.id, checkpoint);
    for (let polls = 0; polls < 3; polls++) {
      const began = performance.now();
      const view = await operations.get(account, operation.id);
      expect(performance.now() - began).toBeLessThan(ANSWER_MS);
      expect(view).toMatchObject({ live: false, revision: 4, counts: { succeeded: 1, pending: 1, total: 2 } });
    }
    await work();
    await show(account, operation.id, { revision: 5, tally: checkpoint.tally });
    await eventually(async () => {
      expect(await operations.get(account, operation.id)).toMatchObject({ live: true, revision: 5, state: 'running' });
    });
  });

  it('never shows an older revision after a newer one', async () => {
    const account = freshAccount();
    const operations = operationsOn(folder.store, env.client);
    const { operation } = await operations.submit(request(BODY, { account }));
    await work();
    const newer = { revision: 7, tally: { ...EMPTY_TALLY, succeeded: 2 } };
    await show(account, operation.id, newer);
    await eventually(async () => {
      expect(await operations.get(account, operation.id)).toMatchObject({ live: true, revision: 7 });
    });
    await show(account, operation.id, { revision: 3, tally: EMPTY_TALLY });
    await createRecords(folder.store).putCheckpoint(account, operation.id, progress({ revision: 2 }));
    expect(await operations.get(account, operation.id)).toMatchObject({ revision: 7, counts: { succeeded: 2 } });
    await stopWorker?.();
    stopWorker = null;
    expect(await operations.get(account, operation.id)).toMatchObject({ live: false, revision: 7 });
  });

  it('asks the workflow once for many readers, and never for an ended operation', async () => {
    const account = freshAccount();
    const operations = operationsOn(folder.store, env.client, { statusCacheMs: 500 });
    const { operation } = await operations.submit(request(BODY, { account }));
    await work();
    await eventually(async () => (await operations.get(account, operation.id)).live);
    const query = vi.spyOn(env.client.workflowService, 'queryWorkflow');
    const other = operationsOn(folder.store, env.client, { statusCacheMs: 60_000 });
    await Promise.all(Array.from({ length: 50 }, () => other.get(account, operation.id)));
    expect(query).toHaveBeenCalledTimes(1);
    query.mockClear();
    await createRecords(folder.store).createSummary(
      account,
      operation.id,
      progress({ revision: 9, state: 'ended', outcome: 'succeeded', tally: { ...EMPTY_TALLY, succeeded: 2 } }),
    );
    const third = operationsOn(folder.store, env.client);
    expect(await third.get(account, operation.id)).toMatchObject({ live: true, state: 'ended', outcome: 'succeeded' });
    expect(query).not.toHaveBeenCalled();
    query.mockRestore();
  });

  it('answers from memory while the store is away', async () => {
    const account = freshAccount();
    const disk = switchable(folder.store);
    const operations = operationsOn(disk.store, env.client);
    const { operation } = await operations.submit(request(BODY, { account }));
    disk.off = true;
    expect(await operations.get(account, operation.id)).toMatchObject({ state: 'queued', live: false });
    await expect(operations.get(account, 'another')).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('tells an unknown operation and another account’s alike', async () => {
    const account = freshAccount();
    const operations = operationsOn(folder.store, env.client);
    const { operation } = await operations.submit(request(BODY, { account }));
    for (const [who, id] of [
      [account, 'none'],
      [freshAccount(), operation.id],
      [account, '../etc'],
      [account, ''],
    ] as const) {
      await expect(operations.get(who, id)).rejects.toMatchObject({ code: 'not_found' });
    }
  });
});

describe('control', () => {
  it('pauses, resumes and cancels, each as often as it is asked', async () => {
    const account = freshAccount();
    const operations = operationsOn(folder.store, env.client, { statusDeadlineMs: 5_000 });
    const { operation } = await operations.submit(request(BODY, { account }));
    await work();
    const { id } = operation;
    for (let times = 0; times < 2; times++) {
      expect(await operations.pause(account, id, ACTOR)).toMatchObject({
        settled: true,
        operation: { state: 'paused' },
      });
    }
    for (let times = 0; times < 2; times++) {
      expect(await operations.resume(account, id, ACTOR)).toMatchObject({
        settled: true,
        operation: { state: 'running' },
      });
    }
    await operations.cancel(account, id, ACTOR);
    await eventually(async () => {
      expect(await operations.cancel(account, id, ACTOR)).toMatchObject({
        settled: true,
        operation: { state: 'ended', outcome: 'cancelled', counts: { cancelled: 2 } },
      });
    });
    for (const verb of [operations.pause, operations.resume]) {
      await expect(verb(account, id, ACTOR)).rejects.toMatchObject({
        code: 'illegal_transition',
        facts: { currentState: 'ended', allowed: [] },
      });
    }
  });

  it('refuses to cancel what has ended otherwise', async () => {
    const account = freshAccount();
    const operations = operationsOn(folder.store, env.client);
    const { operation } = await operations.submit(request(BODY, { account }));
    const summary = progress({ state: 'ended', outcome: 'succeeded' });
    await createRecords(folder.store).createSummary(account, operation.id, summary);
    await expect(operations.cancel(account, operation.id, ACTOR)).rejects.toMatchObject({ code: 'illegal_transition' });
  });

  it('leaves a wish with the server while no worker runs, and it holds when one comes', async () => {
    const account = freshAccount();
    const operations = operationsOn(folder.store, env.client);
    const { operation } = await operations.submit(request(BODY, { account }));
    expect(await operations.pause(account, operation.id, ACTOR)).toMatchObject({
      settled: false,
      operation: { live: false },
    });
    await work();
    await eventually(async () => {
      expect(await operations.get(account, operation.id)).toMatchObject({ live: true, state: 'paused' });
    });
  });
});
