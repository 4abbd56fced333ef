/** What the tests of ingest share: a body in any split, and the items that came out of it. */
import { Readable } from 'node:stream';
import type { ChunkSink, Ingested, IngestRequest } from '../../../src/ingest/index.ts';
import { createIngest, type IngestOptions } from '../../../src/ingest/index.ts';
import { type Chunk, decodeChunk, itemBytes } from '../../../src/model/chunk.ts';
import { isTrancheError } from '../../../src/model/errors.ts';

export interface TakenItem {
  readonly text: string;
  readonly line: number;
  readonly fault: string | null;
  readonly column?: number | undefined;
}

export interface Taken {
  readonly result: Ingested;
  readonly items: readonly TakenItem[];
  readonly chunks: readonly Chunk[];
  readonly onlys: readonly boolean[];
}

export const JSON_TYPE = 'application/json';
export const LINES_TYPE = 'application/x-ndjson';
export const CSV_TYPE = 'text/csv';

export type Overrides = Partial<IngestRequest> & IngestOptions;

export function request(body: Readable, contentType: string | null, overrides: Overrides = {}): IngestRequest {
  return {
    body,
    contentType,
    contentEncoding: null,
    bytesMax: null,
    idleTimeoutMs: 10_000,
    itemBytesMax: 1024 * 1024,
    signal: new AbortController().signal,
    ...overrides,
  };
}

export function bodyOf(bytes: string | Buffer, splits: readonly number[] = []): Readable {
  return Readable.from(split(Buffer.from(bytes), splits), { objectMode: false });
}

/** Cuts at the given positions (any order, taken modulo the length). */
export function split(bytes: Buffer, positions: readonly number[]): Buffer[] {
  const cuts = positions.map((position) => position % (bytes.length + 1)).sort((a, b) => a - b);
  return [0, ...cuts].map((from, n) => bytes.subarray(from, cuts[n] ?? bytes.length)).filter((part) => part.length > 0);
}

/** As `bodyOf`, but one push a part: a byte stream would join what is buffered. */
export function partsBody(parts: readonly Buffer[]): Readable {
  return Readable.from(parts);
}

export async function take(body: Readable, contentType: string | null, overrides: Overrides = {}): Promise<Taken> {
  const chunks: Chunk[] = [];
  const onlys: boolean[] = [];
  const sink: ChunkSink = async (chunk) => {
    chunks.push(decodeChunk(chunk.blob));
    onlys.push(chunk.only);
  };
  const ingest = createIngest(overrides.chunkSizes === undefined ? {} : { chunkSizes: overrides.chunkSizes });
  const result = await ingest(request(body, contentType, overrides), sink);
  return { result, chunks, onlys, items: chunks.flatMap(itemsOf) };
}

export function takeText(text: string | Buffer, contentType: string, overrides: Overrides = {}): Promise<Taken> {
  return take(bodyOf(text), contentType, overrides);
}

/** `code` of the refusal with its offset: `malformed_body@12`; fails where the body is taken. */
export async function refusal(taken: Promise<unknown>): Promise<string> {
  try {
    await taken;
  } catch (error) {
    if (!isTrancheError(error)) throw error;
    return error.facts.offset === undefined ? error.code : `${error.code}@${error.facts.offset}`;
  }
  throw new Error('the body was taken');
}

function itemsOf(chunk: Chunk): TakenItem[] {
  const faults = new Map(chunk.header.faults.map((fault) => [fault.position, fault]));
  return Array.from({ length: chunk.header.items }, (_, position) => ({
    text: itemBytes(chunk, position).toString('utf8'),
    line: chunk.lines[position] ?? 0,
    fault: faults.get(position)?.code ?? null,
    column: faults.get(position)?.column,
  }));
}

export function texts(taken: Taken): string[] {
  return taken.items.map((item) => item.fault ?? item.text);
}
