/** Reads the whole of a small JSON body: for requests about the service, never for items. */
import { TrancheError } from '../model/errors.ts';
import type { ApiContext } from './context.ts';
import { readSmallBody } from './small-body.ts';

const BYTES_MAX = 16 * 1024;

/** Throws `unsupported_media_type`, `content_too_large`, `body_timeout`, `malformed_body`. */
export async function readSmallJson(c: ApiContext): Promise<unknown> {
  const mediaType = c.req.header('Content-Type')?.split(';', 1)[0]?.trim().toLowerCase();
  if (mediaType !== 'application/json') {
    throw new TrancheError('unsupported_media_type', 'Send application/json.', { allowed: ['application/json'] });
  }
  return parse((await readSmallBody(c, BYTES_MAX)).toString('utf8'));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TrancheError('malformed_body', 'The body is not valid JSON.', {}, { cause: error });
  }
}
