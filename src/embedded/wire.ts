/** The part of PostgreSQL's wire protocol (3.0) that the embedded server speaks itself: cutting what a client sends into batches, and greeting it. */

/** What a client sent, cut where an answer is due. */
export type Received =
  /** It would like TLS: `N` says no. */
  | { readonly kind: 'encryption' }
  | { readonly kind: 'startup'; readonly parameters: ReadonlyMap<string, string> }
  /** Messages up to a Query or a Sync. */
  | { readonly kind: 'batch'; readonly bytes: Buffer }
  /** Terminate, or a connection that only wants to cancel another's statement, which cannot be done here. */
  | { readonly kind: 'goodbye' };

/** Ends the connection; `code` is a SQLSTATE. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

const BATCH_BYTES_MAX = 256 * 1024 * 1024;
const STARTUP_BYTES_MAX = 10_000;
const CODES = { protocol3: 3, cancel: 80_877_102, ssl: 80_877_103, gss: 80_877_104 } as const;
const LENGTH_BYTES = 4;
const HEADER_BYTES = 5;

export interface Cutter {
  /** Throws WireError. */
  push(bytes: Buffer): readonly Received[];
}

export function createCutter(): Cutter {
  let chunks: Buffer[] = [];
  let held = 0;
  /** Bytes without which nothing more can be cut. */
  let needed = LENGTH_BYTES;
  let greeted = false;
  let batch: Buffer[] = [];
  let batchBytes = 0;

  /** Null: not all there yet. */
  function nextOf(bytes: Buffer): { readonly length: number; readonly received: Received | null } | null {
    const head = greeted ? HEADER_BYTES : LENGTH_BYTES;
    needed = head;
    if (bytes.length < head) return null;
    const length = greeted ? 1 + bytes.readUInt32BE(1) : bytes.readUInt32BE(0);
    if (length < head || length > (greeted ? BATCH_BYTES_MAX - batchBytes : STARTUP_BYTES_MAX)) {
      throw new WireError('08P01', `a message of ${length} bytes is out of bounds`);
    }
    needed = length;
    if (bytes.length < length) return null;
    const message = bytes.subarray(0, length);
    return { length, received: greeted ? take(message) : greet(message) };
  }

  function greet(message: Buffer): Received {
    const received = readGreeting(message);
    greeted = received.kind === 'startup';
    return received;
  }

  function take(message: Buffer): Received | null {
    const type = String.fromCharCode(message[0] ?? 0);
    if (type === 'X') return { kind: 'goodbye' };
    refuseUnsupported(type, message);
    batch.push(message);
    batchBytes += message.length;
    if (type !== 'Q' && type !== 'S') return null;
    const bytes = Buffer.concat(batch);
    batch = [];
    batchBytes = 0;
    return { kind: 'batch', bytes };
  }

  return {
    push(bytes) {
      chunks.push(bytes);
      held += bytes.length;
      if (held < needed) return [];
      let rest = Buffer.concat(chunks);
      const received: Received[] = [];
      for (let next = nextOf(rest); next !== null; next = nextOf(rest)) {
        if (next.received !== null) received.push(next.received);
        rest = rest.subarray(next.length);
      }
      chunks = [rest];
      held = rest.length;
      return received;
    },
  };
}

function readGreeting(message: Buffer): Received {
  const code = message.length < 8 ? 0 : message.readUInt32BE(4);
  if (code === CODES.ssl || code === CODES.gss) return { kind: 'encryption' };
  if (code === CODES.cancel) return { kind: 'goodbye' };
  if (code >>> 16 !== CODES.protocol3) throw new WireError('08P01', 'only protocol 3 is spoken here');
  const words = message.toString('utf8', 8).split('\0');
  const parameters = new Map<string, string>();
  for (let i = 0; i + 1 < words.length && words[i] !== ''; i += 2) parameters.set(words[i] ?? '', words[i + 1] ?? '');
  return { kind: 'startup', parameters };
}

/** Waiting for copied data would end the session of all. A statement stands at the beginning of its message. */
const COPY_IN = /(?:^|[;\0])\s*copy\s[^;]*\sfrom\s+stdin\b/i;
const STATEMENT_LOOK_BYTES = 4_096;

/** All connections share one session, so a named statement of one would be another's; and no answer is due before Sync. */
function refuseUnsupported(type: string, message: Buffer): void {
  const named = type === 'P' && message[HEADER_BYTES] !== 0;
  if (named) throw new WireError('0A000', 'the embedded database has no named prepared statements');
  if ((type === 'Q' || type === 'P') && COPY_IN.test(message.toString('latin1', HEADER_BYTES, STATEMENT_LOOK_BYTES))) {
    throw new WireError('0A000', 'the embedded database does not take COPY FROM STDIN');
  }
  if (type === 'Q' || type === 'S' || 'PBDEC'.includes(type)) return;
  throw new WireError('0A000', `the embedded database does not take the message ${JSON.stringify(type)}`);
}

/** `N`: no TLS here. */
export const NO_ENCRYPTION = Buffer.from('N');

/** Welcome, what the session is like, ready. */
export function greeting(serverVersion: string, connectionId: number): Buffer {
  const facts = {
    server_version: serverVersion,
    ...{ server_encoding: 'UTF8', client_encoding: 'UTF8', TimeZone: 'UTC', DateStyle: 'ISO, MDY' },
    ...{ integer_datetimes: 'on', standard_conforming_strings: 'on' },
  };
  const welcome = Buffer.alloc(LENGTH_BYTES);
  const key = Buffer.alloc(8);
  key.writeUInt32BE(connectionId, 0);
  const statuses = Object.entries(facts).map(([name, value]) => message('S', Buffer.from(`${name}\0${value}\0`)));
  return Buffer.concat([message('R', welcome), ...statuses, message('K', key), message('Z', Buffer.from('I'))]);
}

export function fatal({ code, message: text }: Pick<WireError, 'code' | 'message'>): Buffer {
  return message('E', Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${text}\0\0`));
}

export function simpleQuery(text: string): Buffer {
  return message('Q', Buffer.from(`${text}\0`));
}

export type TransactionStatus = 'idle' | 'open';

/** From the ReadyForQuery that ends an answer; throws where none does: the server is no longer to be trusted. */
export function statusAfter(answer: Buffer): TransactionStatus {
  const ready = answer.subarray(-6);
  if (ready.length === 6 && ready[0] === 0x5a && ready.readUInt32BE(1) === 5) {
    return ready[5] === 0x49 ? 'idle' : 'open';
  }
  throw new Error('the embedded database did not end its answer');
}

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(HEADER_BYTES);
  head.write(type, 0, 'latin1');
  head.writeUInt32BE(LENGTH_BYTES + body.length, 1);
  return Buffer.concat([head, body]);
}
