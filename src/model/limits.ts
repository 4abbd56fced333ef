/** Every bound in one place, with its unit and its reason. What a user would tune is a setting in config.ts instead. */

/** One item's raw bytes. Larger items fail one by one; the request goes on. */
export const ITEM_BYTES_MAX = 1024 * 1024;
/** Brackets inside one item: deeper ones are refused as data, so that no parser or validator recurses without bound. */
export const ITEM_DEPTH_MAX = 64;
/** Columns of a CSV. */
export const CSV_COLUMNS_MAX = 1_000;
/** A member name beside the items; longer ones cannot be `items` or `operations`. */
export const MEMBER_NAME_BYTES_MAX = 1_024;
/** Form fields of a multipart body beside its file, and the bytes of one: they are kept in memory. */
export const MULTIPART_FIELDS_MAX = 64;
export const MULTIPART_FIELD_BYTES_MAX = 64 * 1024;

/** Chunks grow along the request: the first are small so that a small request fans out, the later ones amortise. */
export const CHUNK_ITEMS_FIRST = 2_500;
export const CHUNK_ITEMS_MAX = 20_000;
/** Chunks of one size before the size doubles. */
export const CHUNKS_PER_SIZE = 8;
/** A chunk must fit in memory several times over (raw, parsed, outcomes). */
export const CHUNK_BYTES_MAX = 8 * 1024 * 1024;
/** Bound of `chunkItems` in record and workflow input: about 350 KB of JSON, one billion items. */
export const CHUNKS_MAX = 50_000;
/** A chunk up to this size lives in the record (DESIGN §2.4): one blob less for a small request. */
export const INLINE_CHUNK_BYTES_MAX = 32 * 1024;

/**
 * Operations of up to this many chunks run their slices themselves: a child costs four times a slice (1 M no-op items:
 * 158,000/s with children, 202,000/s without). Beyond it children keep one workflow's history short.
 */
export const DIRECT_CHUNKS_MAX = 512;
/** History events after which a workflow brings its work home and continues as new (Temporal suggests 4,096). */
export const HISTORY_EVENTS_MAX = 3_000;

/** Metadata given at submit: JSON bytes. */
export const METADATA_BYTES_MAX = 4_096;
/** … and its brackets: readers in other languages recurse. */
export const METADATA_DEPTH_MAX = 32;
export const IDEMPOTENCY_KEY_CHARS_MAX = 255;
/** Of a vendor's answer; the rest is not read. */
export const VENDOR_BODY_BYTES_MAX = 64 * 1024;
/** Runs of one operation: results are merged from all of them. */
export const RUNS_MAX = 100;
