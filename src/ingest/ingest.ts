/** Body → chunks: the contract of the room. The streams behind it are frame-*.ts and chunker.ts. */
import type { Readable } from 'node:stream';
import type { ItemFormat } from '../model/chunk.ts';
import type { InputFacts } from '../model/operation.ts';

export interface IngestRequest {
  /** The request body as it comes, still coded. Ended early or destroyed = client gone. */
  readonly body: Readable;
  /** `Content-Type` and `Content-Encoding` as sent; null where absent. */
  readonly contentType: string | null;
  readonly contentEncoding: string | null;
  /** Decoded bytes; beyond them 413. null = no quota. */
  readonly bytesMax: number | null;
  /** Milliseconds without a byte after which the request is given up (`body_timeout`). */
  readonly idleTimeoutMs: number;
  readonly itemBytesMax: number;
  /** Items of the first chunks where the target is known and says so; absent = the default. */
  readonly chunkItemsFirst?: number;
  /** Items of every chunk, instead of chunks that grow; absent = they grow. */
  readonly chunkItems?: number;
  /** Items of the body; beyond them 413. Absent or null = no bound. */
  readonly itemsMax?: number | null;
  /** Bytes of the decoded payload, of a multipart body's `file` part alone; beyond them 413. Absent or null = no bound. */
  readonly payloadBytesMax?: number | null;
  /** What a `file` part is taken for whose type and name do not tell, e.g. `text/csv`; absent = 415. */
  readonly plainFileType?: string;
  readonly signal: AbortSignal;
}

/** One chunk, encoded. Resolves once it may be forgotten (back-pressure). */
export type ChunkSink = (chunk: {
  readonly ordinal: number;
  readonly items: number;
  readonly blob: Buffer;
  /** True where it is the only chunk of the whole body. */
  readonly only: boolean;
}) => Promise<void>;

export interface Ingested {
  readonly total: number;
  readonly chunkItems: readonly number[];
  readonly format: ItemFormat;
  /** Form fields of a multipart body, last one wins; empty for other bodies. */
  readonly fields: Readonly<Record<string, string>>;
  /** Of the decoded payload: inflated; of the `file` part where the body is multipart. */
  readonly input: InputFacts;
}

/**
 * Frames the body and hands out chunks in order. Throws TrancheError: malformed_body (with `offset`),
 * unsupported_media_type, unsupported_content_coding, content_too_large, no_items, invalid_header,
 * unsupported_charset, client_gone, body_timeout, and whatever the sink throws. After a throw no further chunk is
 * handed out, none is under way in the sink, and the body is paused but left open, since destroying a socket's body
 * would cut off the answer: answer with `Connection: close`. Offsets in a multipart's `file` are the part's own.
 */
export type Ingest = (request: IngestRequest, sink: ChunkSink) => Promise<Ingested>;
