/** Reads the whole of a body that is small by contract into memory. */
import { TrancheError } from '../model/errors.ts';
import type { ApiContext } from './context.ts';
import { requestBody } from './request-body.ts';

const ARRIVAL_MAX_MS = 10_000;

/** Throws `content_too_large` as soon as that is known, `body_timeout`, `client_gone`, `unsupported_content_coding`. */
export async function readSmallBody(c: ApiContext, bytesMax: number): Promise<Buffer> {
  const coding = c.req.header('Content-Encoding')?.trim().toLowerCase() ?? 'identity';
  if (coding !== 'identity') throw new TrancheError('unsupported_content_coding', 'Send this body as it is.');
  const body = requestBody(c);
  const late = setTimeout(() => {
    body.destroy(new TrancheError('body_timeout', 'The body took too long to arrive.'));
  }, ARRIVAL_MAX_MS);
  try {
    const pieces: Buffer[] = [];
    let bytes = 0;
    for await (const piece of body) {
      const buffer = Buffer.from(piece);
      bytes += buffer.length;
      if (bytes > bytesMax) {
        const message = `This body may have ${bytesMax} bytes.`;
        throw new TrancheError('content_too_large', message, { limit: bytesMax, unit: 'bytes' });
      }
      pieces.push(buffer);
    }
    return Buffer.concat(pieces);
  } finally {
    clearTimeout(late);
    body.destroy();
  }
}
