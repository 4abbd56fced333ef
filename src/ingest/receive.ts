/** The body's bytes as they arrive: notices a client that goes away and one that has stopped sending. */
import { isTrancheError, TrancheError } from '../model/errors.ts';
import type { IngestRequest } from './ingest.ts';

export interface Receiver {
  readonly bytes: AsyncIterable<Buffer>;
  /** Lets go of the body and ends a read under way. The body itself stays open: destroying it would cut off the answer. */
  close(): void;
}

/** The idle clock runs only while bytes are waited for: a slow sink is not the client's idleness. */
export function createReceiver(request: Pick<IngestRequest, 'body' | 'idleTimeoutMs' | 'signal'>): Receiver {
  const { body, idleTimeoutMs, signal } = request;
  let failure: TrancheError | null = null;
  let wake = nothing;

  const fail = (error: TrancheError) => {
    failure ??= error;
    wake();
  };
  const onWake = () => wake();
  const onError = (cause: unknown) => fail(clientGone(cause));
  const onClose = () => {
    if (!body.readableEnded) fail(clientGone(body.errored));
  };
  const onAbort = () => fail(clientGone(signal.reason));

  body.on('readable', onWake).on('end', onWake).on('error', onError).on('close', onClose);
  signal.addEventListener('abort', onAbort, { once: true });
  if (body.destroyed) onClose();
  if (signal.aborted) onAbort();

  const woken = () =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(() => fail(bodyTimeout(idleTimeoutMs)), idleTimeoutMs);
      wake = () => {
        clearTimeout(timer);
        wake = nothing;
        resolve();
      };
    });

  async function* read(): AsyncGenerator<Buffer> {
    for (;;) {
      if (failure !== null) throw failure;
      const bytes: unknown = body.read();
      if (bytes !== null) yield toBuffer(bytes);
      else if (body.readableEnded) return;
      else await woken();
    }
  }

  return {
    bytes: read(),
    close: () => {
      body.off('readable', onWake).off('end', onWake).off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      // `onError` stays: a connection that breaks after we let go must not become an unhandled error.
      fail(clientGone(null));
    },
  };
}

function nothing(): void {}

function toBuffer(bytes: unknown): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes;
  if (bytes instanceof Uint8Array) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Buffer.from(String(bytes), 'utf8');
}

function clientGone(cause: unknown): TrancheError {
  if (isTrancheError(cause)) return cause;
  return new TrancheError('client_gone', 'the client went away before the body was complete', {}, { cause });
}

function bodyTimeout(idleTimeoutMs: number): TrancheError {
  return new TrancheError('body_timeout', `no byte of the body came for ${idleTimeoutMs} ms, send it again`, {
    limit: idleTimeoutMs,
    unit: 'ms',
  });
}
