import { describe, expect, it } from 'vitest';
import { createEventFeed, paceMs } from '../../../src/api/native/event-feed.ts';
import { TrancheError } from '../../../src/model/errors.ts';
import type { Operations, OperationView } from '../../../src/operations/operations.ts';
import { viewOf } from '../../fixtures/fake-operations.ts';
import { appOver } from './setup.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const HISTORY = [
  { at: '2026-01-01T00:00:00.000Z', action: 'submitted', by: 'ann', traceId: TRACE, detail: { items: 3 } },
  { at: '2026-01-01T00:00:01.000Z', action: 'paused', by: 'bob', traceId: TRACE, detail: {} },
] as const;
const RUNNING = viewOf({ id: 'op', revision: 4 });
const ENDED = viewOf({ id: 'op', revision: 7, state: 'ended', outcome: 'succeeded' });

/** Answers one view after the other, the last one for ever. */
function inTurn(...views: OperationView[]): Operations['get'] {
  let next = 0;
  return async () => views[Math.min(next++, views.length - 1)] ?? RUNNING;
}

function following(get: Operations['get'], limits = {}, closing = new AbortController()) {
  const overrides = { get, audit: async () => HISTORY };
  const deps = { limits: { eventIntervalMs: 2, ...limits }, closing: closing.signal };
  const { app } = appOver(overrides, deps);
  return (headers: Record<string, string> = {}, signal?: AbortSignal) =>
    app.request('/v1/operations/op/events', { headers, ...(signal === undefined ? {} : { signal }) });
}

interface Seen {
  readonly id: string | null;
  readonly event: string;
  readonly data: { readonly state?: string; readonly action?: string };
}

async function eventsIn(answer: Response): Promise<Seen[]> {
  const lines = (await answer.text()).split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Seen);
}

const NDJSON = { Accept: 'application/x-ndjson' };

describe('the events of an operation', () => {
  it('are its history, its progress, and one end, with ids that rise and never repeat', async () => {
    const views = [RUNNING, RUNNING, { ...RUNNING, revision: 5 }, { ...RUNNING, revision: 3 }, ENDED];
    const answer = await following(inTurn(...views))(NDJSON);
    expect(answer.headers.get('Content-Type')).toBe('application/x-ndjson');
    expect(answer.headers.get('Cache-Control')).toBe('no-store');
    const seen = await eventsIn(answer);
    expect(seen.map(({ id, event }) => `${id} ${event}`)).toEqual([
      '0.1 operation.submitted',
      '0.2 operation.paused',
      '1.4 operation.progress',
      '1.5 operation.progress',
      '1.7 operation.ended',
    ]);
    expect(seen[1]?.data).toEqual(HISTORY[1]);
    expect(seen[4]?.data).toMatchObject({ id: 'op', state: 'ended', links: { events: '/v1/operations/op/events' } });
  });

  it('come as server-sent events where nothing else is asked for', async () => {
    const answer = await following(inTurn(RUNNING, ENDED))({ Accept: 'text/event-stream' });
    expect(answer.headers.get('Content-Type')).toBe('text/event-stream; charset=utf-8');
    const [opening, first, ...rest] = (await answer.text()).split('\n\n');
    expect(opening).toBe('retry: 2000');
    expect(first).toBe(`id: 0.1\nevent: operation.submitted\ndata: ${JSON.stringify(HISTORY[0])}`);
    expect(rest.at(-2)).toMatch(/^id: 1\.7\nevent: operation\.ended\ndata: \{.*"id":"op",.*\}$/);
  });

  it.each([
    ['0.1', ['0.2', '1.4', '1.7']],
    ['0.2', ['1.4', '1.7']],
    ['1.3', ['1.4', '1.7']],
    ['1.4', ['1.7']],
    ['1.6', ['1.7']],
    ['nonsense', ['0.1', '0.2', '1.4', '1.7']],
  ])('go on behind Last-Event-ID %s', async (after, expected) => {
    const answer = await following(inTurn(RUNNING, RUNNING, ENDED))({ ...NDJSON, 'Last-Event-ID': after });
    expect((await eventsIn(answer)).map(({ id }) => id)).toEqual(expected);
  });

  it('are over for who has seen the end: 204; a later run goes on', async () => {
    expect((await following(inTurn(ENDED))({ 'Last-Event-ID': '1.7' })).status).toBe(204);
    expect((await following(inTurn(ENDED))({ 'Last-Event-ID': '1.9' })).status).toBe(204);
    const again = following(inTurn({ ...RUNNING, run: 2, revision: 1 }, { ...ENDED, run: 2, revision: 2 }));
    const seen = await eventsIn(await again({ ...NDJSON, 'Last-Event-ID': '1.7' }));
    expect(seen.map(({ id }) => id)).toEqual(['2.1', '2.2']);
  });

  it('end without an id where the last one was that of the end already', async () => {
    const seen = await eventsIn(await following(inTurn(RUNNING, { ...ENDED, revision: 4 }))(NDJSON));
    expect(seen.slice(2).map(({ id, event }) => `${id} ${event}`)).toEqual([
      '1.4 operation.progress',
      'null operation.ended',
    ]);
  });

  it('have heartbeats between them, and stop when the server closes', async () => {
    const closing = new AbortController();
    const answer = await following(inTurn(RUNNING), { heartbeatMs: 5 }, closing)();
    const reader = (answer.body ?? new ReadableStream<Uint8Array>()).getReader();
    let text = '';
    while (!text.includes(': heartbeat\n\n: heartbeat\n\n')) {
      text += Buffer.from((await reader.read()).value ?? []).toString();
    }
    closing.abort();
    while (!(await reader.read()).done);
    expect(text).not.toContain('operation.ended');
  });

  it('outlive a status that cannot be read for a while, and end where the operation is gone', async () => {
    let reads = 0;
    const get = async () => {
      reads++;
      if (reads > 4) throw new TrancheError('not_found', 'gone');
      if (reads > 1 && reads < 4) throw new TrancheError('unavailable', 'later');
      return { ...RUNNING, revision: reads };
    };
    const seen = await eventsIn(await following(get)(NDJSON));
    expect(seen.map(({ id }) => id)).toEqual(['0.1', '0.2', '1.1', '1.4']);
  });

  it('refuse one follower too many with a problem, and let the next one in when somebody has left', async () => {
    const closing = new AbortController();
    const follow = following(inTurn(RUNNING), { followersMax: 1 }, closing);
    const reader = new AbortController();
    const first = await follow({}, reader.signal);
    const refused = await follow();
    expect(refused.status).toBe(503);
    expect(refused.headers.get('Retry-After')).toBe('5');
    expect(await refused.json()).toMatchObject({ code: 'unavailable' });
    reader.abort();
    await first.text();
    const next = await follow();
    expect(next.status).toBe(200);
    closing.abort();
    await next.text();
  });

  it.each([
    ['unauthenticated', 'end'],
    ['forbidden', 'end'],
    ['unavailable', 'go on'],
  ] as const)('look at credentials again: where they are %s by then, they %s', async (code, then) => {
    let entered = 0;
    let outcome: TrancheError | null = null;
    const signIn = async () => {
      entered++;
      if (outcome !== null) throw outcome;
      return { account: 'default', subject: 'ann', roles: ['viewer'] } as const;
    };
    const closing = new AbortController();
    const limits = { eventIntervalMs: 1, heartbeatMs: 2 };
    const { app } = appOver(
      { get: async () => RUNNING, audit: async () => [] },
      { signIn, limits, closing: closing.signal },
    );
    const answer = await app.request('/v1/operations/op/events');
    outcome = new TrancheError(code, 'not any more');
    const reader = (answer.body ?? new ReadableStream<Uint8Array>()).getReader();
    let over = false;
    while (!over && entered < 20) over = (await reader.read()).done;
    expect(over).toBe(then === 'end');
    closing.abort();
  });

  it('are not there for an operation that is not', async () => {
    const { app } = appOver();
    expect((await app.request('/v1/operations/nope/events')).status).toBe(404);
    expect((await app.request('/v1/operations/nope/events?x=1')).status).toBe(400);
  });
});

describe('a feed', () => {
  const signal = new AbortController().signal;

  it('reads an operation once for all who follow it, and not at all once nobody does', async () => {
    let reads = 0;
    const feed = createEventFeed({
      read: async () => ({ ...RUNNING, revision: ++reads }),
      intervalMs: 1,
      followersMax: 100,
    });
    const followers = Array.from({ length: 50 }, () => feed.follow('a', 'op'));
    await Promise.all(followers.map((follower) => follower.news(null, 1_000, signal)));
    expect(reads).toBe(1);
    for (const follower of followers) follower.leave();
    for (const follower of followers) follower.leave();
    const afterwards = reads;
    await new Promise((wake) => setTimeout(wake, 10));
    expect(reads).toBeLessThanOrEqual(afterwards + 1);
  });

  it('gives a slow reader the newest view, never a queue', async () => {
    let revision = 0;
    const feed = createEventFeed({
      read: async () => ({ ...RUNNING, revision: ++revision }),
      intervalMs: 1,
      followersMax: 1,
    });
    const follower = feed.follow('a', 'op');
    let seen: OperationView | null = null;
    while ((follower.latest()?.revision ?? 0) < 10)
      await follower.news(seen, 1_000, signal).then(() => (seen = follower.latest()));
    const { latest } = follower;
    await follower.news(null, 1_000, signal);
    expect(latest()?.revision).toBe(revision);
    follower.leave();
  });

  it('reads no more often in all, however many operations are followed', () => {
    const readsPerSecond = (operations: number) => (operations * 1_000) / paceMs(250, operations);
    expect(paceMs(250, 1)).toBe(250);
    expect(paceMs(250, 50)).toBe(250);
    for (const operations of [50, 51, 400, 1_000]) expect(readsPerSecond(operations)).toBeLessThanOrEqual(200);
  });

  it('refuses one follower too many, and takes the next when one has left', () => {
    const feed = createEventFeed({ read: async () => RUNNING, intervalMs: 1_000, followersMax: 2 });
    const [first, second] = [feed.follow('a', 'x'), feed.follow('b', 'x')];
    expect(() => feed.follow('a', 'y')).toThrow(expect.objectContaining({ code: 'unavailable' }));
    first?.leave();
    const third = feed.follow('a', 'y');
    for (const follower of [second, third]) follower?.leave();
  });
});
