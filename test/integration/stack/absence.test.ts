/** What a client meets while workers, Temporal or the blob store are away: prompt answers, and nothing lost. */
import { randomUUID } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { blobsBeyond, blobsOf, nothingBeyond } from '../../fixtures/stack/blobs.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { allAppliedOnce } from '../../fixtures/stack/faults.ts';
import { productLines, slowBody } from '../../fixtures/stack/items.ts';
import { type Parts, startParts } from '../../fixtures/stack/parts.ts';
import type { Started } from '../../fixtures/stack/processes.ts';
import { startVersitygw, versitygwIsWithinReach } from '../storage/versitygw.ts';

const PROMPT_MS = 2_000;
const ITEMS = 500;
const BODY = productLines(ITEMS);

let parts: Parts;
let api: Started;

beforeAll(async () => {
  // A lease of 3.6 s: what a killed API leaves behind is swept while the test looks on.
  parts = await startParts({ BLOB_DEADLINE_MS: '2000', STAGING_LEASE_HOURS: '0.001' });
  await parts.startTemporal();
  api = await parts.startApi();
});
afterAll(() => parts?.stop());
beforeEach(() => parts.vendor.reset());

/** Submit and status, each answered in time; returns the operation's id. */
async function submitPromptly(): Promise<string> {
  const key = randomUUID();
  const accepted = await parts.client.submit({ body: BODY, key });
  expect(accepted).toMatchObject({ status: 202, body: { id: key } });
  expect(accepted.tookMs).toBeLessThan(PROMPT_MS);
  await isQueuedPromptly(key);
  return key;
}

async function isQueuedPromptly(id: string): Promise<void> {
  const status = await parts.client.send('GET', `/v1/operations/${id}`);
  expect(status).toMatchObject({
    status: 200,
    body: { state: 'queued', live: false, counts: { total: ITEMS, pending: ITEMS } },
  });
  expect(status.tookMs).toBeLessThan(PROMPT_MS);
}

describe('without a worker', () => {
  it('submit answers 202, status answers in time, and everything runs once a worker comes', async () => {
    const ids = [await submitPromptly(), await submitPromptly()];
    for (const id of ids) await isQueuedPromptly(id);
    expect(await parts.vendor.ledger()).toEqual([]);
    const paused = await parts.client.send('POST', `/v1/operations/${ids[1]}/pause`);
    expect(paused.status).toBe(202);
    expect(paused.tookMs).toBeLessThan(PROMPT_MS);
    await parts.client.send('POST', `/v1/operations/${ids[1]}/resume`);

    const worker = await parts.startWorker();
    const ends = [];
    for (const id of ids) ends.push(await parts.client.ended(id));
    await worker.stop();
    const calls = await parts.vendor.ledger();
    const uids = [...new Set(calls.map(({ key }) => key?.split(':')[0]))];
    expect(uids).toHaveLength(2);
    for (const uid of uids) {
      const own = calls.filter(({ key }) => key?.startsWith(`${uid}:`));
      expect(own).toHaveLength(ITEMS);
    }
    for (const end of ends) expect(end).toMatchObject({ outcome: 'succeeded', counts: { succeeded: ITEMS } });
  });
});

describe('without Temporal', () => {
  it('submit answers 202 in time, and the operation runs once Temporal is back, over a restart of the API', async () => {
    const worker = await parts.startWorker();
    await parts.killTemporal();
    const id = await submitPromptly();
    await isQueuedPromptly(id);
    await api.stop();
    api = await parts.startApi();
    await isQueuedPromptly(id);
    const second = await submitPromptly();
    const replay = await parts.client.submit({ body: BODY, key: id });
    expect(replay).toMatchObject({ status: 202, body: { id, state: 'queued' } });
    expect(replay.headers['idempotent-replayed']).toBe('true');
    expect(replay.tookMs).toBeLessThan(PROMPT_MS);
    expect(await parts.client.submit({ body: productLines(3), key: id })).toMatchObject({ status: 422 });
    expect(await parts.vendor.ledger()).toEqual([]);

    await parts.startTemporal();
    const ends = [await parts.client.ended(id), await parts.client.ended(second)];
    for (const end of ends) expect(end).toMatchObject({ outcome: 'succeeded', counts: { succeeded: ITEMS } });
    const calls = await parts.vendor.ledger();
    expect(calls.filter(({ applied }) => applied)).toHaveLength(2 * ITEMS);
    expect(new Set(calls.map(({ key }) => key)).size).toBe(2 * ITEMS);
    await worker.stop();
  });
});

describe('without the blob store', () => {
  it('submit answers 503 with Retry-After and keeps nothing; what was there before is there after', async () => {
    const worker = await parts.startWorker();
    const { id } = await parts.client.accept({ body: BODY });
    await allAppliedOnce(parts.client, await parts.client.ended(id), await parts.vendor.ledger());
    const before = await blobsOf(parts.dataDir);
    const blobs = join(parts.dataDir, 'blobs');
    await rename(blobs, `${blobs}-away`);
    await writeFile(blobs, 'a file where the folder was: nothing can be read or written below it');
    const key = randomUUID();
    try {
      for (const body of [productLines(3), productLines(20_000)]) {
        const refused = await parts.client.submit({ body, key });
        expect(refused).toMatchObject({ status: 503, body: { code: 'unavailable' } });
        expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
      }
      // The operation that ended is remembered; of one that this process has not seen nothing can be said.
      expect(await parts.client.send('GET', `/v1/operations/${id}`)).toMatchObject({ status: 200 });
    } finally {
      await rm(blobs);
      await rename(`${blobs}-away`, blobs);
    }
    expect(await blobsBeyond(parts.dataDir, before)).toEqual([]);
    expect((await parts.client.send('GET', `/v1/operations/${key}`)).status).toBe(404);
    const again = await parts.client.accept({ body: BODY, key });
    expect(await parts.client.ended(again.id)).toMatchObject({ outcome: 'succeeded' });
    await worker.stop();
  });
});

describe('without the API, killed mid-upload', () => {
  it('what it had staged is swept once another one runs, and the upload can come again', async () => {
    const worker = await parts.startWorker();
    const before = await blobsOf(parts.dataDir);
    const key = randomUUID();
    const upload = parts.client.submit({ body: slowBody(productLines(60_000), 64 * 1024, 20), key });
    const broken = expect(upload).rejects.toThrow();
    await eventually('staged chunks', async () => (await blobsBeyond(parts.dataDir, before)).length > 1);
    await api.kill();
    await broken;
    expect((await blobsBeyond(parts.dataDir, before)).length).toBeGreaterThan(1);
    api = await parts.startApi();
    expect((await parts.client.send('GET', `/v1/operations/${key}`)).status).toBe(404);
    await eventually('the sweep', () => nothingBeyond(parts.dataDir, before), { withinMs: 30_000, everyMs: 200 });
    const again = await parts.client.accept({ body: BODY, key });
    await allAppliedOnce(parts.client, await parts.client.ended(again.id), await parts.vendor.ledger());
    await worker.stop();
  });
});

describe.runIf(await versitygwIsWithinReach())('with blobs in a bucket', () => {
  it('runs an operation, and answers 503 while the bucket and Temporal are both away', async () => {
    const gateway = await startVersitygw();
    const own = {
      ...{ BLOB_URL: gateway.blobUrl(`stack-${randomUUID()}`), PORT: new URL(parts.url).port },
      ...{ S3_ACCESS_KEY_ID: gateway.accessKeyId, S3_SECRET_ACCESS_KEY: gateway.secretAccessKey },
    };
    await api.stop();
    api = await parts.startApi(own);
    const worker = await parts.startWorker(own);
    try {
      const { id } = await parts.client.accept({ body: productLines(5_000) });
      await allAppliedOnce(parts.client, await parts.client.ended(id), await parts.vendor.ledger());
    } finally {
      await worker.stop();
      await parts.killTemporal();
      await gateway.stop();
    }
    const refused = await parts.client.submit({ body: productLines(3), key: randomUUID() });
    expect(refused).toMatchObject({ status: 503, body: { code: 'unavailable' } });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    const known = await eventually('an answer', () => parts.client.send('GET', '/health/live'));
    expect(known.status).toBe(200);
  });
});
