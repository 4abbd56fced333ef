/** The judge in every test of effects: one row per call that reached the vendor, kept compactly in columns. */
import { createTextArena } from './text-arena.ts';

/** One call as `GET /ledger` shows it. Written when the call is over; `at` is its arrival. */
export interface LedgerRow {
  /** Order of completion, from 1; never used twice, not even after the ledger was cleared. */
  readonly seq: number;
  /** Arrival in epoch ms with fraction. */
  readonly at: number;
  readonly key: string | null;
  /** Of the call's `traceparent`; null where it had none. */
  readonly traceId: string | null;
  readonly method: string;
  readonly path: string;
  /** Null where no answer was sent: a reset or a hang. */
  readonly status: number | null;
  /** This call had the effect. False for replays, refusals and injected faults. */
  readonly applied: boolean;
  readonly replayed: boolean;
  /** 53-bit hash of the body; null where there was none. */
  readonly bodyHash: number | null;
  /** Event-loop lag of the vendor when the call arrived: `at` may be late by this much. */
  readonly lagMs: number;
  /** When its bytes went out, by its `Tranche-Sent-At`, epoch ms with fraction; null where it had none. */
  readonly sentAtMs: number | null;
}

export interface Ledger {
  append(row: Omit<LedgerRow, 'seq'>): void;
  /** Rows with `seq` > `since`, up to what stands when it is called, oldest first. */
  rows(since: number): Generator<LedgerRow>;
  firstSeq(): number;
  lastSeq(): number;
  clear(): void;
}

const BLOCK_ROWS = 65_536;
const APPLIED = 1;
const REPLAYED = 2;
const HAS_KEY = 4;
const HAS_BODY = 8;

/** Over `rowsMax` rows the oldest block of 65,536 is dropped. */
export function createLedger(rowsMax: number): Ledger {
  let blocks: Block[] = [];
  let lastSeq = 0;
  return {
    append(row) {
      let block = blocks.at(-1);
      if (block === undefined || block.rows === BLOCK_ROWS) {
        block = createBlock(lastSeq + 1);
        blocks.push(block);
        if ((blocks.length - 1) * BLOCK_ROWS >= rowsMax + BLOCK_ROWS) blocks.shift();
      }
      lastSeq += 1;
      writeRow(block, row);
    },
    *rows(since) {
      const end = lastSeq;
      for (const block of [...blocks]) {
        if (block.firstSeq + block.rows - 1 <= since) continue;
        for (let position = Math.max(0, since + 1 - block.firstSeq); position < block.rows; position++) {
          if (block.firstSeq + position > end) return;
          yield readRow(block, position);
        }
      }
    },
    firstSeq: () => blocks[0]?.firstSeq ?? lastSeq + 1,
    lastSeq: () => lastSeq,
    clear() {
      blocks = [];
    },
  };
}

interface Block {
  readonly firstSeq: number;
  rows: number;
  readonly at: Float64Array;
  readonly lagMs: Float32Array;
  /** 0 = not said. */
  readonly sentAtMs: Float64Array;
  readonly bodyHash: Float64Array;
  /** 0 = no answer. */
  readonly status: Uint16Array;
  readonly flags: Uint8Array;
  readonly keyLength: Uint16Array;
  /** 1-based place in `traceIds`; 0 = none. Calls of an operation share theirs. */
  readonly trace: Uint32Array;
  readonly traceIds: string[];
  readonly traceAt: Map<string, number>;
  readonly text: Float64Array;
  readonly arena: ReturnType<typeof createTextArena>;
}

function createBlock(firstSeq: number): Block {
  return {
    firstSeq,
    rows: 0,
    at: new Float64Array(BLOCK_ROWS),
    lagMs: new Float32Array(BLOCK_ROWS),
    sentAtMs: new Float64Array(BLOCK_ROWS),
    bodyHash: new Float64Array(BLOCK_ROWS),
    status: new Uint16Array(BLOCK_ROWS),
    flags: new Uint8Array(BLOCK_ROWS),
    keyLength: new Uint16Array(BLOCK_ROWS),
    trace: new Uint32Array(BLOCK_ROWS),
    traceIds: [],
    traceAt: new Map(),
    text: new Float64Array(BLOCK_ROWS),
    arena: createTextArena(),
  };
}

function writeRow(block: Block, row: Omit<LedgerRow, 'seq'>): void {
  const position = block.rows;
  block.at[position] = row.at;
  block.lagMs[position] = row.lagMs;
  block.sentAtMs[position] = row.sentAtMs ?? 0;
  block.bodyHash[position] = row.bodyHash ?? 0;
  block.status[position] = row.status ?? 0;
  block.flags[position] =
    (row.applied ? APPLIED : 0) |
    (row.replayed ? REPLAYED : 0) |
    (row.key === null ? 0 : HAS_KEY) |
    (row.bodyHash === null ? 0 : HAS_BODY);
  const key = row.key ?? '';
  block.keyLength[position] = key.length;
  block.trace[position] = row.traceId === null ? 0 : traceAt(block, row.traceId);
  block.text[position] = block.arena.append(`${key}${row.method} ${row.path}`);
  block.rows = position + 1;
}

function traceAt(block: Block, traceId: string): number {
  const known = block.traceAt.get(traceId);
  if (known !== undefined) return known;
  const at = block.traceIds.push(traceId);
  block.traceAt.set(traceId, at);
  return at;
}

function readRow(block: Block, position: number): LedgerRow {
  const flags = block.flags[position] ?? 0;
  const text = block.arena.read(block.text[position] ?? 0);
  const keyLength = block.keyLength[position] ?? 0;
  const space = text.indexOf(' ', keyLength);
  const status = block.status[position] ?? 0;
  return {
    seq: block.firstSeq + position,
    at: block.at[position] ?? 0,
    key: (flags & HAS_KEY) === 0 ? null : text.slice(0, keyLength),
    traceId: block.traceIds[(block.trace[position] ?? 0) - 1] ?? null,
    method: text.slice(keyLength, space),
    path: text.slice(space + 1),
    status: status === 0 ? null : status,
    applied: (flags & APPLIED) !== 0,
    replayed: (flags & REPLAYED) !== 0,
    bodyHash: (flags & HAS_BODY) === 0 ? null : (block.bodyHash[position] ?? 0),
    lagMs: Math.round((block.lagMs[position] ?? 0) * 100) / 100,
    sentAtMs: block.sentAtMs[position] || null,
  };
}
