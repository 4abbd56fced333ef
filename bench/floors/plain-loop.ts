/** Floor of `engine`: one loop that parses, checks, serialises and writes the same items, fsync at the end. */
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { noopItems } from '../items.ts';

const { folder, items, warmupItems } = JSON.parse(process.argv[2] ?? '{}') as {
  readonly folder: string;
  readonly items: number;
  readonly warmupItems: number;
};
const WRITE_CHARS = 1024 * 1024;
const LINE_END = 0x0a;

run(warmupItems);
const startedAt = performance.now();
run(items);
const ms = performance.now() - startedAt;
process.stdout.write(JSON.stringify({ items, ms, itemsPerSecond: (items / ms) * 1_000 }));

function run(count: number): void {
  const path = join(folder, `floor-${process.pid}.ndjson`);
  const file = openSync(path, 'w');
  let index = 0;
  let pending = '';
  for (const block of noopItems.blocks(count)) {
    for (let start = 0; start < block.length; ) {
      const end = block.indexOf(LINE_END, start);
      const item: unknown = JSON.parse(block.toString('utf8', start, end));
      const outcome = isObject(item) ? 'succeeded' : 'failed';
      pending += `${JSON.stringify({ index, line: index + 1, outcome, attempts: 1 })}\n`;
      index += 1;
      start = end + 1;
      if (pending.length < WRITE_CHARS) continue;
      writeSync(file, pending);
      pending = '';
    }
  }
  if (pending !== '') writeSync(file, pending);
  fsyncSync(file);
  closeSync(file);
  rmSync(path);
  if (index !== count) throw new Error(`${index} items instead of ${count}`);
}

function isObject(item: unknown): boolean {
  return typeof item === 'object' && item !== null;
}
