/** What a request body may be: bytes, items, time; and what two bodies that are the same mean. */
import { decimal, setting, whole } from './setting.ts';

const DAY_MS = 86_400_000;

export const INGEST_SETTINGS = {
  bodyBytesMax: setting(
    'BODY_BYTES_MAX',
    '0',
    whole(0, Number.MAX_SAFE_INTEGER),
    'Decoded bytes of one request body; beyond them 413. 0 = no limit.',
  ),
  itemBytesMax: setting(
    'ITEM_BYTES_MAX',
    '1048576',
    whole(64, 64 * 1024 * 1024),
    'Bytes of one item; a larger one fails by itself.',
  ),
  bodyIdleTimeoutMs: setting(
    'BODY_IDLE_TIMEOUT_MS',
    '60000',
    whole(100, 3_600_000),
    'Milliseconds without a byte after which an upload is given up (408).',
  ),
  bulkFileMegabytesMax: setting(
    'MAX_FILE_SIZE_MB',
    '0',
    whole(0, 1_000_000),
    'MiB of one file on `/bulk-actions`, decoded; beyond them 413. 0 = no limit.',
  ),
  bulkRowsMax: setting(
    'MAX_CSV_ROWS',
    '0',
    whole(0, 1_000_000_000),
    'Rows of one file on `/bulk-actions`; beyond them 413. 0 = no limit.',
  ),
  bulkChunkRows: setting(
    'CHUNK_SIZE',
    '0',
    whole(0, 100_000),
    'Rows of every chunk of a file on `/bulk-actions` (a file has at most 50,000 chunks). 0 = chunks that grow with it.',
  ),
  keylessReplayWindowMs: setting(
    'KEYLESS_REPLAY_WINDOW',
    '600000',
    whole(0, 30 * DAY_MS),
    'Milliseconds within which an identical body without `Idempotency-Key` is the same request on `/product/bulk`. 0 = never.',
  ),
  stagingLeaseHours: setting(
    'STAGING_LEASE_HOURS',
    '24',
    decimal(0.001, 8_760),
    'Hours after which the blobs of an upload that no longer goes on are swept.',
  ),
} as const;
