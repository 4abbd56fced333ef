/** What the headers say the body is: its media type, its charset, its content coding. */
import { TrancheError } from '../model/errors.ts';

/** How the payload is framed. */
export type Framing = 'json' | 'lines' | 'csv';

export interface MediaType {
  /** Type and subtype, lower case, without parameters. */
  readonly essence: string;
  readonly framing: Framing;
}

export const MULTIPART = 'multipart/form-data';

const FRAMINGS: ReadonlyMap<string, Framing> = new Map([
  ['application/json', 'json'],
  ['application/x-ndjson', 'lines'],
  ['application/ndjson', 'lines'],
  ['application/jsonl', 'lines'],
  ['application/x-jsonlines', 'lines'],
  ['text/csv', 'csv'],
]);

const ESSENCE_BY_EXTENSION: ReadonlyMap<string, string> = new Map([
  ['csv', 'text/csv'],
  ['json', 'application/json'],
  ['ndjson', 'application/x-ndjson'],
  ['jsonl', 'application/jsonl'],
]);

const CHARSETS: ReadonlySet<string> = new Set(['utf-8', 'utf8', 'us-ascii']);

/** `multipart`, or the media type of the whole body. Throws unsupported_media_type. */
export function parseContentType(contentType: string | null): MediaType | typeof MULTIPART {
  const essence = essenceOf(contentType ?? '');
  if (essence === MULTIPART) return MULTIPART;
  const framing = FRAMINGS.get(essence);
  if (framing === undefined)
    throw unsupportedMediaType(essence === '' ? 'no Content-Type was sent' : `${essence} is not taken`);
  const charset = charsetOf(contentType ?? '');
  if (charset !== null && !CHARSETS.has(charset))
    throw unsupportedMediaType(`charset ${charset} is not taken, send UTF-8`);
  return { essence, framing };
}

/** What clients call a file when they do not know, or when Excel is the program that opens it. */
const PLAIN_TYPES: ReadonlySet<string> = new Set([
  '',
  'application/octet-stream',
  'text/plain',
  'application/vnd.ms-excel',
]);

/**
 * A part's own type where it is a known one, else by the extension of its file name, else `plainType` where its own
 * says nothing. Throws unsupported_media_type.
 */
export function partMediaType(partType: string, filename: string | undefined, plainType?: string): MediaType {
  const essence = essenceOf(partType);
  const known = FRAMINGS.get(essence);
  if (known !== undefined) return { essence, framing: known };
  const extension = /\.([^.]+)$/.exec(filename ?? '')?.[1]?.toLowerCase() ?? '';
  const fallback = PLAIN_TYPES.has(essence) ? plainType : undefined;
  const byExtension = ESSENCE_BY_EXTENSION.get(extension) ?? fallback ?? '';
  const framing = FRAMINGS.get(byExtension);
  if (framing === undefined)
    throw unsupportedMediaType(`part "file" is ${essence} and its name has no known extension`);
  return { essence: byExtension, framing };
}

/** Only one gzip coding is taken: whatever is doubled, nested or unknown throws unsupported_content_coding. */
export function parseContentCoding(contentEncoding: string | null): 'identity' | 'gzip' {
  const coding = (contentEncoding ?? '').trim().toLowerCase();
  if (coding === '' || coding === 'identity') return 'identity';
  if (coding === 'gzip' || coding === 'x-gzip') return 'gzip';
  throw unsupportedContentCoding(coding);
}

export function unsupportedContentCoding(coding: string): TrancheError {
  return new TrancheError(
    'unsupported_content_coding',
    `content coding ${JSON.stringify(coding)} is not taken, send gzip or none`,
    {
      allowed: ['gzip', 'identity'],
    },
  );
}

function unsupportedMediaType(detail: string): TrancheError {
  return new TrancheError('unsupported_media_type', `unsupported media type: ${detail}`, {
    allowed: [...FRAMINGS.keys(), MULTIPART],
  });
}

function essenceOf(contentType: string): string {
  return (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
}

function charsetOf(contentType: string): string | null {
  const parameter = /;\s*charset\s*=\s*(?:"([^"]*)"|([^;\s]*))/i.exec(contentType);
  return parameter === null ? null : (parameter[1] ?? parameter[2] ?? '').trim().toLowerCase();
}
