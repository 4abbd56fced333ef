/** Sends one request and says all there is to say of its answer, or how none came. */
import type { Readable } from 'node:stream';
import { Agent, request } from 'undici';

export interface Sending {
  readonly baseUrl: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer | Readable | null;
  readonly timeoutMs: number;
  /** Ends it early, as a client that goes away. */
  readonly signal?: AbortSignal;
}

export interface Sent {
  /** null: there was no whole answer. */
  readonly status: number | null;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** Of the socket, where there was no answer. */
  readonly fault: string | null;
}

export interface Sender {
  /** Never rejects. */
  send(sending: Sending): Promise<Sent>;
  /** The answer as it comes. `onText` is called for each piece; never rejects. */
  stream(sending: Sending, onText: (text: string) => void): Promise<Sent>;
  close(): Promise<void>;
}

/** Connections are shared by all clients of one server, as those of a gateway are. */
export function createSender(): Sender {
  const dispatcher = new Agent({ connections: 128, pipelining: 1, headersTimeout: 120_000, bodyTimeout: 120_000 });

  async function stream(sending: Sending, onText: (text: string) => void): Promise<Sent> {
    const { baseUrl, path, method, headers, body, timeoutMs } = sending;
    const late = AbortSignal.timeout(timeoutMs);
    const signal = sending.signal === undefined ? late : AbortSignal.any([late, sending.signal]);
    let seen: Pick<Sent, 'headers'> = { headers: {} };
    try {
      const answer = await request(`${baseUrl}${path}`, { dispatcher, method, headers: { ...headers }, body, signal });
      seen = { headers: answer.headers };
      answer.body.setEncoding('utf8');
      for await (const text of answer.body) onText(String(text));
      return { status: answer.statusCode, ...seen, text: '', fault: null };
    } catch (error) {
      return { status: null, ...seen, text: '', fault: faultOf(error, late) };
    }
  }

  return {
    stream,
    async send(sending) {
      const pieces: string[] = [];
      const sent = await stream(sending, (text) => pieces.push(text));
      return { ...sent, text: pieces.join('') };
    },
    close: () => dispatcher.destroy(),
  };
}

function faultOf(error: unknown, late: AbortSignal): string {
  if (late.aborted) return 'client_timeout';
  if (typeof error === 'object' && error !== null && 'code' in error) return String(error.code);
  return error instanceof Error ? error.name : 'unknown';
}
