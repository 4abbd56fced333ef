import { createServer } from 'node:net';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningOperations } from '../../../src/operations/index.ts';
import {
  ACTOR,
  eventually,
  type Folder,
  lazyClient,
  openFolder,
  operationsOn,
  request,
  startTemporal,
  switchable,
} from '../../fixtures/operations-under-test.ts';

const BODY = '{"n":1}\n{"n":2}\n';
/** What a client may wait for an answer while Temporal is away. */
const ANSWER_MS = 2_000;

let folder: Folder;
let port: number;
let env: TestWorkflowEnvironment | null = null;
const running: RunningOperations[] = [];

beforeAll(async () => {
  folder = await openFolder();
  port = await freePort();
});
afterAll(async () => {
  await Promise.all(running.map((operations) => operations.stop()));
  await env?.teardown();
  await folder.remove();
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

async function timed<T>(work: Promise<T>): Promise<{ answer: T; tookMs: number }> {
  const began = performance.now();
  const answer = await work;
  return { answer, tookMs: performance.now() - began };
}

describe('while Temporal is away', () => {
  it('accepts within 2 s, says so truthfully, and runs it all by itself once Temporal is back', async () => {
    const client = lazyClient(port);
    const operations = operationsOn(folder.store, client, { startDeadlineMs: 1_500, statusDeadlineMs: 1_500 });
    operations.start();
    running.push(operations);

    const first = await timed(operations.submit(request(BODY, { key: 'first' })));
    expect(first.tookMs).toBeLessThan(ANSWER_MS);
    expect(first.answer.operation).toMatchObject({ state: 'queued', live: false });
    const others = await Promise.all(
      Array.from({ length: 20 }, (_, i) => timed(operations.submit(request(BODY, { key: `other-${i}` })))),
    );
    for (const { tookMs, answer } of others) {
      expect(tookMs).toBeLessThan(ANSWER_MS);
      expect(answer).toMatchObject({ replayed: false, operation: { live: false } });
    }

    const status = await timed(operations.get('default', 'first'));
    expect(status.tookMs).toBeLessThan(ANSWER_MS);
    expect(status.answer).toMatchObject({ state: 'queued', live: false, counts: { total: 2, pending: 2 } });
    const replay = await timed(operations.submit(request(BODY, { key: 'first' })));
    expect(replay.tookMs).toBeLessThan(ANSWER_MS);
    expect(replay.answer).toMatchObject({ replayed: true, operation: { id: 'first', state: 'queued' } });
    await expect(operations.pause('default', 'first', ACTOR)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(operations.list({ account: 'default', limit: 10 })).rejects.toMatchObject({ code: 'unavailable' });
    expect(await operations.health()).toMatchObject({
      ok: false,
      parts: { store: { ok: true }, temporal: { ok: false }, workers: { ok: false } },
    });

    // The API was restarted meanwhile: another process, which knows nothing but the markers.
    await operations.stop();
    const restarted = operationsOn(folder.store, client, { reconcileIntervalMs: 200 });
    restarted.start();
    running.push(restarted);
    const server = await startTemporal(port);
    env = server;
    for (const id of ['first', ...others.map((_, i) => `other-${i}`)]) {
      await eventually(async () => {
        const { status } = await server.client.workflow.getHandle(`default/${id}`).describe();
        expect(status.name).toBe('RUNNING');
      });
    }
    expect(await restarted.health()).toMatchObject({ ok: true, parts: { temporal: { ok: true } } });
  });

  it('starts what it could not start within seconds of Temporal’s return, without waiting for a full pass', async () => {
    const store = (await openFolder()).store;
    const deadPort = await freePort();
    const operations = operationsOn(store, lazyClient(deadPort), { reconcileIntervalMs: 3_600_000 });
    operations.start();
    running.push(operations);
    await operations.submit(request(BODY, { key: 'nudged' }));
    const server = await startTemporal(deadPort);
    try {
      await eventually(async () => {
        await server.client.workflow.getHandle('default/nudged').describe();
      });
    } finally {
      await operations.stop();
      await server.teardown();
    }
  });

  it('answers unavailable where the store is away too', async () => {
    const disk = switchable(folder.store);
    const operations = operationsOn(disk.store, lazyClient(await freePort()));
    disk.off = true;
    await expect(operations.submit(request(BODY, { key: 'nowhere' }))).rejects.toMatchObject({ code: 'unavailable' });
    await expect(operations.get('default', 'first')).rejects.toMatchObject({ code: 'unavailable' });
  });
});
