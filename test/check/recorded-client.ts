/** A client of one account at one server: asks what users ask, and notes every request with all that came of it. */
import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { ItemOutcome } from '../../src/model/outcome.ts';
import { idIn, idOfKey, ownersOf, parsedOrNull, rowsIn } from './answer-facts.ts';
import { followEvents } from './event-stream.ts';
import type { Action, HistoryLine, Reading, Retried, Submitted } from './history.ts';
import { packRows } from './rows.ts';
import type { Sender, Sent } from './sender.ts';
import { isObject, type Sight, sightsIn } from './sightings.ts';
import { doorOf, factsOf, type Submission } from './submissions.ts';

export type { Submission } from './submissions.ts';

export interface RecordedClientOptions {
  readonly name: string;
  readonly account: string;
  /** As faults name it. */
  readonly server: string;
  readonly baseUrl: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** What came of a request; `status` null: nothing did. Never thrown. */
export interface Answered {
  readonly status: number | null;
  /** A problem's, or the socket's. */
  readonly code: string | null;
  /** Parsed JSON; null where there is none. */
  readonly body: unknown;
  readonly operationId: string | null;
  /** Operations that the answer shows. */
  readonly sights: readonly Sight[];
}

export interface RetryWish {
  readonly fromRun: number | null;
  readonly outcomes?: readonly ItemOutcome[];
  readonly codes?: readonly string[];
  readonly indexes?: readonly number[];
  /** NDJSON or CSV with the indexes of the items in it. */
  readonly corrections?: { readonly body: string; readonly type: string; readonly indexes: readonly number[] };
}

export interface RecordedClient {
  readonly account: string;
  readonly server: string;
  submit(submission: Submission): Promise<Answered>;
  status(id: string): Promise<Answered>;
  list(query?: string): Promise<Answered>;
  /** Follows until the operation ends, the stream breaks or `signal` says so; ids below `after` are not sent. */
  events(id: string, options: { readonly signal: AbortSignal; readonly after?: string }): Promise<Answered>;
  download(id: string): Promise<Answered>;
  control(verb: 'pause' | 'resume' | 'cancel', id: string): Promise<Answered>;
  retry(id: string, wish: RetryWish): Promise<Answered>;
  amend(id: string, change: Readonly<Record<string, unknown>>): Promise<Answered>;
  purge(id: string): Promise<Answered>;
  /** Anything else; sights in it are noted, too. */
  ask(method: string, path: string, about?: { readonly action?: Action; readonly id?: string }): Promise<Answered>;
}

export interface ClientParts {
  readonly sender: Sender;
  readonly note: (line: HistoryLine) => void;
  readonly nowMs: () => number;
}

const TIMEOUT_MS = 30_000;
let lastExchange = 0;

/** A request, and what is known of it beside its bytes. */
interface Asking {
  readonly action: Action;
  readonly via: Reading['via'];
  readonly method: string;
  readonly path: string;
  readonly id?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer | Readable;
  readonly submitted?: Submitted;
  readonly retried?: Retried;
  readonly signal?: AbortSignal | undefined;
}

export function createRecordedClient(parts: ClientParts, options: RecordedClientOptions): RecordedClient {
  const { sender, note, nowMs } = parts;
  const { name: client, account, server, baseUrl, timeoutMs = TIMEOUT_MS } = options;

  function begin({ action, method, path }: Pick<Asking, 'action' | 'method' | 'path'>) {
    lastExchange += 1;
    const traceId = randomBytes(16).toString('hex');
    const times = { sentAtMs: nowMs(), sentWallMs: Date.now() };
    return {
      kind: 'exchange',
      id: lastExchange,
      client,
      server,
      account,
      action,
      method,
      path,
      traceId,
      ...times,
    } as const;
  }

  function end(begun: ReturnType<typeof begin>, asking: Partial<Asking>, sent: Sent, text: string): Answered {
    const endedAtMs = nowMs();
    const body = parsedOrNull(sent, text);
    const { id = null, submitted = null, retried = null } = asking;
    const operationId = id ?? idIn(body, sent.status) ?? idOfKey(submitted, sent.status);
    const code = sent.fault ?? (isObject(body) && typeof body['code'] === 'string' ? body['code'] : null);
    note({
      ...begun,
      ...{ endedAtMs, status: sent.status, code, operationId, submitted, retried },
      retryAfter: sent.headers['retry-after'] !== undefined,
      replayed: sent.headers['idempotent-replayed'] === 'true',
      owners: ownersOf(begun.path, sent, text),
    });
    const sights = sent.status !== null && sent.status < 300 ? sightsIn(body, operationId) : [];
    for (const sight of sights) {
      const seen = { client, server, account, beganAtMs: begun.sentAtMs, seenAtMs: endedAtMs, stream: null };
      note({ kind: 'reading', via: asking.via ?? 'other', ...seen, ...sight });
    }
    return { status: sent.status, code, body, operationId, sights };
  }

  const headersOf = (traceId: string, own: Readonly<Record<string, string>> = {}) => ({
    'tranche-account': account,
    traceparent: `00-${traceId}-${traceId.slice(0, 16)}-01`,
    ...options.headers,
    ...own,
  });

  function sendingOf(asking: Asking, traceId: string) {
    const { method, path, headers, body = null, signal } = asking;
    const bounds = { timeoutMs, ...(signal === undefined ? {} : { signal }) };
    return { baseUrl, method, path, headers: headersOf(traceId, headers), body, ...bounds };
  }

  async function ask(asking: Asking): Promise<Answered> {
    const begun = begin(asking);
    const sent = await sender.send(sendingOf(asking, begun.traceId));
    return end(begun, asking, sent, sent.text);
  }

  const of = (id: string, rest = '') => `/v1/operations/${encodeURIComponent(id)}${rest}`;
  const look = { action: 'look', method: 'GET' } as const;

  return {
    account,
    server,
    submit(submission) {
      const { path, type } = doorOf(submission);
      const key = submission.key === null ? {} : { 'idempotency-key': submission.key };
      const headers = { 'content-type': submission.type ?? type, ...key, ...submission.headers };
      const { body, signal } = submission;
      const submitted = factsOf(submission);
      return ask({ action: 'submit', via: 'submit', method: 'POST', path, headers, body, submitted, signal });
    },
    status: (id) => ask({ ...look, via: 'status', path: of(id), id }),
    list: (query = '') => ask({ ...look, via: 'list', path: `/v1/operations${query}` }),
    async events(id, { signal, after }) {
      const path = of(id, after === undefined ? '/events' : `/events?after=${after}`);
      const asking: Asking = { ...look, via: 'events', path, id, signal, headers: { accept: 'text/event-stream' } };
      const begun = begin(asking);
      const seen = { client, server, account, beganAtMs: begun.sentAtMs, stream: begun.id };
      let heard = '';
      const feed = followEvents((data) => {
        for (const sight of sightsIn(data, id)) {
          note({ kind: 'reading', via: 'events', ...seen, seenAtMs: nowMs(), ...sight });
        }
      });
      const sent = await sender.stream({ ...sendingOf(asking, begun.traceId), timeoutMs: 600_000 }, (text) => {
        heard += text;
        feed(text);
      });
      return end(begun, { id, via: 'events' }, sent, heard);
    },
    async download(id) {
      const begun = begin({ action: 'download', method: 'GET', path: of(id, '/results') });
      const asking: Asking = { action: 'download', via: 'other', method: 'GET', path: begun.path, id };
      const sent = await sender.send(sendingOf(asking, begun.traceId));
      const answered = end(begun, { id }, sent, sent.text);
      if (sent.status !== 200) return answered;
      const complete = sent.headers['results-complete'] === '?1';
      const times = { beganAtMs: begun.sentAtMs, endedAtMs: nowMs() };
      const rows = packRows(rowsIn(sent.text));
      note({ kind: 'download', client, server, account, operationId: id, ...times, complete, ...rows });
      return answered;
    },
    control: (verb, id) => ask({ action: verb, via: 'control', method: 'POST', path: of(id, `/${verb}`), id }),
    retry(id, wish) {
      const { fromRun, outcomes = [], codes = null, indexes = null, corrections } = wish;
      const retried = { fromRun, outcomes, codes, indexes, corrected: corrections?.indexes ?? null };
      const asking = { action: 'retry', via: 'retry', method: 'POST', id, retried } as const;
      const chosen = { fromRun, outcomes: orNone(outcomes), codes, indexes };
      const named = Object.entries(chosen).filter((entry) => entry[1] !== null && entry[1] !== undefined);
      if (corrections === undefined) {
        const headers = { 'content-type': 'application/json' };
        return ask({ ...asking, path: of(id, '/retry'), headers, body: JSON.stringify(Object.fromEntries(named)) });
      }
      const query = new URLSearchParams(Object.fromEntries(named.map(([name, value]) => [name, String(value)])));
      const headers = { 'content-type': corrections.type };
      return ask({ ...asking, path: `${of(id, '/retry')}?${query}`, headers, body: corrections.body });
    },
    amend(id, change) {
      const headers = { 'content-type': 'application/json' };
      const asking = { action: 'amend', via: 'control', method: 'PATCH', path: of(id), id } as const;
      return ask({ ...asking, headers, body: JSON.stringify(change) });
    },
    purge: (id) => ask({ action: 'purge', via: 'control', method: 'DELETE', path: of(id), id }),
    ask: (method, path, { action = 'read', id } = {}) =>
      ask({ action, via: 'other', method, path, ...(id === undefined ? {} : { id }) }),
  };
}

function orNone<Each>(list: readonly Each[]): readonly Each[] | null {
  return list.length === 0 ? null : list;
}
