/** `GET …/events`: what was done to an operation, then its progress as it comes, then its end; as SSE or as NDJSON. */
import type { AuditEntry } from '../../model/audit.ts';
import { isTrancheError } from '../../model/errors.ts';
import type { OperationView } from '../../operations/operations.ts';
import { type ApiApp, type ApiContext, type AppDeps, connectionOf } from '../context.ts';
import { readQuery } from '../query.ts';
import { renderOperation, VARY } from '../render.ts';
import { addRoute, type Handler, needs, operationId } from '../routes.ts';
import { answerStream } from '../stream.ts';
import { createEventFeed, type Follower } from './event-feed.ts';

export function addEvents(app: ApiApp, deps: AppDeps): void {
  addRoute(app, '/v1/operations/:id/events', { GET: needs('read', eventsHandler(deps)) });
}

/**
 * `<run>.<revision>`, which rise and never repeat; run 0 is the history (`0.<n>` is its n-th entry). null: the end came
 * without a change since the last event.
 */
interface EventId {
  readonly run: number;
  readonly revision: number;
}

interface OperationEvent {
  readonly id: EventId | null;
  readonly event: string;
  readonly data: unknown;
}

function eventsHandler(deps: AppDeps): Handler {
  const { eventIntervalMs: intervalMs, followersMax, followersPerAccountMax } = deps.limits;
  const feed = createEventFeed({ read: deps.operations.get, intervalMs, followersMax, followersPerAccountMax });
  return async (c) => {
    const id = operationId(c);
    const account = c.get('account');
    const query = readQuery(c, ['after']);
    const after = readEventId(c.req.header('Last-Event-ID') ?? query.after);
    const view = await deps.operations.get(account, id);
    // 204 is what keeps an EventSource from coming back.
    if (view.state === 'ended' && after !== null && !isBehind(after, idOf(view))) {
      return c.body(null, 204, { 'Cache-Control': 'no-store', Vary: VARY });
    }
    const seesHistory = after === null || after.run === 0;
    const history = seesHistory ? await deps.operations.audit(account, id) : [];
    const mayStay = createMayStay(c, deps.limits.heartbeatMs);
    const source = { history, view, after, mayStay, signal: untilGone(c, deps.closing) };
    const format = /\bapplication\/(?:x-ndjson|ndjson|jsonl)\b/i.test(c.req.header('Accept') ?? '') ? NDJSON : SSE;
    const stream = async function* (): AsyncGenerator<Buffer> {
      // Before the first piece: who is refused gets a problem, not a stream that breaks off.
      const follower = feed.follow(account, id);
      try {
        yield* rendered(eventsOf({ ...source, follower }, deps.limits.heartbeatMs), format);
      } finally {
        follower.leave();
      }
    };
    return answerStream(c, deps, stream(), {
      'Content-Type': format.mediaType,
      'Cache-Control': 'no-store',
      'X-Accel-Buffering': 'no',
      Vary: VARY,
    });
  };
}

/** Aborted when the server closes, or the client has gone: a stream that only waits would not notice. */
function untilGone(c: ApiContext, closing: AbortSignal): AbortSignal {
  const gone = new AbortController();
  connectionOf(c).outgoing?.once('close', () => gone.abort());
  return AbortSignal.any([closing, c.req.raw.signal, gone.signal]);
}

/** A stream may outlive its caller's credentials: they are looked at again, at most once in `everyMs`. */
function createMayStay(c: ApiContext, everyMs: number): () => Promise<boolean> {
  let seenAt = performance.now();
  return async () => {
    if (performance.now() - seenAt < everyMs) return true;
    seenAt = performance.now();
    try {
      await c.get('enter')(c, 'read');
      return true;
    } catch (error) {
      // Where nobody can tell now, who was let in stays.
      return isTrancheError(error) && error.code === 'unavailable';
    }
  };
}

interface EventSource {
  readonly history: readonly AuditEntry[];
  readonly view: OperationView;
  readonly after: EventId | null;
  readonly follower: Follower;
  /** False: the caller is not let in any more. */
  readonly mayStay: () => Promise<boolean>;
  readonly signal: AbortSignal;
}

/** null = a heartbeat: nothing has happened for so long. */
async function* eventsOf(source: EventSource, heartbeatMs: number): AsyncGenerator<OperationEvent | null> {
  const { history, after } = source;
  let last = after ?? { run: 0, revision: 0 };
  for (const [n, entry] of history.entries()) {
    const id = { run: 0, revision: n + 1 };
    if (isBehind(last, id)) yield { id, event: `operation.${entry.action}`, data: entry };
  }
  for await (const view of viewsOf(source, heartbeatMs)) {
    if (view === null) yield null;
    else {
      const id = idOf(view);
      const isNews = isBehind(last, id);
      const data = renderOperation(view);
      if (view.state === 'ended') return yield { id: isNews ? id : null, event: 'operation.ended', data };
      if (isNews) yield { id, event: 'operation.progress', data };
      if (isNews) last = id;
    }
  }
}

/** The operation as it is, then whenever it has changed, each time as it is then; null where it has not for so long. */
async function* viewsOf({ view, follower, mayStay, signal }: EventSource, heartbeatMs: number) {
  yield view;
  for (let seen: OperationView | null = null; ; ) {
    await follower.news(seen, heartbeatMs, signal);
    if (signal.aborted || follower.isGone() || !(await mayStay())) return;
    const latest = follower.latest();
    yield latest === seen ? null : latest;
    seen = latest;
  }
}

interface Format {
  readonly mediaType: string;
  /** Before the first event, so that the head goes out at once. */
  readonly opening: string;
  readonly heartbeat: string;
  readonly render: (event: OperationEvent) => string;
}

const RECONNECT_MS = 2_000;

const SSE: Format = {
  mediaType: 'text/event-stream; charset=utf-8',
  opening: `retry: ${RECONNECT_MS}\n\n`,
  heartbeat: ': heartbeat\n\n',
  // JSON has no raw line break, so the data is one line.
  render: ({ id, event, data }) =>
    `${id === null ? '' : `id: ${textOf(id)}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`,
};

const NDJSON: Format = {
  mediaType: 'application/x-ndjson',
  opening: '\n',
  heartbeat: '\n',
  render: ({ id, event, data }) => `${JSON.stringify({ id: id === null ? null : textOf(id), event, data })}\n`,
};

async function* rendered(events: AsyncIterable<OperationEvent | null>, format: Format): AsyncGenerator<Buffer> {
  yield Buffer.from(format.opening);
  for await (const event of events) yield Buffer.from(event === null ? format.heartbeat : format.render(event));
}

function idOf({ run, revision }: OperationView): EventId {
  return { run, revision };
}

function textOf({ run, revision }: EventId): string {
  return `${run}.${revision}`;
}

/** What is no id of ours is nothing: the stream begins at its beginning. */
function readEventId(text: string | undefined): EventId | null {
  const [, run, revision] = /^(\d{1,9})\.(\d{1,15})$/.exec(text ?? '') ?? [];
  return run === undefined || revision === undefined ? null : { run: Number(run), revision: Number(revision) };
}

function isBehind(a: EventId, b: EventId): boolean {
  return a.run === b.run ? a.revision < b.revision : a.run < b.run;
}
