/** The life of a call, whatever the vendor: limit, fate, idempotency key, delay, effect, answer, ledger row. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createFaultPlan, type Fate, type FaultPlan } from './fault-plan.ts';
import type { KeyMemory, StoredAnswer } from './key-memory.ts';
import type { Ledger } from './ledger.ts';
import type { Settings } from './settings.ts';
import { hashText } from './text-arena.ts';

export interface VendorApiDeps {
  readonly ledger: Ledger;
  readonly keys: KeyMemory;
  /** What a call does. Null where there is no such path and method. */
  readonly execute: (request: CallRequest, settings: Settings, random: () => number) => Execution | null;
  /** Event-loop lag in ms, estimated at this moment. */
  readonly lagMs: () => number;
}

/** What a vendor acts on. */
export interface CallRequest {
  readonly method: string;
  readonly path: string;
  /** Null where none was sent. */
  readonly body: string | null;
}

export interface Execution {
  readonly answer: StoredAnswer;
  /** It had an effect. */
  readonly applied: boolean;
  /** Told when the effect was the first under its key. */
  readonly onFirst?: () => void;
  /** The answer leaves after it; never rejects. */
  readonly before?: Promise<void>;
}

export interface VendorApi {
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Takes effect for calls that arrive from now on. */
  configure(settings: Settings, change: { readonly reseed: boolean }): void;
  settings(): Settings;
}

/** What is known of a call once its body is in. */
interface Call extends CallRequest {
  readonly at: number;
  readonly lagMs: number;
  /** Null for a GET, too: reading has no effect to repeat. */
  readonly key: string | null;
  readonly traceId: string | null;
  readonly sentAtMs: number | null;
  readonly bodyHash: number | null;
  readonly response: ServerResponse;
}

/** How a call ends: an answer, its socket destroyed, or left open without one. */
interface Ending {
  readonly answer: StoredAnswer | 'reset' | 'hang';
  readonly applied?: boolean;
  readonly replayed?: boolean;
  readonly retryAfterSeconds?: number | null;
}

const BODY_BYTES_MAX = 4 * 1024 * 1024;

export function createVendorApi(deps: VendorApiDeps, initial: Settings): VendorApi {
  let settings = initial;
  let faults: FaultPlan = createFaultPlan(settings);

  function end(call: Call, ending: Ending): void {
    const { answer, applied = false, replayed = false } = ending;
    const { at, lagMs, sentAtMs, key, traceId, method, path, bodyHash } = call;
    const status = typeof answer === 'string' ? null : answer.status;
    deps.ledger.append({ at, key, traceId, method, path, status, applied, replayed, bodyHash, lagMs, sentAtMs });
    if (answer === 'reset') call.response.socket?.resetAndDestroy();
    else if (answer !== 'hang') send(call.response, answer, replayed, ending.retryAfterSeconds ?? null);
  }

  function arrive(call: Call): void {
    const refusal = refusalOf(call, settings, faults);
    if (refusal !== null) {
      end(call, refusal);
      return;
    }
    const fate = faults.draw();
    const delayMs = faults.delayMs();
    const early = endingBeforeKey(fate, settings) ?? endingUnderKey(call, fate);
    later(delayMs, early === null ? () => execute(call, fate) : () => end(call, early));
  }

  /** Null where the call is the first under its key, or has none, and is to be executed. */
  function endingUnderKey(call: Call, fate: Fate): Ending | null {
    if (call.key === null || settings.ignoreKeys) return null;
    const verdict = deps.keys.begin(call.key, fingerprint(call));
    if (verdict.kind === 'first') return null;
    if (verdict.kind === 'in_use') return { answer: KEY_IN_USE };
    if (verdict.kind === 'reused') return { answer: KEY_REUSED };
    return { answer: withFate(fate, verdict.answer), replayed: true };
  }

  function execute(call: Call, fate: Fate): void {
    const done = deps.execute(call, settings, faults.random) ?? {
      answer: problem(404, 'not_found', `there is no ${call.method} ${call.path}`),
      applied: false,
    };
    const leave = () => {
      const effects = call.key === null ? 1 : deps.keys.finish(call.key, fingerprint(call), done.answer, done.applied);
      if (done.applied && effects === 1) done.onFirst?.();
      end(call, { answer: withFate(fate, done.answer), applied: done.applied });
    };
    if (done.before === undefined) leave();
    else void done.before.then(leave);
  }

  return {
    handle(request, response) {
      const at = performance.timeOrigin + performance.now();
      const lagMs = deps.lagMs();
      readBody(request, (body) => {
        if (body === 'too_large') send(response, TOO_LARGE, false, null);
        else arrive(toCall(request, response, { at, lagMs, body }));
      });
    },
    configure(next, { reseed }) {
      faults = createFaultPlan(next, {
        ...(reseed ? {} : { random: faults.random }),
        ...(next.callsPerSecond === settings.callsPerSecond ? { overLimit: faults.overLimit } : {}),
      });
      settings = next;
    },
    settings: () => settings,
  };
}

/** Refused without a fate being drawn: the vendor is down, or the call is over the limit. */
function refusalOf(call: Call, settings: Settings, faults: FaultPlan): Ending | null {
  const { down, retryAfterSeconds, callsPerSecond } = settings;
  if (down === 'reset') return { answer: 'reset' };
  if (down) return { answer: problem(503, 'down', 'the vendor is down'), retryAfterSeconds };
  const waitSeconds = faults.overLimit(call.at);
  if (waitSeconds === null) return null;
  const answer = problem(429, 'rate_limited', `more than ${callsPerSecond} calls per second`);
  return { answer, retryAfterSeconds: waitSeconds };
}

/** Faults that come before the key is looked at leave no trace of the call but its ledger row. */
function endingBeforeKey(fate: Fate, { retryAfterSeconds }: Settings): Ending | null {
  if (fate.kind === 'hang') return { answer: 'hang' };
  if (fate.kind === 'reset_before') return { answer: 'reset' };
  if (fate.kind !== 'error') return null;
  return { answer: problem(fate.status, 'injected', `injected ${fate.status}`), retryAfterSeconds };
}

function toCall(
  request: IncomingMessage,
  response: ServerResponse,
  { at, lagMs, body }: Pick<Call, 'at' | 'lagMs' | 'body'>,
): Call {
  const method = request.method ?? '';
  const path = request.url ?? '';
  const key = method === 'GET' ? null : headerOf(request.rawHeaders, 'idempotency-key');
  const bodyHash = body === null ? null : hashText(body);
  const traceId = /^00-([0-9a-f]{32})-/.exec(headerOf(request.rawHeaders, 'traceparent') ?? '')?.[1] ?? null;
  const sentAtMs = Number(headerOf(request.rawHeaders, 'tranche-sent-at')) || null;
  return { at, lagMs, sentAtMs, key, traceId, method, path, body, bodyHash, response };
}

const TOO_LARGE = problem(413, 'content_too_large', 'body over 4 MiB');
const KEY_IN_USE = problem(409, 'idempotency_key_in_use', 'a call with this idempotency key is running');
const KEY_REUSED = problem(422, 'idempotency_key_reused', 'this idempotency key was used with other parameters');

export function problem(status: number, code: string, message: string): StoredAnswer {
  return { status, body: JSON.stringify({ code, message }) };
}

/** What leaves the vendor once a call is done: its answer, unless its fate is to lose it. */
function withFate(fate: Fate, answer: StoredAnswer): Ending['answer'] {
  if (fate.kind === 'reset_after') return 'reset';
  return fate.kind === 'hang_applied' ? 'hang' : answer;
}

/** No timer where none is asked for: the answer then leaves in the turn that the call came in. */
function later(delayMs: number, act: () => void): void {
  if (delayMs < 0.5) act();
  else setTimeout(act, delayMs);
}

function fingerprint(call: Call): number {
  return hashText(call.path, (call.bodyHash ?? 0) ^ call.method.charCodeAt(1));
}

/** Straight from the raw pairs: building Node's header object for every call costs more than the rest of the call. */
function headerOf(rawHeaders: readonly string[], name: string): string | null {
  for (let position = 0; position < rawHeaders.length; position += 2) {
    const candidate = rawHeaders[position];
    if (candidate?.length === name.length && candidate.toLowerCase() === name) return rawHeaders[position + 1] ?? null;
  }
  return null;
}

/** Calls back with null where no body was sent; never for a body that its client gave up. */
function readBody(request: IncomingMessage, done: (body: string | null | 'too_large') => void): void {
  let first: Buffer | null = null;
  let rest: Buffer[] | null = null;
  let bytes = 0;
  request.on('data', (part: Buffer) => {
    bytes += part.length;
    if (bytes > BODY_BYTES_MAX) return;
    if (first === null) first = part;
    else if (rest === null) rest = [first, part];
    else rest.push(part);
  });
  request.on('end', () => {
    if (bytes > BODY_BYTES_MAX) done('too_large');
    else done(first === null ? null : (rest === null ? first : Buffer.concat(rest)).toString('utf8'));
  });
}

function send(
  response: ServerResponse,
  answer: StoredAnswer,
  replayed: boolean,
  retryAfterSeconds: number | null,
): void {
  if (response.destroyed) return;
  const headers = ['content-type', 'application/json'];
  if (answer.status !== 204) headers.push('content-length', String(Buffer.byteLength(answer.body)));
  if (replayed) headers.push('idempotent-replayed', 'true');
  if (retryAfterSeconds !== null) headers.push('retry-after', String(retryAfterSeconds));
  response.writeHead(answer.status, headers);
  response.end(answer.body);
}
