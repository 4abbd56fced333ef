/** Sends a stream of any length: at the reader's pace, straight to the socket, and torn where it could not be finished. */
import { pipeline } from 'node:stream/promises';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Log } from '../model/log.ts';
import { type ApiContext, connectionOf, pathForLog } from './context.ts';

interface StreamDeps {
  readonly log: Log;
  readonly limits: { readonly stalledReaderMs: number };
}

/**
 * The first piece is awaited before the head goes out: a source that fails at once gets a proper problem.
 * One that fails later gets its connection destroyed; a shortened body must never look whole.
 * Written to Node's response itself, because the time-out of a stalled reader and the tearing are its to do;
 * Hono's web streams are as fast (measured: both over 500 MB/s).
 */
export async function answerStream(
  c: ApiContext,
  deps: StreamDeps,
  source: AsyncIterable<Buffer>,
  headers: Record<string, string>,
): Promise<Response> {
  const iterator = source[Symbol.asyncIterator]();
  if (c.req.method === 'HEAD') {
    await iterator.return?.();
    return c.body(null, 200, headers);
  }
  const pieces = resumed(await iterator.next(), iterator);
  const { outgoing } = connectionOf(c);
  if (outgoing === undefined) return c.body(ReadableStream.from(pieces), 200, headers);
  outgoing.setTimeout(deps.limits.stalledReaderMs, () => outgoing.destroy());
  outgoing.writeHead(200, Object.fromEntries(c.body(null, 200, headers).headers));
  try {
    await pipeline(pieces, outgoing);
  } catch (error) {
    outgoing.destroy();
    const gone = error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';
    deps.log(gone ? 'debug' : 'error', 'answer broken off', {
      requestId: c.get('requestId'),
      path: pathForLog(c),
      error,
    });
  }
  return RESPONSE_ALREADY_SENT;
}

async function* resumed(first: IteratorResult<Buffer>, iterator: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  try {
    for (let next = first; next.done !== true; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}
