/** The HTTP server: Node's, tuned for bodies that take hours, in front of the Hono app; it ends without cutting anyone off. */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import { isIPv6 } from 'node:net';
import type { Duplex } from 'node:stream';
import { getRequestListener } from '@hono/node-server';
import type { Log } from '../model/log.ts';
import type { ApiKeys } from '../operations/api-keys.ts';
import type { Operations } from '../operations/operations.ts';
import { createApp } from './app.ts';
import type { BulkActionLimits } from './bulk-actions/bulk-actions.ts';
import { PROBLEM_MEDIA_TYPE, renderProblem, statusOf } from './errors.ts';
import { API_LIMITS, type ApiLimits } from './limits.ts';
import { createNoSignIn, type SignIn } from './sign-in/sign-in.ts';

export interface ServerOptions {
  readonly operations: Operations;
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  readonly log: Log;
  /** Absent = nobody signs in. */
  readonly signIn?: SignIn;
  /** Absent or null = there is no database to keep them in. */
  readonly apiKeys?: ApiKeys | null;
  /** Merged over API_LIMITS. */
  readonly limits?: Partial<ApiLimits>;
  /** False while the process is not to get traffic yet; absent = from the start. */
  readonly ready?: () => boolean;
  /** Of `/product/bulk`, in ms; absent or 0 = a body without a key is always a new request. */
  readonly keylessReplayWindowMs?: number;
  /** Of `/bulk-actions`; absent = none. */
  readonly bulkActions?: BulkActionLimits;
  /** What `Location` begins with; absent or null = the request's Host. */
  readonly publicUrl?: string | null;
}

export interface ApiServer {
  readonly port: number;
  readonly url: string;
  /** Takes no more requests, lets those in flight finish within `closeGraceMs`, then ends them. */
  close(): Promise<void>;
}

/** Resolves once it listens; rejects where it cannot. */
export async function startServer(options: ServerOptions): Promise<ApiServer> {
  const limits = { ...API_LIMITS, ...options.limits };
  const closing = new AbortController();
  const { log, operations } = options;
  const app = createApp({
    operations,
    log,
    limits,
    ready: () => !closing.signal.aborted && (options.ready?.() ?? true),
    keylessReplayWindowMs: options.keylessReplayWindowMs ?? 0,
    publicUrl: options.publicUrl ?? null,
    ...(options.bulkActions === undefined ? {} : { bulkActions: options.bulkActions }),
    apiKeys: options.apiKeys ?? null,
    signIn: options.signIn ?? createNoSignIn({ publicUrl: options.publicUrl ?? null }),
    closing: closing.signal,
  });
  const server = createServer(
    {
      // The default cuts any upload after 5 minutes; silence is ingest's to judge.
      requestTimeout: 0,
      headersTimeout: limits.headersTimeoutMs,
      connectionsCheckingInterval: Math.min(CHECK_MS_MAX, limits.headersTimeoutMs),
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      maxHeaderSize: limits.headerBytesMax,
    },
    createListener(app.fetch, closing.signal),
  );
  // request-size.ts counts them: an older Node drops those beyond its own limit without a word, a gateway's among them.
  server.maxHeadersCount = 0;
  server.maxConnections = limits.connectionsMax;
  endFloods(server, limits.pipelinedMax);
  // Without a listener Node sends `100 Continue` by itself; request-body.ts sends it when the body is wanted.
  server.on('checkContinue', (incoming, outgoing) => server.emit('request', incoming, outgoing));
  refuseUnreadable(server);
  const port = await listen(server, options);
  const host = isIPv6(options.host) ? `[${options.host}]` : options.host;
  return { port, url: `http://${host}:${port}`, close: () => close(server, closing, limits.closeGraceMs) };
}

/** How late a header that never ends may be noticed. */
const CHECK_MS_MAX = 10_000;

function createListener(fetch: Parameters<typeof getRequestListener>[0], closing: AbortSignal) {
  const listener = getRequestListener(fetch, {
    // Other parts of the process keep their own Request and Response; early-answer.ts does the clean-up.
    overrideGlobalObjects: false,
    autoCleanupIncoming: false,
    errorHandler: () => {
      const requestId = randomUUID();
      const body = renderProblem('malformed_request', 'The request target or the Host header is not valid.', requestId);
      const headers = { 'Content-Type': PROBLEM_MEDIA_TYPE, 'X-Request-Id': requestId };
      return new Response(body, { status: statusOf('malformed_request'), headers });
    },
  });
  return (incoming: IncomingMessage, outgoing: ServerResponse) => {
    // Node reads what has come to its end, also for a connection that was ended on the way.
    if (incoming.socket.destroyed) return undefined;
    if (closing.aborted) outgoing.setHeader('Connection', 'close');
    return listener(incoming, outgoing);
  };
}

/** Node reads pipelined requests on and on while none of them is answered: all of them at work at once. */
function endFloods(server: Server, pipelinedMax: number): void {
  const inFlight = new WeakMap<Duplex, number>();
  server.prependListener('request', ({ socket }, outgoing) => {
    const count = (inFlight.get(socket) ?? 0) + 1;
    inFlight.set(socket, count);
    outgoing.once('close', () => inFlight.set(socket, (inFlight.get(socket) ?? 1) - 1));
    if (count > pipelinedMax) socket.destroy();
  });
}

/** What llhttp cannot read never becomes a request; it still gets a problem, unless an answer has begun on that socket. */
function refuseUnreadable(server: Server): void {
  const answers = new WeakMap<Duplex, ServerResponse>();
  server.on('request', (incoming, outgoing) => answers.set(incoming.socket, outgoing));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const answer = answers.get(socket);
    const begun = answer?.headersSent === true && !answer.writableFinished;
    if (begun || !socket.writable || error.code === 'ECONNRESET') socket.destroy();
    else socket.end(renderRefusal(error.code), () => socket.destroy());
  });
}

function renderRefusal(errorCode: string | undefined): string {
  const code =
    errorCode === 'HPE_HEADER_OVERFLOW'
      ? 'header_too_large'
      : errorCode === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? 'header_timeout'
        : 'malformed_request';
  const requestId = randomUUID();
  const body = renderProblem(code, 'The request is not readable as HTTP/1.1 within our limits.', requestId);
  const status = statusOf(code);
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Connection: close',
    `Content-Type: ${PROBLEM_MEDIA_TYPE}`,
    'X-Content-Type-Options: nosniff',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${requestId}`,
    '',
    body,
  ].join('\r\n');
}

function listen(server: Server, { host, port }: Pick<ServerOptions, 'host' | 'port'>): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

const IDLE_SWEEP_MS = 50;

function close(server: Server, closing: AbortController, graceMs: number): Promise<void> {
  closing.abort();
  return new Promise((resolve) => {
    if (!server.listening) return resolve();
    // A request that ends during the grace leaves an idle connection behind, which nothing else would close.
    const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS);
    const end = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearInterval(sweep);
      clearTimeout(end);
      resolve();
    });
  });
}
