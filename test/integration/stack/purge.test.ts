/** Purges as clients meet them: over HTTP, by two API processes at once, in the middle of a download, and killed on the way. */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blobsOf } from '../../fixtures/stack/blobs.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { noopLines } from '../../fixtures/stack/items.ts';
import { type Settings, type Started, startMain } from '../../fixtures/stack/processes.ts';
import { type Stack, startStack } from '../../fixtures/stack/stack.ts';

const ITEMS = 60_000;

let stack: Stack;
let second: { readonly process: Started; readonly url: string };
const processes: Started[] = [];

beforeAll(async () => {
  stack = await startStack({ RECONCILE_INTERVAL_MS: '500' });
  second = await startApi();
});
afterAll(async () => {
  for (const process of processes) await process.stop();
  await stack?.stop();
});

/** Another API beside the stack's, on the same Temporal and blobs. */
async function startApi(settings: Settings = {}): Promise<{ readonly process: Started; readonly url: string }> {
  const { dataDir } = stack;
  const address = { TEMPORAL_ADDRESS: stack.temporalAddress(), DATA_DIR: dataDir, PORT: '0' };
  const process = startMain('api', { ...address, RECONCILE_INTERVAL_MS: '500', ...settings });
  processes.push(process);
  return { process, url: await process.ready };
}

async function endedNoops(items = ITEMS): Promise<string> {
  const { id } = await stack.client.accept({ body: noopLines(items), target: 'noop' });
  await stack.client.ended(id);
  return id;
}

async function ask(url: string, method: string, path: string): Promise<{ status: number; text: string }> {
  const answer = await fetch(`${url}${path}`, { method });
  return { status: answer.status, text: await answer.text() };
}

/**
 * Beside the tombstone, its marker and the trail nothing names the operation, nor its data. The mark of the purge stays
 * until Temporal shows nothing of it any more, which takes the server half a minute.
 */
async function nothingLeftOf(id: string, beside = /^(ended|audit|purging)\//): Promise<true> {
  const left = (await blobsOf(stack.dataDir)).filter((path) => path.includes(id) && !beside.test(path));
  if (left.length === 1 && left[0]?.endsWith(`${id}~operation.json`) === true) return true;
  throw new Error(`left behind: ${left.slice(0, 5).join(', ')}`);
}

describe('an operation that two processes purge at once', () => {
  it('is gone for both, with its final counts, and leaves a tombstone alone', async () => {
    const id = await endedNoops(3);
    const path = `/v1/operations/${id}`;
    // Both know it by heart.
    for (const { url } of [stack, second]) expect((await ask(url, 'GET', path)).status).toBe(200);
    const deletes = await Promise.all([ask(stack.url, 'DELETE', path), ask(second.url, 'DELETE', path)]);
    expect(deletes).toEqual([
      { status: 204, text: '' },
      { status: 204, text: '' },
    ]);
    expect((await ask(second.url, 'DELETE', path)).status).toBe(204);
    for (const { url } of [stack, second]) {
      for (const end of ['/results', '/input', '/errors', '/items/0', '/audit', '/events']) {
        expect((await ask(url, 'GET', path + end)).status, end).toBe(410);
      }
      const { status, text } = await eventually('the end of caches', async () => {
        const answer = await ask(url, 'GET', path);
        return answer.status === 200 ? null : answer;
      });
      expect(status).toBe(410);
      const counts = {
        total: 3,
        pending: 0,
        running: 0,
        succeeded: 3,
        failed: 0,
        skipped: 0,
        cancelled: 0,
        unknown: 0,
      };
      expect(JSON.parse(text)).toMatchObject({ code: 'gone', operation: { id, outcome: 'succeeded', counts } });
    }
    await eventually('a clean store', () => nothingLeftOf(id), { withinMs: 45_000 });
    await eventually('the end of the purge', () => nothingLeftOf(id, /^(ended|audit)\//), { withinMs: 120_000 });
  });
});

describe('a reader of results while another purges them', () => {
  it('gets them whole, or a broken connection: never a short or a false download that looks whole', async () => {
    const id = await endedNoops();
    const [answer]: IncomingMessage[] = await once(get(`${stack.url}/v1/operations/${id}/results`), 'response');
    if (answer === undefined) throw new Error('no answer');
    expect(answer.statusCode).toBe(200);
    // A slow reader: the first piece, then the purge, then the rest.
    const [first] = await once(answer, 'readable').then(() => [answer.read() as Buffer]);
    answer.pause();
    expect((await ask(second.url, 'DELETE', `/v1/operations/${id}`)).status).toBe(204);
    const pieces = [first ?? Buffer.alloc(0)];
    const whole = await (async () => {
      for await (const piece of answer) pieces.push(piece as Buffer);
      return answer.complete;
    })().catch(() => false);
    const lines = Buffer.concat(pieces).toString('utf8').split('\n').filter(Boolean);
    const decided = lines.slice(0, -1).map((line) => (JSON.parse(line) as { outcome: string }).outcome);
    expect(new Set(decided)).toEqual(new Set(['succeeded']));
    if (whole) expect(lines).toHaveLength(ITEMS);
    else expect(lines.length).toBeLessThanOrEqual(ITEMS);
    expect((await ask(stack.url, 'GET', `/v1/operations/${id}/results`)).status).toBe(410);
  });
});

describe('a purge whose process is killed', () => {
  it.each(['purge.tombstone_written', 'purge.blobs_deleted', 'purge.workflow_deleted'])(
    'at %s is finished by another',
    async (point) => {
      const id = await endedNoops(5);
      const path = `/v1/operations/${id}`;
      // It stands by while the stack sweeps, so that it dies of this purge alone.
      const dying = await startApi({
        CRASH_POINT: point,
        CRASH_POINTS_ALLOWED: 'yes',
        RECONCILE_INTERVAL_MS: '600000',
      });
      await expect(ask(dying.url, 'DELETE', path)).rejects.toThrow();
      await dying.process.exited;
      expect((await ask(second.url, 'GET', path)).status).toBe(410);
      expect((await ask(second.url, 'DELETE', path)).status).toBe(204);
      await eventually('a clean store', () => nothingLeftOf(id), { withinMs: 45_000 });
    },
  );
});
