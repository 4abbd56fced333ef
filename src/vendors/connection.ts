/** One keep-alive connection to a vendor, an undici Client of its own: carries one call at a time and tells what came of it. */
import { Client, type Dispatcher } from 'undici';
import { VENDOR_BODY_BYTES_MAX } from '../model/limits.ts';
import { createSpareSocket } from './spare-socket.ts';
import type { VendorRequest } from './vendor.ts';

export interface Connection {
  /** Its end is told to the listener, possibly before this returns. */
  send(request: VendorRequest, traceparent: string | null): void;
  /** A call would leave at once. */
  isReady(): boolean;
  /** Connects ahead of the call, where it is not connected; `then` hears once of it, in a later turn (null = it is). */
  warm(then?: (error: Error | null) => void): void;
  /** Ends the call where its bytes may have gone out. */
  cut(): void;
  close(): Promise<void>;
}

export interface ConnectionOptions {
  readonly connectTimeoutMs: number;
  /** Each call says when it left (`Tranche-Sent-At`, epoch ms with fraction). */
  readonly sendTimes: boolean;
}

/** Each call ends in exactly one of `onAnswer` and `onFailure`; only then is the connection free. */
export interface ConnectionListener {
  /** Right before the bytes go out; false = they do not, and the call ends in `onFailure`. */
  maySend(): boolean;
  /** `isFree`: false where the rest of an overlong body is not awaited: `onFailure` comes then, too. */
  onAnswer(status: number, retryAfter: string | undefined, body: string, isFree: boolean): void;
  onFailure(error: unknown): void;
  /** It is not connected any more. */
  onDisconnect(): void;
  /** A connection that was made ahead of a call was lost before one came, or could not be made. */
  onWasted(): void;
}

/** Connections stay warm between slices; a vendor's shorter `Keep-Alive` hint is obeyed. */
const KEEP_ALIVE_MS = 60_000;
const CUT = new Error('call given up');

/**
 * Goes below `Pool.request` to the dispatch handler: only there is it known whether bytes may have gone out, and no
 * stream is made for a body of a few bytes. Handler and options are made once per connection, not once per call.
 */
export function createConnection(base: URL, settings: ConnectionOptions, listener: ConnectionListener): Connection {
  const { connectTimeoutMs, sendTimes } = settings;
  const prefix = base.pathname.replace(/\/$/, '');
  const spare = createSpareSocket(base, connectTimeoutMs, () => listener.onWasted());
  // The client has one timer over the whole call, so undici's own two stay off.
  const client = new Client(base.origin, {
    pipelining: 1,
    allowH2: false,
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connect: spare.connect,
  });
  let connected = false;
  client.on('connect', () => {
    connected = true;
  });
  client.on('disconnect', () => {
    connected = false;
    listener.onDisconnect();
  });
  const bare = createHeaders([], sendTimes);
  const withBody = createHeaders(['content-type', 'application/json'], sendTimes);
  // undici copies what it needs before `dispatch` returns. Nothing is pipelined, so there is nothing to block.
  const options = {
    method: 'GET' as Dispatcher.HttpMethod,
    path: '',
    headers: bare.untraced,
    body: null as string | null,
    blocking: false,
  };
  let controller: Dispatcher.DispatchController | null = null;
  let status = 0;
  let retryAfter: string | undefined;
  let first: Buffer | null = null;
  let rest: Buffer[] = [];
  let bytes = 0;

  function reset(): void {
    controller = null;
    first = null;
    if (rest.length > 0) rest = [];
    bytes = 0;
  }

  /** undici closes the connection, and tells of it in a later turn: the next call must not be given to it. */
  function hangUp(): void {
    if (controller === null) return;
    connected = false;
    controller.abort(CUT);
  }

  function text(): string {
    if (first === null) return '';
    return (rest.length === 0 ? first : Buffer.concat([first, ...rest])).toString('utf8', 0, VENDOR_BODY_BYTES_MAX);
  }

  const handler: Dispatcher.DispatchHandler = {
    onRequestStart(started) {
      controller = started;
      if (!listener.maySend()) hangUp();
    },
    onResponseStart(_controller, statusCode, headers) {
      status = statusCode;
      const header = headers['retry-after'];
      retryAfter = typeof header === 'string' ? header : header?.[0];
    },
    onResponseData(_controller, part) {
      if (first === null) first = part;
      else rest.push(part);
      bytes += part.length;
      if (bytes <= VENDOR_BODY_BYTES_MAX) return;
      // The rest of a longer body is not worth its time: the connection goes, the answer stands.
      listener.onAnswer(status, retryAfter, text(), false);
      hangUp();
    },
    onResponseEnd() {
      const body = text();
      reset();
      listener.onAnswer(status, retryAfter, body, true);
    },
    onResponseError(_controller, error) {
      reset();
      listener.onFailure(error);
    },
  };

  return {
    send({ method, path, idempotencyKey, body }, traceparent) {
      options.method = method;
      options.path = prefix + path;
      options.headers = (body === null ? bare : withBody).fill(idempotencyKey, traceparent);
      options.body = body;
      client.dispatch(options, handler);
    },
    isReady: () => connected || spare.isReady(),
    warm(then) {
      if (!connected) spare.make(then);
    },
    cut: hangUp,
    close() {
      spare.close();
      return client.close();
    },
  };
}

/** Two lists that are filled anew for each call, with `traceparent` and without. */
function createHeaders(constant: readonly string[], sendTimes: boolean) {
  const untraced = [...constant, ...(sendTimes ? ['tranche-sent-at', ''] : []), 'idempotency-key', ''];
  const traced = [...untraced, 'traceparent', ''];
  const keyAt = untraced.length - 1;
  return {
    untraced,
    fill(idempotencyKey: string, traceparent: string | null): string[] {
      const headers = traceparent === null ? untraced : traced;
      headers[keyAt] = idempotencyKey;
      if (sendTimes) headers[keyAt - 2] = (performance.timeOrigin + performance.now()).toFixed(3);
      if (traceparent !== null) headers[keyAt + 2] = traceparent;
      return headers;
    },
  };
}
