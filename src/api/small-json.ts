/** Reads the whole of a small JSON body: for requests about the service, never for items. */
import { TrancheError } from '../model/errors.ts';
import type { ApiContext } from './context.ts';
import { requestBody } from './request-body.ts';

const BYTES_MAX = 16 * 1024;
const SILENCE_MAX_MS = 10_000;

/** Throws `unsupported_media_type`, `content_too_large`, `body_timeout`, `malformed_body`. */
export async function readSmallJson(c: ApiContext): Promise<unknown> {
  const mediaType = c.req.header('Content-Type')?.split(';', 1)[0]?.trim().toLowerCase();
  if (mediaType !== 'application/json') {
    throw new TrancheError('unsupported_media_type', 'Send application/json.', { allowed: ['application/json'] });
  }
  const body = requestBody(c);
  const late = setTimeout(() => {
    body.destroy(new TrancheError('body_timeout', 'The body took too long to arrive.'));
  }, SILENCE_MAX_MS);
  try {
    const pieces: Buffer[] = [];
    let bytes = 0;
    for await (const piece of body) {
      const buffer = Buffer.from(piece);
      bytes += buffer.length;
      if (bytes > BYTES_MAX) {
        const message = `This body may have ${BYTES_MAX} bytes.`;
        throw new TrancheError('content_too_large', message, { limit: BYTES_MAX, unit: 'bytes' });
      }
      pieces.push(buffer);
    }
    return parse(Buffer.concat(pieces).toString('utf8'));
  } finally {
    clearTimeout(late);
    body.destroy();
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TrancheError('malformed_body', 'The body is not valid JSON.', {}, { cause: error });
  }
}
