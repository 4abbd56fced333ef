/** The one place where an error becomes an answer: RFC 9457 problem details, never more than the public message. */
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { type ErrorCode, isTrancheError, TrancheError } from '../model/errors.ts';
import type { Log } from '../model/log.ts';
import { type ApiContext, pathForLog } from './context.ts';
import { rateLimitHeaders } from './rate-limit-headers.ts';

/** What HTTP itself refuses has codes of its own; no verb throws them. */
type ProblemCode = ErrorCode | 'method_not_allowed' | 'uri_too_long' | 'header_too_large' | 'header_timeout';

const PROBLEMS: Readonly<Record<ProblemCode, { readonly status: ContentfulStatusCode; readonly title: string }>> = {
  malformed_body: { status: 400, title: 'The body cannot be read' },
  malformed_request: { status: 400, title: 'The request cannot be read' },
  idempotency_key_invalid: { status: 400, title: 'The idempotency key is invalid' },
  client_gone: { status: 400, title: 'The body ended early' },
  unauthenticated: { status: 401, title: 'Sign in first' },
  forbidden: { status: 403, title: 'Not allowed' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  body_timeout: { status: 408, title: 'The body stopped arriving' },
  header_timeout: { status: 408, title: 'The request stopped arriving' },
  illegal_transition: { status: 409, title: 'Not possible in this state' },
  gone: { status: 410, title: 'The operation is gone' },
  content_too_large: { status: 413, title: 'The content is too large' },
  uri_too_long: { status: 414, title: 'The request target is too long' },
  unsupported_media_type: { status: 415, title: 'Unsupported media type' },
  unsupported_content_coding: { status: 415, title: 'Unsupported content coding' },
  no_items: { status: 422, title: 'There are no items' },
  invalid_header: { status: 422, title: 'The CSV header is invalid' },
  unsupported_charset: { status: 422, title: 'Unsupported character encoding' },
  unknown_target: { status: 422, title: 'Unknown target' },
  invalid_policy: { status: 422, title: 'Invalid policy' },
  invalid_field: { status: 422, title: 'A form field is invalid' },
  idempotency_key_reused: { status: 422, title: 'The idempotency key belongs to another request' },
  invalid_selection: { status: 422, title: 'The choice of items is invalid' },
  quota_exceeded: { status: 429, title: 'Too many requests' },
  header_too_large: { status: 431, title: 'The request header is too large' },
  internal: { status: 500, title: 'Internal error' },
  unavailable: { status: 503, title: 'Unavailable now' },
};

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';
export const ACCEPTED_MEDIA_TYPES = 'application/json, application/x-ndjson, text/csv, multipart/form-data';
const ACCEPTED_CODINGS = 'gzip';
const RETRY_AFTER_DEFAULT_SECONDS = 5;
/** 404 and 405 may be cached unless they say otherwise, and what one account does not find another may. */
const NOT_KEPT = { 'Cache-Control': 'no-store' } as const;

/** Translates whatever a handler threw. What is not a TrancheError is a bug: the log has it, the client an id. */
export function createErrorHandler(log: Log) {
  return (error: unknown, c: ApiContext): Response => {
    const known = isTrancheError(error) ? error : new TrancheError('internal', '', {}, { cause: error });
    const requestId = c.get('requestId');
    if (known.code === 'internal') log('error', 'request failed', { requestId, path: pathForLog(c), error });
    if (known.code === 'unavailable') log('warn', 'request refused: unavailable', { requestId, error });
    return answerProblem(c, known);
  };
}

function answerProblem(c: ApiContext, error: TrancheError): Response {
  const { status } = PROBLEMS[error.code];
  const detail =
    error.code === 'internal' ? 'Something went wrong on our side; the request id finds it in the log.' : error.message;
  return c.body(renderProblem(error.code, detail, c.get('requestId'), factsShown(error)), status, {
    'Content-Type': PROBLEM_MEDIA_TYPE,
    ...NOT_KEPT,
    ...headersOf(error),
  });
}

/** For `405`; `Allow` says what is possible. */
export function answerMethodNotAllowed(c: ApiContext, allow: string): Response {
  const detail = `${c.req.path.slice(0, 200)} takes ${allow}`;
  const body = renderProblem('method_not_allowed', detail, c.get('requestId'));
  return c.body(body, PROBLEMS.method_not_allowed.status, {
    'Content-Type': PROBLEM_MEDIA_TYPE,
    ...NOT_KEPT,
    Allow: allow,
  });
}

/** For `414` and `431`: such a request is read no further. */
export function answerOversized(c: ApiContext, code: 'uri_too_long' | 'header_too_large', detail: string): Response {
  const body = renderProblem(code, detail, c.get('requestId'));
  return c.body(body, PROBLEMS[code].status, { 'Content-Type': PROBLEM_MEDIA_TYPE, ...NOT_KEPT });
}

export function statusOf(code: ProblemCode): number {
  return PROBLEMS[code].status;
}

/** The body alone, for answers given before there is a request to speak of. */
export function renderProblem(code: ProblemCode, detail: string, requestId: string, facts: object = {}): string {
  const { status, title } = PROBLEMS[code];
  const type = `urn:tranche:problem:${code.replaceAll('_', '-')}`;
  return JSON.stringify({ type, title, status, detail, code, requestId, ...facts });
}

/** Facts are safe to show by contract, but an internal error shows none. */
function factsShown(error: TrancheError): object {
  if (error.code === 'internal') return {};
  const { retryAfterSeconds: _seconds, challenge: _challenge, quotas, violated, ...facts } = error.facts;
  if (violated === undefined) return facts;
  const named = quotas?.filter(({ name }) => violated.includes(name)) ?? [];
  return { ...facts, 'violated-policies': violated, limits: named };
}

function headersOf(error: TrancheError): Record<string, string> {
  const headers: Record<string, string> = {};
  const retryAfter =
    error.facts.retryAfterSeconds ?? (error.code === 'unavailable' ? RETRY_AFTER_DEFAULT_SECONDS : null);
  if (retryAfter !== null) headers['Retry-After'] = String(Math.max(1, Math.ceil(retryAfter)));
  Object.assign(headers, rateLimitHeaders(error.facts.quotas ?? []));
  if (error.code === 'unauthenticated' || error.facts.challenge !== undefined)
    headers['WWW-Authenticate'] = challengeOf(error);
  if (error.code === 'unsupported_content_coding') headers['Accept-Encoding'] = ACCEPTED_CODINGS;
  if (error.code === 'unsupported_media_type')
    headers['Accept-Post'] = error.facts.allowed?.join(', ') ?? ACCEPTED_MEDIA_TYPES;
  return headers;
}

/** RFC 6750 §3: no error code where no credentials came. A description holds neither quote nor backslash. */
function challengeOf({ facts, message }: TrancheError): string {
  if (facts.challenge === undefined) return 'Bearer realm="tranche"';
  const description = message.replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '?');
  return `Bearer realm="tranche", error="${facts.challenge}", error_description="${description}"`;
}
