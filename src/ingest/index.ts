/** The pipeline from body to chunks: receive → decode → (multipart) → hash → frame → chunk → sink. */

import { TrancheError } from '../model/errors.ts';
import { sumItems } from '../model/operation.ts';
import { CHUNK_SIZES, type ChunkSizes, createChunker } from './chunker.ts';
import { createDecoder, type Decoder } from './decode.ts';
import { createDelivery, type Delivery } from './delivery.ts';
import { createCsvFramer } from './frame-csv.ts';
import { createJsonFramer } from './frame-json.ts';
import { createLineFramer } from './frame-lines.ts';
import type { Framer, ItemWriter } from './framer.ts';
import type { Ingest, Ingested, IngestRequest } from './ingest.ts';
import { type MediaType, MULTIPART, parseContentCoding, parseContentType } from './media-type.ts';
import { type FilePart, openMultipart } from './multipart.ts';
import { createPayload } from './payload.ts';
import { createReceiver } from './receive.ts';

export type { ChunkSink, Ingest, Ingested, IngestRequest } from './ingest.ts';

export interface IngestOptions {
  /** Chunk sizes other than those of model/limits.ts. */
  readonly chunkSizes?: Partial<ChunkSizes>;
}

export function createIngest(options: IngestOptions = {}): Ingest {
  const sizes: ChunkSizes = { ...CHUNK_SIZES, ...options.chunkSizes };
  return async (request, sink) => {
    const declared = parseContentType(request.contentType);
    const coding = parseContentCoding(request.contentEncoding);
    const delivery = createDelivery(sink);
    const receiver = createReceiver(request);
    try {
      const decoder = createDecoder(receiver.bytes, coding, request.bytesMax);
      const part = await openPart(decoder, declared, request);
      return await frame(part, request, sizesFor(sizes, request), delivery);
    } finally {
      receiver.close();
      // Nobody may still be writing a chunk when the caller clears up behind a throw.
      await delivery.settled();
    }
  };
}

function sizesFor(sizes: ChunkSizes, { chunkItems, chunkItemsFirst, itemsMax }: IngestRequest): ChunkSizes {
  const total = itemsMax ?? sizes.totalMax;
  if (chunkItems !== undefined) return { ...sizes, itemsFirst: chunkItems, itemsMax: chunkItems, totalMax: total };
  return { ...sizes, itemsFirst: chunkItemsFirst ?? sizes.itemsFirst, totalMax: total };
}

/** A body that is not multipart is a file part without fields. */
async function openPart(
  decoder: Decoder,
  declared: MediaType | typeof MULTIPART,
  { contentType, plainFileType }: IngestRequest,
): Promise<FilePart> {
  if (declared === MULTIPART) return openMultipart(decoder, contentType ?? '', plainFileType);
  return { mediaType: declared, bytes: decoder.bytes, fields: new Map() };
}

async function frame(part: FilePart, request: IngestRequest, sizes: ChunkSizes, delivery: Delivery): Promise<Ingested> {
  const payload = createPayload(part.bytes, request.payloadBytesMax ?? null);
  const chunker = createChunker(sizes, request.itemBytesMax, () => framer.format());
  const framer = createFramer(part.mediaType, chunker, request.itemBytesMax);

  for await (const piece of payload.pieces) {
    framer.push(piece.bytes, piece.offset);
    for (const chunk of chunker.take()) await delivery.send(chunk);
    delivery.check();
  }
  framer.end(payload.bytes());
  for (const chunk of chunker.take()) await delivery.send(chunk);
  const last = chunker.last();
  if (last === null) throw noItems(part.mediaType);
  await delivery.send(last);
  await delivery.settled();
  delivery.check();

  const chunkItems = chunker.chunkItems();
  return {
    total: sumItems(chunkItems),
    chunkItems,
    format: framer.format(),
    fields: Object.fromEntries(part.fields),
    input: { mediaType: part.mediaType.essence, bytes: payload.bytes(), sha256: payload.sha256() },
  };
}

function createFramer(mediaType: MediaType, writer: ItemWriter, itemBytesMax: number): Framer {
  if (mediaType.framing === 'json') return createJsonFramer(writer);
  if (mediaType.framing === 'lines') return createLineFramer(writer);
  return createCsvFramer(writer, itemBytesMax);
}

function noItems(mediaType: MediaType): TrancheError {
  const wanted = {
    json: 'send an array, or an object whose member "items" or "operations" is one, with at least one item',
    lines: 'send at least one line that is not blank',
    csv: 'send at least one row below the header',
  }[mediaType.framing];
  return new TrancheError('no_items', `the body has no items: ${wanted}`);
}
