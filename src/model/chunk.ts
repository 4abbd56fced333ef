/**
 * A chunk: consecutive items stored as one immutable blob, raw bytes kept. Written by ingest, read by slices.
 *
 * Layout: `TRC1` · u32 header length · header (JSON) · u32[items] end offsets in the payload · u32[items] line numbers
 * · (sparse: u32[items] indexes · u32[items] key runs) · payload. Integers are little-endian; tables start at the next
 * multiple of four.
 */

/** A fault found while framing: the item keeps its place and will be `failed`. */
export interface ItemFault {
  /** Position within the chunk. */
  readonly position: number;
  readonly code:
    | 'item_too_large'
    | 'item_too_deep'
    | 'csv_unterminated_quote'
    | 'csv_ragged_row'
    | 'invalid_csv'
    | 'invalid_utf8'
    | 'input_lost';
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
  /** A retry's chunk: its items are chosen ones, ascending, each with an index of its own. Absent = consecutive. */
  readonly sparse?: true;
  /** Positions, ascending, of what an earlier run may have had applied though nobody said so. Absent = none. */
  readonly inDoubt?: readonly number[];
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
  /** Null where the items are consecutive and all of run 1. */
  readonly chosen: ChosenItems | null;
  readonly payload: Buffer;
}

/** What a retry's chunk says of each of its items. */
export interface ChosenItems {
  /** Index in the input, ascending. */
  readonly indexes: Uint32Array;
  /** The run that its idempotency key names: this one after a definite failure, an earlier one where that is in doubt. */
  readonly keyRuns: Uint32Array;
}

const MAGIC = 0x31435254;

/** `chosen` goes with `header.sparse`. */
export function encodeChunk(
  header: ChunkHeader,
  ends: Uint32Array,
  lines: Uint32Array,
  payload: Uint8Array,
  chosen: ChosenItems | null = null,
): Buffer {
  const tables = chosen === null ? [ends, lines] : [ends, lines, chosen.indexes, chosen.keyRuns];
  const headerBytes = Buffer.from(JSON.stringify(header), 'utf8');
  const tablesAt = align4(8 + headerBytes.length);
  const payloadAt = tablesAt + 4 * tables.length * header.items;
  const blob = Buffer.alloc(payloadAt + payload.length);
  blob.writeUInt32LE(MAGIC, 0);
  blob.writeUInt32LE(headerBytes.length, 4);
  headerBytes.copy(blob, 8);
  for (const [i, table] of tables.entries()) {
    blob.set(new Uint8Array(table.buffer, table.byteOffset, 4 * header.items), tablesAt + 4 * i * header.items);
  }
  blob.set(payload, payloadAt);
  return blob;
}

/** Throws where the bytes are not a whole chunk: a blob is exclusively created, so that is a bug or a damaged store. */
export function decodeChunk(blob: Buffer): Chunk {
  if (blob.length < 8 || blob.readUInt32LE(0) !== MAGIC) throw new Error('not a chunk blob');
  const headerLength = blob.readUInt32LE(4);
  const header = JSON.parse(blob.toString('utf8', 8, 8 + headerLength)) as ChunkHeader;
  const tablesAt = align4(8 + headerLength);
  const payloadAt = tablesAt + (header.sparse === true ? 16 : 8) * header.items;
  if (blob.length !== payloadAt + header.payloadBytes) throw new Error('chunk blob is torn');
  const tables = blob.buffer.slice(blob.byteOffset + tablesAt, blob.byteOffset + payloadAt);
  const table = (i: number) => new Uint32Array(tables, 4 * i * header.items, header.items);
  return {
    header,
    ends: table(0),
    lines: table(1),
    chosen: header.sparse === true ? { indexes: table(2), keyRuns: table(3) } : null,
    payload: blob.subarray(payloadAt),
  };
}

/** The index in the input of the item at `position`. */
export function indexAt({ header, chosen }: Chunk, position: number): number {
  return chosen === null ? header.firstIndex + position : (chosen.indexes[position] ?? 0);
}

/** Where the chunk holds the item; -1 where it does not. */
export function positionOf({ header, chosen }: Chunk, index: number): number {
  if (chosen === null) {
    const position = index - header.firstIndex;
    return position >= 0 && position < header.items ? position : -1;
  }
  let low = 0;
  let high = header.items - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = chosen.indexes[middle] ?? 0;
    if (found === index) return middle;
    if (found < index) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

/** The run that the item's idempotency key names. */
export function keyRunAt({ chosen }: Chunk, position: number): number {
  return chosen?.keyRuns[position] ?? 1;
}

/** True where a call of an earlier run may have had its effect: no later refusal says that it had none. */
export function isInDoubtAt({ header: { inDoubt } }: Chunk, position: number): boolean {
  if (inDoubt === undefined) return false;
  let low = 0;
  let high = inDoubt.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((inDoubt[middle] ?? 0) < position) low = middle + 1;
    else high = middle;
  }
  return inDoubt[low] === position;
}

/** What vendors know the item by: the same in every attempt of a run. */
export function idempotencyKeyAt(chunk: Chunk, uid: string, position: number): string {
  const run = keyRunAt(chunk, position);
  return `${uid}:${indexAt(chunk, position)}${run === 1 ? '' : `:r${run}`}`;
}

/** The raw bytes of the item at `position`. */
export function itemBytes(chunk: Chunk, position: number): Buffer {
  const start = position === 0 ? 0 : (chunk.ends[position - 1] ?? 0);
  return chunk.payload.subarray(start, chunk.ends[position] ?? start);
}

function align4(offset: number): number {
  return (offset + 3) & ~3;
}
