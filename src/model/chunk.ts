/**
 * A chunk: consecutive items stored as one immutable blob, raw bytes kept. Written by ingest, read by slices.
 *
 * Layout: `TRC1` · u32 header length · header (JSON) · u32[items] end offsets in the payload · u32[items] line numbers
 * · payload. Integers are little-endian; tables start at the next multiple of four.
 */

/** A fault found while framing: the item keeps its place and will be `failed`. */
export interface ItemFault {
  /** Position within the chunk. */
  readonly position: number;
  readonly code: 'item_too_large' | 'item_too_deep' | 'csv_unterminated_quote' | 'input_lost';
  readonly message: string;
  readonly column?: number;
}

/** How the items' bytes are to be read. */
export type ItemFormat =
  | { readonly kind: 'json' }
  | { readonly kind: 'csv'; readonly delimiter: ',' | ';' | '\t'; readonly columns: readonly string[] };

export interface ChunkHeader {
  readonly version: 1;
  readonly format: ItemFormat;
  /** 0-based index of the first item in the input. */
  readonly firstIndex: number;
  readonly items: number;
  readonly payloadBytes: number;
  readonly faults: readonly ItemFault[];
}

export interface Chunk {
  readonly header: ChunkHeader;
  /** End offset of each item in `payload`; an item begins where the one before it ends. */
  readonly ends: Uint32Array;
  /** 1-based line of each item in the decoded input. */
  readonly lines: Uint32Array;
  readonly payload: Buffer;
}

const MAGIC = 0x31435254;

export function encodeChunk(header: ChunkHeader, ends: Uint32Array, lines: Uint32Array, payload: Uint8Array): Buffer {
  const headerBytes = Buffer.from(JSON.stringify(header), 'utf8');
  const tablesAt = align4(8 + headerBytes.length);
  const payloadAt = tablesAt + 8 * header.items;
  const blob = Buffer.alloc(payloadAt + payload.length);
  blob.writeUInt32LE(MAGIC, 0);
  blob.writeUInt32LE(headerBytes.length, 4);
  headerBytes.copy(blob, 8);
  blob.set(new Uint8Array(ends.buffer, ends.byteOffset, 4 * header.items), tablesAt);
  blob.set(new Uint8Array(lines.buffer, lines.byteOffset, 4 * header.items), tablesAt + 4 * header.items);
  blob.set(payload, payloadAt);
  return blob;
}

/** Throws where the bytes are not a whole chunk: a blob is exclusively created, so that is a bug or a damaged store. */
export function decodeChunk(blob: Buffer): Chunk {
  if (blob.length < 8 || blob.readUInt32LE(0) !== MAGIC) throw new Error('not a chunk blob');
  const headerLength = blob.readUInt32LE(4);
  const header = JSON.parse(blob.toString('utf8', 8, 8 + headerLength)) as ChunkHeader;
  const tablesAt = align4(8 + headerLength);
  const payloadAt = tablesAt + 8 * header.items;
  if (blob.length !== payloadAt + header.payloadBytes) throw new Error('chunk blob is torn');
  const tables = blob.buffer.slice(blob.byteOffset + tablesAt, blob.byteOffset + payloadAt);
  return {
    header,
    ends: new Uint32Array(tables, 0, header.items),
    lines: new Uint32Array(tables, 4 * header.items, header.items),
    payload: blob.subarray(payloadAt),
  };
}

/** The raw bytes of the item at `position`. */
export function itemBytes(chunk: Chunk, position: number): Buffer {
  const start = position === 0 ? 0 : (chunk.ends[position - 1] ?? 0);
  return chunk.payload.subarray(start, chunk.ends[position] ?? start);
}

function align4(offset: number): number {
  return (offset + 3) & ~3;
}
