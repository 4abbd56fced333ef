/** Retries of what did not go well, with the vendor's ledger as the judge: only the chosen items are called, under safe keys. */
import { randomUUID } from 'node:crypto';
import { Connection, Client as TemporalClient } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findFreePort } from '../../../src/embedded/ports.ts';
import type { LedgerRow } from '../../../src/mock-vendor/ledger.ts';
import type { OperationView } from '../../../src/operations/operations.ts';
import { type Client, createClient } from '../../fixtures/stack/client.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { createMoments, ROUNDS, resultsThatMatch, tell, waitMs } from '../../fixtures/stack/faults.ts';
import { productLines } from '../../fixtures/stack/items.ts';
import { type Parts, startParts } from '../../fixtures/stack/parts.ts';
import type { Started } from '../../fixtures/stack/processes.ts';
import { effectsOf } from '../../fixtures/stack/vendor.ts';
import { type Watch, watchOperation } from '../../fixtures/stack/watch.ts';

const HOST = '127.0.0.1';

let parts: Parts;
/** Two API processes on one store. */
let urls: readonly [string, string];
let clients: readonly [Client, Client];
let worker: Started;
let temporalAddress: string;

beforeAll(async () => {
  parts = await startParts();
  await parts.startTemporal();
  const port = await findFreePort(HOST);
  await parts.startApi();
  await parts.startApi({ PORT: `${port}` });
  urls = [parts.url, `http://${HOST}:${port}`];
  clients = [parts.client, createClient(urls[1])];
  worker = await parts.startWorker();
  temporalAddress = parts.temporalAddress;
});
afterAll(async () => {
  await clients?.[1].close();
  await parts?.stop();
});
beforeEach(() => parts.vendor.reset());

interface Retried {
  readonly status: number;
  readonly replayed: boolean;
  readonly body: OperationView & { readonly code?: string };
}

async function retry(id: string, asked: unknown, api: 0 | 1 = 0): Promise<Retried> {
  return await send(`${urls[api]}/v1/operations/${id}/retry`, 'application/json', JSON.stringify(asked));
}

async function send(url: string, type: string, body: string): Promise<Retried> {
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': type }, body });
  const replayed = answer.headers.get('idempotent-replayed') === 'true';
  return { status: answer.status, replayed, body: (await answer.json()) as Retried['body'] };
}

/** Ended in this run: the status before the retry must not be taken for it. */
async function endedRun(id: string, run: number): Promise<OperationView> {
  const look = async () => {
    const now = await parts.client.get(id);
    return now.run === run && now.state === 'ended' && now;
  };
  return await eventually(`the end of run ${run}`, look, { withinMs: 60_000, everyMs: 50 });
}

const watchBoth = (id: string): Watch[] => clients.map((client) => watchOperation(client, id));

async function sawNothingWrong(watches: readonly Watch[]): Promise<void> {
  await Promise.all(watches.map((watch) => watch.stop()));
  expect(watches.flatMap(({ faults }) => faults)).toEqual([]);
}

/** Keys without the uid. */
function keysOf(calls: readonly LedgerRow[]): string[] {
  return [...new Set(calls.map(({ key }) => (key ?? '').replace(/^[^:]*/, '')))].sort();
}

/** Every tenth is refused by the vendor until it changes its mind. */
function someBad(items: number): string {
  const line = (_: unknown, n: number) =>
    `{"type":"update","id":${n + 1},"product":{"name":"${n % 10 === 0 ? 'bad' : 'good'}"}}\n`;
  return Array.from({ length: items }, line).join('');
}

const every = (step: number, items: number, suffix: string) =>
  Array.from({ length: items / step }, (_, n) => `:${n * step}${suffix}`).sort();

async function temporal<T>(work: (client: TemporalClient) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address: temporalAddress });
  try {
    return await work(new TemporalClient({ connection }));
  } finally {
    await connection.close();
  }
}

/** Every run that the server knows of; it deletes when it comes to it. */
async function forget({ workflow, workflowService }: TemporalClient, workflowId: string): Promise<void> {
  const isForgotten = async () => {
    const found = await workflow
      .getHandle(workflowId)
      .describe()
      .catch(() => null);
    if (found === null) return true;
    const workflowExecution = { workflowId, runId: found.runId };
    await workflowService.deleteWorkflowExecution({ namespace: 'default', workflowExecution }).catch(() => {});
    return false;
  };
  await eventually('oblivion', isForgotten, { withinMs: 120_000, everyMs: 500 });
}

describe('a retry of a partially succeeded operation', () => {
  it('calls only what failed again, once however often it is asked for, and every process sees it', async () => {
    await parts.vendor.configure({ rejectNames: ['bad'] });
    const { id } = await parts.client.accept({ body: someBad(400), key: randomUUID() });
    const first = await parts.client.ended(id);
    expect(first).toMatchObject({ outcome: 'partially_succeeded', run: 1, counts: { succeeded: 360, failed: 40 } });
    expect(await clients[1].get(id)).toMatchObject({ state: 'ended', run: 1 });
    const before = (await parts.vendor.ledger()).at(-1)?.at ?? 0;
    await parts.vendor.configure({ rejectNames: [], latencyMs: 100 });

    const watches = watchBoth(id);
    const asked = Array.from({ length: 8 }, (_, n) => retry(id, { fromRun: 1 }, n % 2 === 0 ? 0 : 1));
    const answers = await Promise.all(asked);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 200, 200, 200, 202]);
    expect(answers.filter(({ replayed }) => replayed)).toHaveLength(7);
    for (const client of clients) expect((await client.get(id)).run).toBe(2);
    const second = await endedRun(id, 2);
    await sawNothingWrong(watches);
    expect(second).toMatchObject({ outcome: 'succeeded', counts: { total: 400, succeeded: 400, failed: 0 } });
    await resultsThatMatch(parts.client, second);
    const calls = (await parts.vendor.ledger()).filter(({ at }) => at > before);
    expect(calls).toHaveLength(40);
    expect(keysOf(calls)).toEqual(every(10, 400, ':r2'));
    expect((await retry(id, { fromRun: 1 }, 1)).status).toBe(200);
    expect(await retry(id, { fromRun: 2 })).toMatchObject({ status: 409, body: { code: 'illegal_transition' } });
    expect(await retry(id, { fromRun: 1, codes: ['x'] })).toMatchObject({ status: 409 });
  });

  it('takes codes and indexes, and run 3 follows run 2', async () => {
    await parts.vendor.configure({ rejectNames: ['bad'] });
    const { id } = await parts.client.accept({ body: someBad(100), key: randomUUID() });
    expect(await parts.client.ended(id)).toMatchObject({ counts: { failed: 10 } });
    expect((await retry(id, { fromRun: 1, codes: ['vendor_rejected'], indexes: [0, 10, 20] })).status).toBe(202);
    expect(await endedRun(id, 2)).toMatchObject({
      outcome: 'partially_succeeded',
      counts: { failed: 10, succeeded: 90 },
    });
    const before = (await parts.vendor.ledger()).at(-1)?.at ?? 0;
    await parts.vendor.configure({ rejectNames: [] });
    expect((await retry(id, { fromRun: 2, outcomes: ['failed'], indexes: [10, 30] })).status).toBe(202);
    const third = await endedRun(id, 3);
    expect(third).toMatchObject({ counts: { failed: 8, succeeded: 92 } });
    const { outcomes } = await resultsThatMatch(parts.client, third);
    expect(outcomes.flatMap((outcome, n) => (outcome === 'failed' ? [n] : []))).toEqual([
      0, 20, 40, 50, 60, 70, 80, 90,
    ]);
    const calls = (await parts.vendor.ledger()).filter(({ at }) => at > before);
    expect(keysOf(calls)).toEqual([':10:r3', ':30:r3']);
    expect(await retry(id, { fromRun: 3, indexes: [1, 5] })).toMatchObject({ status: 422 });
    await eventually('one row of the latest run in lists', async () => {
      const { body } = await clients[1].send('GET', '/v1/operations?limit=1000');
      const { data } = body as { readonly data: readonly OperationView[] };
      const rows = data.filter((listed) => listed.id === id);
      expect(rows).toHaveLength(1);
      return rows[0]?.run === 3 && rows[0].counts.failed === third.counts.failed;
    });
  });
});

describe('dead letters', () => {
  it('of a CSV go back with a cell corrected', async () => {
    await parts.vendor.configure({ rejectNames: ['bad'] });
    const rows = Array.from({ length: 30 }, (_, n) => `update,${n + 1},${n % 3 === 0 ? 'bad' : 'good'},"1,5"`);
    const body = `type,id,name,note\r\n${rows.join('\r\n')}\r\n`;
    const { id } = await parts.client.accept({ body, type: 'text/csv', key: randomUUID() });
    expect(await parts.client.ended(id)).toMatchObject({ counts: { failed: 10, succeeded: 20 } });
    const download = await fetch(`${urls[1]}/v1/operations/${id}/dead-letters?format=csv`);
    const text = await download.text();
    expect(text.split('\r\n').slice(0, 2)).toEqual([
      '_index,_line,_outcome,_code,_message,type,id,name,note',
      expect.stringMatching(/^0,2,failed,vendor_rejected,.*,update,1,bad,"1,5"$/),
    ]);
    const before = (await parts.vendor.ledger()).at(-1)?.at ?? 0;
    const url = `${urls[0]}/v1/operations/${id}/retry?fromRun=1`;
    expect((await send(url, 'text/csv', text.replaceAll(',bad,', ',fine,'))).status).toBe(202);
    const ended = await endedRun(id, 2);
    expect(ended).toMatchObject({ outcome: 'succeeded', counts: { succeeded: 30 } });
    await resultsThatMatch(parts.client, ended);
    const calls = (await parts.vendor.ledger()).filter(({ at }) => at > before);
    expect(keysOf(calls)).toEqual(every(3, 30, ':r2'));
    const products = await parts.vendor.products();
    const corrected = products.find(({ id: product }) => product === '1');
    expect(corrected?.product).toMatchObject({ name: 'fine', note: '1,5' });
  });
});

describe('a retry of an operation that was ended early', () => {
  it.each(['cancel', 'terminate'] as const)(
    '(%s) finishes it after Temporal has forgotten it, each effect once',
    async (how) => {
      await parts.vendor.configure({ latencyMs: 500 });
      const { id } = await parts.client.accept({ body: productLines(600), key: randomUUID() });
      await eventually('answers', async () => (await parts.vendor.calls()) > 100);
      if (how === 'cancel') await parts.client.send('POST', `/v1/operations/${id}/cancel`);
      else await temporal((client) => client.workflow.getHandle(`default/${id}`).terminate('an operator'));
      const first = await parts.client.ended(id, 60_000);
      const { succeeded, cancelled, unknown } = first.counts;
      tell(`${how}: ${JSON.stringify(first.counts)}`);
      expect(cancelled).toBeGreaterThan(0);
      await resultsThatMatch(parts.client, first);
      await temporal((client) => forget(client, `default/${id}`));
      const calledBefore = new Set((await parts.vendor.ledger()).map(({ key }) => key));
      await parts.vendor.configure({ latencyMs: 5 });
      const watches = watchBoth(id);
      expect((await retry(id, { fromRun: 1, outcomes: ['cancelled', 'unknown'] }, 1)).status).toBe(202);
      const second = await endedRun(id, 2);
      await sawNothingWrong(watches);
      expect(second).toMatchObject({ outcome: 'succeeded', counts: { succeeded: 600 } });
      await resultsThatMatch(parts.client, second);
      const calls = await parts.vendor.ledger();
      const effects = effectsOf(calls);
      expect(effects.doubled).toEqual([]);
      // Neither a cancelled nor a doubtful item gets a new key: 600 keys in all, each applied once.
      expect(effects).toMatchObject({ keys: 600, applied: 600 });
      expect(600 - calledBefore.size).toBe(cancelled);
      expect(succeeded + unknown).toBe(calledBefore.size);
    },
  );
});

describe('a retry that is ended early itself', () => {
  it.each(['cancel', 'terminate'] as const)('(%s) tells the truth, and the next one finishes', async (how) => {
    await parts.vendor.configure({ rejectNames: ['bad'] });
    const { id } = await parts.client.accept({ body: someBad(4_000), key: randomUUID() });
    expect(await parts.client.ended(id)).toMatchObject({ counts: { failed: 400, succeeded: 3_600 } });
    const before = (await parts.vendor.ledger()).at(-1)?.at ?? 0;
    await parts.vendor.configure({ rejectNames: [], latencyMs: 500 });
    const watches = watchBoth(id);
    expect((await retry(id, { fromRun: 1 })).status).toBe(202);
    await eventually('answers', async () => (await parts.vendor.calls()) > 4_050);
    if (how === 'cancel') await parts.client.send('POST', `/v1/operations/${id}/cancel`);
    else await temporal((client) => client.workflow.getHandle(`default/${id}`).terminate('an operator'));
    const second = await endedRun(id, 2);
    tell(`${how} during run 2: ${JSON.stringify(second.counts)}`);
    expect(second.outcome).toBe('cancelled');
    expect(second.counts.cancelled).toBeGreaterThan(0);
    await resultsThatMatch(parts.client, second);
    await parts.vendor.configure({ latencyMs: 5 });
    expect((await retry(id, { fromRun: 2 }, 1)).status).toBe(202);
    const third = await endedRun(id, 3);
    await sawNothingWrong(watches);
    expect(third).toMatchObject({ outcome: 'succeeded', counts: { succeeded: 4_000 } });
    await resultsThatMatch(parts.client, third);
    const calls = (await parts.vendor.ledger()).filter(({ at }) => at > before);
    expect(effectsOf(calls).doubled).toEqual([]);
    // What was cancelled or in doubt goes on under the key of the run that took it up.
    expect(keysOf(calls)).toEqual(every(10, 4_000, ':r2'));
  });
});

describe('an item that the vendor refused for now', () => {
  it('tells its last three attempts, and one that went well at once tells none', async () => {
    await parts.vendor.configure({ errors: { '500': 1 } });
    const settled = await fetch(`${urls[0]}/v1/operations?target=products&maximumAttempts=4`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: productLines(1),
    });
    const { id } = (await settled.json()) as OperationView;
    expect(await parts.client.ended(id)).toMatchObject({ counts: { failed: 1 } });
    const item = await (await fetch(`${urls[1]}/v1/operations/${id}/items/0`)).json();
    expect(item).toMatchObject({ index: 0, line: 1, outcome: 'failed', run: 1, result: { attempts: 4 } });
    const attempts = (item as { lastAttempts: { at: string; code: string }[] }).lastAttempts;
    expect(attempts.map(({ code }) => code)).toEqual(Array(3).fill('vendor_error'));
    expect([...attempts].sort((a, b) => Date.parse(a.at) - Date.parse(b.at))).toEqual(attempts);
    await parts.vendor.configure({ errors: {} });
    expect((await retry(id, { fromRun: 1 })).status).toBe(202);
    await endedRun(id, 2);
    // The other process looks for a newer run twice a second.
    await eventually('the same elsewhere', async () => (await clients[1].get(id)).run === 2);
    const again = await (await fetch(`${urls[1]}/v1/operations/${id}/items/0`)).json();
    expect(again).toMatchObject({ outcome: 'succeeded', run: 2, lastAttempts: [] });
  });
});

describe('kill -9 of the worker during a retry', () => {
  it('loses no outcome and doubles no effect', async () => {
    const moment = createMoments('kill during a retry');
    for (let round = 0; round < ROUNDS; round++) {
      await parts.vendor.reset();
      await parts.vendor.configure({ rejectNames: ['bad'] });
      const body = someBad(1_000).replaceAll('"good"', '"bad"');
      const { id } = await parts.client.accept({ body, key: randomUUID() });
      expect(await parts.client.ended(id)).toMatchObject({ outcome: 'failed', counts: { failed: 1_000 } });
      await parts.vendor.configure({ rejectNames: [], latencyMs: 200 });
      const watches = watchBoth(id);
      expect((await retry(id, { fromRun: 1 })).status).toBe(202);
      await eventually('answers', async () => (await parts.vendor.calls()) > 1_100);
      await waitMs(moment(0, 1_000));
      await worker.kill();
      worker = await parts.startWorker();
      const ended = await endedRun(id, 2);
      await sawNothingWrong(watches);
      expect(ended).toMatchObject({ outcome: 'succeeded', counts: { succeeded: 1_000 } });
      await resultsThatMatch(parts.client, ended);
      const calls = (await parts.vendor.ledger()).filter(({ key }) => key?.endsWith(':r2'));
      const effects = effectsOf(calls);
      expect(effects.doubled).toEqual([]);
      expect(effects).toMatchObject({ keys: 1_000, applied: 1_000 });
      tell(`kill during a retry: ${effects.repeated} calls repeated`);
    }
  });
});
