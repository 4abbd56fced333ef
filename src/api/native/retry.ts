/** `POST …/retry`: runs items of an ended operation again, chosen by outcome, code or index, or sent corrected. */
import { TrancheError } from '../../model/errors.ts';
import { readSubmitFields } from '../../model/submit-fields.ts';
import type { RetryRequest } from '../../operations/operations.ts';
import { type ApiApp, type ApiContext, type AppDeps, actorOf, connectionOf } from '../context.ts';
import { readQuery, refuse } from '../query.ts';
import { absoluteUrl, operationPath, renderOperation, statusHeaders } from '../render.ts';
import { requestBody } from '../request-body.ts';
import { addRoute, type Handler, needs, operationId } from '../routes.ts';
import { readSmallJson } from '../small-json.ts';
import { readOutcomes } from './items.ts';

export function addRetry(app: ApiApp, deps: AppDeps): void {
  addRoute(app, '/v1/operations/:id/retry', { POST: needs('control', retryHandler(deps)) });
}

/** What is asked for, beside corrections. */
type Selection = Pick<RetryRequest, 'fromRun' | 'outcomes' | 'codes' | 'indexes' | 'deadline'>;
const MEMBERS = ['fromRun', 'outcomes', 'codes', 'indexes', 'deadline'] as const;

/** About 100,000 indexes; who means more names outcomes or codes. */
const SELECTION_BYTES_MAX = 1024 * 1024;

/** 202 for a new run; 200 where this very retry had been accepted before. */
function retryHandler(deps: AppDeps): Handler {
  return async (c) => {
    const id = operationId(c);
    const { selection, corrections } = await readRetry(c);
    const body = corrections === null ? null : requestBody(c);
    try {
      const { operation, replayed } = await deps.operations.retry({
        ...selection,
        account: c.get('account'),
        id,
        corrections: corrections === null || body === null ? null : { ...corrections, body },
        actor: actorOf(c),
        signal: c.req.raw.signal,
      });
      return c.json(renderOperation(operation), replayed ? 200 : 202, {
        ...statusHeaders(operation),
        Location: absoluteUrl(c, operationPath(operation.id), deps.publicUrl),
        ...(replayed ? { 'Idempotent-Replayed': 'true' } : {}),
      });
    } finally {
      body?.destroy();
    }
  };
}

interface Retry {
  readonly selection: Selection;
  /** null: the body, if any, was the selection. */
  readonly corrections: { readonly contentType: string; readonly contentEncoding: string | null } | null;
}

async function readRetry(c: ApiContext): Promise<Retry> {
  const contentType = c.req.header('Content-Type');
  const mediaType = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  if (mediaType === undefined && !hasBody(c)) return { selection: fromQuery(c), corrections: null };
  if (mediaType === 'application/json') {
    readQuery(c, []);
    return { selection: fromBody(await readSmallJson(c, { bytesMax: SELECTION_BYTES_MAX })), corrections: null };
  }
  if (contentType !== undefined && mediaType !== undefined && CORRECTION_TYPES.has(mediaType)) {
    const contentEncoding = c.req.header('Content-Encoding') ?? null;
    return { selection: fromQuery(c), corrections: { contentType, contentEncoding } };
  }
  const allowed = ['application/json', 'application/x-ndjson', 'text/csv'];
  throw new TrancheError('unsupported_media_type', `Send ${allowed.join(', ')} or nothing.`, { allowed });
}

const CORRECTION_TYPES: ReadonlySet<string> = new Set([
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/x-jsonlines',
  'text/csv',
]);

function hasBody(c: ApiContext): boolean {
  const { incoming } = connectionOf(c);
  if (incoming === undefined) return c.req.raw.body !== null;
  const { 'content-length': length, 'transfer-encoding': coding } = incoming.headers;
  return coding !== undefined || (length !== undefined && length !== '0');
}

/** Lists are parted by commas. */
function fromQuery(c: ApiContext): Selection {
  const { fromRun, outcomes, codes, indexes, deadline } = readQuery(c, MEMBERS);
  return readSelection({
    ...(fromRun === undefined ? {} : { fromRun: numberOf(fromRun) }),
    ...(outcomes === undefined ? {} : { outcomes: outcomes.split(',') }),
    ...(codes === undefined ? {} : { codes: codes.split(',') }),
    ...(indexes === undefined ? {} : { indexes: indexes.split(',').map(numberOf) }),
    ...(deadline === undefined ? {} : { deadline }),
  });
}

function numberOf(text: string): number {
  return /^\d{1,15}$/.test(text.trim()) ? Number(text) : Number.NaN;
}

function fromBody(body: unknown): Selection {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new TrancheError('malformed_request', 'The body must be an object.');
  }
  const unknown = Object.keys(body).filter((name) => !(MEMBERS as readonly string[]).includes(name));
  const detail = `unknown member; known here: ${MEMBERS.join(', ')}`;
  const faults = unknown.map((name) => ({ code: 'malformed_request', detail, parameter: name.slice(0, 64) }));
  if (faults.length > 0) refuse(faults.slice(0, FAULTS_SHOWN_MAX));
  return readSelection(body);
}

const FAULTS_SHOWN_MAX = 10;

function readSelection(given: { readonly [name in (typeof MEMBERS)[number]]?: unknown }): Selection {
  const { fromRun = null, outcomes = null, codes = null, indexes = null, deadline = null } = given;
  if (fromRun !== null && !isWhole(fromRun, 1)) fault('fromRun', 'must be the number of a run, from 1');
  if (outcomes !== null && !isListOf(outcomes, isText)) fault('outcomes', 'must be a list of outcomes');
  if (codes !== null && !isListOf(codes, isText)) fault('codes', 'must be a list of error codes');
  if (indexes !== null && !isListOf(indexes, isIndex)) fault('indexes', 'must be a list of indexes, from 0');
  if (deadline !== null && !isText(deadline)) fault('deadline', 'must be an RFC 3339 date and time');
  return {
    fromRun,
    outcomes: outcomes === null ? [] : readOutcomes('outcomes', outcomes),
    codes,
    indexes,
    ...(deadline === null ? {} : readSubmitFields({ deadline }).policy),
  };
}

function fault(parameter: string, detail: string): never {
  return refuse([{ code: 'malformed_request', detail, parameter }]);
}

function isWhole(value: unknown, from: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= from;
}

function isListOf<Entry>(value: unknown, is: (entry: unknown) => entry is Entry): value is readonly Entry[] {
  return Array.isArray(value) && value.length > 0 && value.every(is);
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isIndex = (value: unknown): value is number => isWhole(value, 0);
