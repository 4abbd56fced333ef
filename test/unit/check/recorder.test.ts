/** The recorder notes what was really sent and seen: every answer, every absence of one, and what stood in it. */
import { createServer, type RequestListener, type Server } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { followEvents } from '../../check/event-stream.ts';
import type { Exchange, HistoryLine, Reading } from '../../check/history.ts';
import { createRecorder, type Recorder } from '../../check/recorder.ts';
import { markOf, ownersIn, sightsIn } from '../../check/sightings.ts';

const FRAME = { seed: 1, endsWithinMs: 1_000, store: 'fs' } as const;
const VIEW = {
  ...{ id: 'op', account: 'acme', state: 'ended', outcome: 'succeeded', run: 1, revision: 4, live: true },
  counts: { total: 1, pending: 0, running: 0, succeeded: 1, failed: 0, skipped: 0, cancelled: 0, unknown: 0 },
  traceId: 'a'.repeat(32),
};

let server: Server | null = null;
let recorder: Recorder | null = null;

afterEach(async () => {
  await recorder?.close();
  server?.closeAllConnections();
  await new Promise((resolve) => (server === null ? resolve(null) : server.close(resolve)));
  server = null;
  recorder = null;
});

async function clientOf(answer: RequestListener, timeoutMs = 5_000) {
  const listening = createServer(answer);
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  const address = listening.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const recording = createRecorder();
  recorder = recording;
  const baseUrl = `http://127.0.0.1:${port}`;
  const client = recording.client({ name: 'c', account: 'acme', server: 'api', baseUrl, timeoutMs });
  const linesOf = <Kind extends HistoryLine['kind']>(kind: Kind) =>
    recording.history(FRAME).lines.filter((line): line is Extract<HistoryLine, { kind: Kind }> => line.kind === kind);
  return { client, linesOf, recording };
}

const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): RequestListener =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };

describe('a recorded request', () => {
  it('has its answer beside it, and the operation that stood in it', async () => {
    const { client, linesOf } = await clientOf(json(202, VIEW, { 'Idempotent-Replayed': 'true' }));
    await client.submit({ target: 'noop', key: 'op', items: 1, body: '{}\n' });
    const [exchange] = linesOf('exchange');
    expect(exchange).toMatchObject({
      ...{ action: 'submit', status: 202, operationId: 'op', replayed: true, owners: ['acme'], account: 'acme' },
      submitted: { surface: 'v1', target: 'noop', key: 'op', items: 1 },
    });
    expect((exchange?.endedAtMs ?? 0) - (exchange?.sentAtMs ?? 0)).toBeGreaterThan(0);
    const [reading] = linesOf('reading');
    expect(reading).toMatchObject({ via: 'submit', operationId: 'op', owner: 'acme', revision: 4, state: 'ended' });
    expect(reading).toMatchObject({ beganAtMs: exchange?.sentAtMs, seenAtMs: exchange?.endedAtMs });
  });

  it('sends who asks, under which key and in which trace', async () => {
    const seen: Record<string, unknown>[] = [];
    const { client, linesOf } = await clientOf((request, response) => {
      seen.push(request.headers);
      json(202, VIEW)(request, response);
    });
    await client.submit({ target: 'noop', key: 'k1', items: 1, body: '{}\n' });
    const { traceId } = linesOf('exchange')[0] as Exchange;
    expect(seen[0]).toMatchObject({ 'tranche-account': 'acme', 'idempotency-key': 'k1' });
    expect(seen[0]?.['traceparent']).toContain(`00-${traceId}-`);
  });

  it('tells two payloads apart, and a repeated one not', async () => {
    const { client, linesOf } = await clientOf(json(202, VIEW));
    for (const body of ['{"a":1}\n', '{"a":1}\n', '{"a":2}\n']) {
      await client.submit({ target: 'noop', key: 'k', items: 1, body });
    }
    const [first, second, third] = linesOf('exchange').map(({ submitted }) => submitted?.payload);
    expect(second).toBe(first);
    expect(third).not.toBe(first);
  });

  it('has null for a status where the connection broke, half an answer included', async () => {
    const { client, linesOf } = await clientOf((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
      response.write('{"id":');
      setImmediate(() => response.destroy());
    });
    expect(await client.status('op')).toMatchObject({ status: null, sights: [] });
    expect(linesOf('exchange')).toMatchObject([{ status: null, operationId: 'op' }]);
    expect(linesOf('reading')).toEqual([]);
  });

  it('has null for a status where no answer came in time, and is then under the id that its key names', async () => {
    const { client, linesOf } = await clientOf(() => undefined, 50);
    await client.submit({ target: 'noop', key: 'k2', items: 1, body: '{}\n' });
    expect(linesOf('exchange')).toMatchObject([{ status: null, code: 'client_timeout', operationId: 'k2' }]);
  });

  it('has the code of a problem, and whether it says when to come again', async () => {
    const { client, linesOf } = await clientOf(json(503, { code: 'unavailable' }, { 'retry-after': '5' }));
    await client.control('pause', 'op');
    expect(linesOf('exchange')).toMatchObject([
      { action: 'pause', status: 503, code: 'unavailable', retryAfter: true, operationId: 'op' },
    ]);
  });

  it('names whoever something in the answer is of, unless it was asked for by name and is not there', async () => {
    const path = `/v1/operations/${markOf('globex')}x`;
    const { client, linesOf } = await clientOf((request, response) => {
      const isMissing = request.url === path;
      json(isMissing ? 404 : 200, { detail: `${markOf('globex')}x` })(request, response);
    });
    await client.ask('GET', path);
    await client.ask('GET', '/other');
    expect(linesOf('exchange').map(({ owners }) => owners)).toEqual([[], ['globex']]);
  });
});

describe('a recorded download', () => {
  it('holds every line in its order, and one that cannot be read as such', async () => {
    const lines = ['{"index":1,"outcome":"failed","error":{"code":"x"}}', '{"index":0,"outcome":"succeeded"}', '{"ind'];
    const { client, linesOf } = await clientOf((_, response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson', 'results-complete': '?1' });
      response.end(lines.join('\n'));
    });
    await client.download('op');
    const packed = { stretches: [1, 0, -1].map((index) => [index, index]), outcomes: 'fsu' };
    expect(linesOf('download')).toMatchObject([
      {
        complete: true,
        ...packed,
        codes: [
          [0, 'x'],
          [2, 'unreadable'],
        ],
      },
    ]);
  });

  it('that is cut off is none', async () => {
    const { client, linesOf } = await clientOf((_, response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      response.write('{"index":0,"outcome":"succeeded"}\n');
      setImmediate(() => response.destroy());
    });
    await client.download('op');
    expect(linesOf('download')).toEqual([]);
    expect(linesOf('exchange')).toMatchObject([{ action: 'download', status: null }]);
  });
});

describe('a recorded stream', () => {
  it('gives a reading for each event, all of one stream', async () => {
    const { client, linesOf } = await clientOf((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const revision of [1, 2])
        response.write(`id: 1.${revision}\ndata: ${JSON.stringify({ ...VIEW, revision })}\n\n`);
      response.end();
    });
    await client.events('op', { signal: new AbortController().signal });
    const readings: readonly Reading[] = linesOf('reading');
    expect(readings.map(({ revision }) => revision)).toEqual([1, 2]);
    expect(new Set(readings.map(({ stream }) => stream)).size).toBe(1);
  });

  it('is read whole however it is cut', () => {
    const text = 'retry: 1\n\n: heartbeat\n\nid: 1.1\nevent: x\ndata: {"n":1}\n\ndata: {"n":2}\n\n';
    for (let size = 1; size <= text.length; size++) {
      const seen: unknown[] = [];
      const feed = followEvents((data) => seen.push(data));
      for (let at = 0; at < text.length; at += size) feed(text.slice(at, at + size));
      expect(seen).toEqual([{ n: 1 }, { n: 2 }]);
    }
  });
});

describe('what an answer shows', () => {
  it.each([
    ['the native surface', VIEW, null, { operationId: 'op', run: 1, revision: 4, live: true }],
    [
      '/product/bulk',
      { in_progress: 1, completed: 2, failed: 3, total: 6, state: 'running', outcome: null, live: true },
      'op',
      { operationId: 'op', state: 'running', counts: { total: 6, undecided: 1, succeeded: 2, failed: 3 } },
    ],
    [
      '/bulk-actions',
      {
        ...{ actionId: 'op', status: 'PAUSED', totalCount: 9, processedCount: 6 },
        ...{ successCount: 1, failureCount: 2, skippedCount: 3 },
      },
      null,
      { state: 'paused', counts: { total: 9, undecided: 3, succeeded: 1, failed: 2, skipped: 3 } },
    ],
  ])('is read from %s', (_, body, pathId, sight) => {
    expect(sightsIn(body, pathId)).toMatchObject([sight]);
    expect(sightsIn({ data: [body] }, null)).toHaveLength(pathId === null ? 1 : 0);
  });

  it.each([[null], ['text'], [{}], [[]], [{ data: [] }], [{ request_id: 'x', status: 'pending' }]])(
    'is nothing in %j',
    (body) => {
      expect(sightsIn(body, 'op')).toEqual([]);
    },
  );

  it('is of whom its marks and accounts say, in an address too', () => {
    expect([...ownersIn(`{"account":"a1","x":"${markOf('b-2')}y"} /z/mark%3Ac3%3A`)].sort()).toEqual([
      'a1',
      'b-2',
      'c3',
    ]);
    expect([...ownersIn('nothing of anybody, mark: my words')]).toEqual([]);
  });
});

describe('a recorder', () => {
  it('ends what lasts with the history, and forgets an epoch but not a fault that goes on', async () => {
    const { recording } = await clientOf(json(200, {}));
    const end = recording.fault('store', 'api→blobs');
    recording.clear();
    expect(recording.history(FRAME).lines).toMatchObject([{ kind: 'frame' }, { kind: 'fault', what: 'store' }]);
    end();
    end();
    expect(recording.history(FRAME).lines.filter(({ kind }) => kind === 'fault')).toHaveLength(1);
  });

  it('knows what was accepted or may have been, and nothing that was refused', async () => {
    let status = 202;
    const { client, recording } = await clientOf((request, response) => json(status, VIEW)(request, response));
    await client.submit({ target: 'noop', key: null, items: 1, body: '{}\n' });
    for (const [refused, key] of [
      [422, 'no'],
      [503, 'maybe'],
    ] as const) {
      status = refused;
      await client.submit({ target: 'noop', key, items: 1, body: '{}\n' });
    }
    expect(recording.operations().map(({ id }) => id)).toEqual(['op', 'maybe']);
  });
});
