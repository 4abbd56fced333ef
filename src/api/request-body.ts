/** The request body as the verbs read it: straight from the socket, and safe to destroy without cutting the answer off. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { TrancheError } from '../model/errors.ts';
import { type ApiContext, connectionOf } from './context.ts';

export function requestBody(c: ApiContext): Readable {
  const { incoming, outgoing } = connectionOf(c);
  if (incoming !== undefined && outgoing !== undefined) return detachedBody(incoming, outgoing);
  // The DOM's and Node's types of the same stream differ by name only.
  return c.req.raw.body === null ? Readable.from([]) : Readable.fromWeb(c.req.raw.body as ReadableStream<Uint8Array>);
}

const BUFFERED_BYTES_MAX = 256 * 1024;

/**
 * Whoever reads may destroy it, as `pipeline` does on every error: to destroy the IncomingMessage itself would
 * close the socket under our answer. `100 Continue` goes out with the first read, so a body refused by its
 * headers is never asked for.
 */
function detachedBody(incoming: IncomingMessage, outgoing: ServerResponse): Readable {
  let begun = false;
  const body = new Readable({
    highWaterMark: BUFFERED_BYTES_MAX,
    read() {
      if (!begun) {
        begun = true;
        begin();
      }
      incoming.resume();
    },
    destroy(error, done) {
      incoming.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone);
      // Errors of a connection that nobody listens to any more must not end the process.
      incoming.on('error', () => {}).pause();
      done(error);
    },
  });
  const onData = (piece: Buffer) => {
    if (!body.push(piece)) incoming.pause();
  };
  const onEnd = () => body.push(null);
  const onGone = () => {
    if (!incoming.readableEnded)
      body.destroy(new TrancheError('client_gone', 'The connection ended before the body did.'));
  };
  const begin = () => {
    incoming.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone);
    if (incoming.destroyed) onGone();
    if (incoming.headers.expect?.toLowerCase() === '100-continue' && !outgoing.headersSent) outgoing.writeContinue();
  };
  return body;
}
