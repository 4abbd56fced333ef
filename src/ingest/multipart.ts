/** Takes the part `file` out of a multipart body as it streams by; all other parts are fields, before it or after it. */
import { pipeline, type Readable } from 'node:stream';
import { Busboy } from '@fastify/busboy';
import { isTrancheError } from '../model/errors.ts';
import { MULTIPART_FIELD_BYTES_MAX, MULTIPART_FIELDS_MAX } from '../model/limits.ts';
import type { Decoder } from './decode.ts';
import { malformed } from './malformed.ts';
import { type MediaType, partMediaType, unsupportedContentCoding } from './media-type.ts';

const FILE_PART = 'file';
/** RFC 7578 deprecates all others; the parser would hand them on still coded. */
const TRANSFER_ENCODINGS: ReadonlySet<string> = new Set(['7bit', '8bit', 'binary']);

export interface FilePart {
  readonly mediaType: MediaType;
  /** The part's content. Ends once the whole body was read, so that `fields` is complete then. */
  readonly bytes: AsyncGenerator<Buffer>;
  /** Last one of a name wins. */
  readonly fields: ReadonlyMap<string, string>;
}

interface FoundPart {
  readonly stream: Readable;
  readonly mimeType: string;
  readonly filename: string | undefined;
  readonly encoding: string;
}

/** Reads up to the part `file`. Throws malformed_body, unsupported_media_type, and what `decoder.bytes` throws. */
export async function openMultipart(decoder: Decoder, contentType: string, plainFileType?: string): Promise<FilePart> {
  const fields = new Map<string, string>();
  const parser = createParser(contentType);
  const found = Promise.withResolvers<FoundPart | null>();
  const ended = Promise.withResolvers<Error | null>();
  let file: Readable | null = null;

  parser.on('file', (_name, stream, filename, encoding, mimeType) => {
    // The parser emits `error` on a cut-off part even where nobody reads it.
    stream.on('error', () => {});
    if (file !== null) {
      parser.destroy(malformed('there are two parts named "file"', decoder.decodedBytes()));
      return;
    }
    file = stream;
    found.resolve({ stream, mimeType, filename, encoding });
  });
  parser.on('field', (name: string | undefined, value, _nameTruncated, valueTruncated) => {
    if (valueTruncated) {
      const message = `form field ${JSON.stringify(name)} is larger than ${MULTIPART_FIELD_BYTES_MAX} bytes`;
      parser.destroy(malformed(message, decoder.decodedBytes()));
    } else if (name !== undefined) fields.set(name, value);
  });
  parser.on('fieldsLimit', () => {
    parser.destroy(malformed(`there are more than ${MULTIPART_FIELDS_MAX} form fields`, decoder.decodedBytes()));
  });
  pipeline(decoder.bytes, parser, (error) => {
    const failure = error ? asTrancheError(error, decoder) : null;
    ended.resolve(failure);
    found.resolve(null);
    if (failure !== null) file?.destroy(failure);
  });

  const part = await found.promise;
  if (part === null)
    throw (await ended.promise) ?? malformed('the multipart body has no part named "file"', decoder.decodedBytes());
  try {
    if (!TRANSFER_ENCODINGS.has(part.encoding)) throw unsupportedContentCoding(part.encoding);
    const mediaType = partMediaType(part.mimeType, part.filename, plainFileType);
    return { mediaType, fields, bytes: partBytes(part.stream, ended.promise, () => parser.destroy()) };
  } catch (error) {
    parser.destroy();
    throw error;
  }
}

async function* partBytes(stream: Readable, ended: Promise<Error | null>, stop: () => void): AsyncGenerator<Buffer> {
  try {
    for await (const bytes of stream as AsyncIterable<Buffer>) yield bytes;
    const failure = await ended;
    if (failure !== null) throw failure;
  } catch (error) {
    // A part that is cut off ends with the parser's words; the body's own failure says more.
    throw isTrancheError(error) ? error : ((await ended) ?? error);
  } finally {
    stop();
  }
}

function createParser(contentType: string) {
  try {
    return new Busboy({
      headers: { 'content-type': contentType },
      isPartAFile: (name) => name === FILE_PART,
      limits: { fields: MULTIPART_FIELDS_MAX, fieldSize: MULTIPART_FIELD_BYTES_MAX },
    });
  } catch (cause) {
    throw malformed('the multipart Content-Type has no usable boundary parameter', 0, cause);
  }
}

function asTrancheError(error: Error, decoder: Decoder): Error {
  if (isTrancheError(error)) return error;
  return malformed(
    `the multipart body is cut off or not well-formed (${error.message})`,
    decoder.decodedBytes(),
    error,
  );
}
