import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createIngest } from '../../../src/ingest/index.ts';
import { CSV_TYPE, JSON_TYPE, LINES_TYPE, refusal, request } from './harness.ts';

const MIB = 1024 * 1024;
const PIECE = 64 * 1024;
/** Two chunks under way, one being filled, and what the collector has not taken yet. */
const GROWTH_MAX = 80 * MIB;

/** `count` MiB of one byte between a head and a tail, never in memory as a whole. */
function* lazily(head: string, filler: string, mebibytes: number, tail: string): Generator<Buffer> {
  if (head !== '') yield Buffer.from(head);
  const piece = Buffer.alloc(PIECE, filler);
  for (let n = 0; n < (mebibytes * MIB) / PIECE; n++) yield piece;
  if (tail !== '') yield Buffer.from(tail);
}

/** The ingest's total or refusal, and by how much live memory grew on the way. */
async function measured(
  parts: Generator<Buffer>,
  contentType: string,
): Promise<{ outcome: unknown; growth: number; faults: number }> {
  const held = () => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  const before = held();
  let peak = before;
  let faults = 0;
  const watched = function* () {
    let n = 0;
    for (const part of parts) {
      if (++n % 64 === 0) peak = Math.max(peak, held());
      yield part;
    }
  };
  const ingested = createIngest()(request(Readable.from(watched()), contentType), async (chunk) => {
    faults += chunk.blob.toString('latin1', 8, 400).split('"item_too_large"').length - 1;
  });
  const outcome = await refusal(ingested).catch(() => ingested.then((result) => result.total));
  return { outcome, growth: peak - before, faults };
}

describe('memory stays flat', () => {
  it.each([
    ['one JSON string of 300 MiB', JSON_TYPE, 300, '[1,"', 'a', '",3]', 3, 1],
    ['one JSON number of 128 MiB', JSON_TYPE, 128, '[1,', '7', ',3]', 3, 1],
    ['one skipped member of 128 MiB', JSON_TYPE, 128, '{"a":"', 'a', '","items":[1]}', 1, 0],
    ['one member name of 128 MiB', JSON_TYPE, 128, '{"', 'a', '":1,"items":[1]}', 1, 0],
    ['128 MiB of white space', JSON_TYPE, 128, '[1,', ' \n', '2]', 2, 0],
    ['one line of 300 MiB', LINES_TYPE, 300, '1\n', 'a', '\n3', 3, 1],
    ['128 MiB of newlines', LINES_TYPE, 128, '', '\n', '', 'no_items', 0],
    ['128 MiB of spaces', LINES_TYPE, 128, '', ' ', '', 'no_items', 0],
    ['one CSV cell of 128 MiB', CSV_TYPE, 128, 'a,b\n1,2\n"', 'a', '",4', 2, 1],
    ['a CSV quote never closed', CSV_TYPE, 128, 'a,b\n1,2\n"', 'a', '', 2, 0],
    ['a CSV header of 128 MiB', CSV_TYPE, 128, '', 'a', '', 'invalid_header', 0],
    ['128 MiB of nested brackets', JSON_TYPE, 128, '[', '[', '', `malformed_body@${128 * MIB + 1}`, 0],
    ['20 million small items', LINES_TYPE, 80, '', '123\n', '', 20_971_520, 0],
  ])(
    'over %s',
    async (_what, contentType, mebibytes, head, filler, tail, outcome, faults) => {
      const taken = await measured(lazily(head, filler, mebibytes, tail), contentType);
      expect(taken.outcome).toBe(outcome);
      expect(taken.faults).toBe(faults);
      expect(taken.growth).toBeLessThan(GROWTH_MAX);
    },
    120_000,
  );
});
