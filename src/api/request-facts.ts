/** What every request brings before its body is looked at: an id and a trace. */
import { randomBytes, randomUUID } from 'node:crypto';
import { createMiddleware } from 'hono/factory';
import type { ApiEnv } from './context.ts';

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;
const TRACE_PARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?$/;

/** Also sets the headers that each answer carries, so that no handler can forget them. */
export const requestFacts = createMiddleware<ApiEnv>(async (c, next) => {
  const requestId = readRequestId(c.req.header('X-Request-Id'));
  c.set('requestId', requestId);
  c.set('traceId', readTraceId(c.req.header('traceparent')));
  c.header('X-Request-Id', requestId);
  c.header('X-Content-Type-Options', 'nosniff');
  c.header('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'");
  c.header('X-Frame-Options', 'DENY');
  c.header('Cross-Origin-Resource-Policy', 'same-origin');
  c.header('Referrer-Policy', 'no-referrer');
  await next();
});

/** A well-formed id of a proxy in front is kept, so that its log and ours speak of the same request. */
function readRequestId(header: string | undefined): string {
  return header !== undefined && REQUEST_ID.test(header) ? header : randomUUID();
}

/** 32 hex digits. All zeros and version ff are invalid by the W3C's rules: then the trace begins here. */
export function readTraceId(header: string | undefined): string {
  const traceId = TRACE_PARENT.exec(header ?? '')?.[1];
  const valid = traceId !== undefined && !/^0+$/.test(traceId) && header?.startsWith('ff') === false;
  return valid ? traceId : randomBytes(16).toString('hex');
}
