/** Reads the whole of a small JSON body: for requests about the service, never for items. */
import { TrancheError } from '../model/errors.ts';
import type { ApiContext } from './context.ts';
import { readSmallBody } from './small-body.ts';

const BYTES_MAX = 16 * 1024;
const MEDIA_TYPES = ['application/json'];

export interface SmallJsonOptions {
  /** Absent = `application/json` alone. */
  readonly mediaTypes?: readonly string[];
  readonly bytesMax?: number;
}

/** Throws `unsupported_media_type`, `content_too_large`, `body_timeout`, `malformed_body`. */
export async function readSmallJson(c: ApiContext, options: SmallJsonOptions = {}): Promise<unknown> {
  const { mediaTypes: allowed = MEDIA_TYPES, bytesMax = BYTES_MAX } = options;
  const mediaType = c.req.header('Content-Type')?.split(';', 1)[0]?.trim().toLowerCase();
  if (mediaType === undefined || !allowed.includes(mediaType)) {
    throw new TrancheError('unsupported_media_type', `Send ${allowed.join(' or ')}.`, { allowed });
  }
  return parse((await readSmallBody(c, bytesMax)).toString('utf8'));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TrancheError('malformed_body', 'The body is not valid JSON.', {}, { cause: error });
  }
}
