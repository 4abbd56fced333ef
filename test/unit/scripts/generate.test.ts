/** Generated files hold exactly what they say, as the service itself reads them. */
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FORMATS, type Format, generate, type Order, type Subject } from '../../../scripts/generator/blocks.ts';
import { findTarget } from '../../../src/targets/index.ts';
import { createItemReader } from '../../../src/targets/item-reader.ts';
import { take } from '../ingest/harness.ts';

const TYPES: Readonly<Record<Format, string>> = {
  csv: 'text/csv',
  json: 'application/json',
  ndjson: 'application/x-ndjson',
};

/** What the service's own ingest and target find in the bytes. */
async function read({ subject, format }: Order, blocks: Iterable<Buffer>) {
  const target = findTarget(subject);
  const { chunks } = await take(Readable.from(blocks), TYPES[format]);
  const seen = new Set<string>();
  const found = { succeeded: 0, failed: 0, skipped: 0 };
  const codes = new Set<string>();
  for (const chunk of chunks) {
    const reader = createItemReader(chunk, target, 'UID');
    for (let position = 0; position < chunk.header.items; position++) {
      const item = reader.read(position);
      const key = reader.keyOf(position);
      if (!item.ok) {
        found.failed++;
        codes.add(item.error.code);
      } else if (key !== null && seen.has(key)) found.skipped++;
      else {
        found.succeeded++;
        if (key !== null) seen.add(key);
      }
    }
  }
  return { found, codes };
}

const order = (over: Partial<Order> = {}): Order => ({
  subject: 'contacts',
  rows: 1_000,
  dirtyShare: 0.1,
  seed: 1,
  format: 'csv',
  ...over,
});

describe('generated files', () => {
  it('come to what they say, whatever the size, the dirt, the seed and the format', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          subject: fc.constantFrom<Subject>('contacts', 'products'),
          rows: fc.integer({ min: 1, max: 400 }),
          dirtyShare: fc.oneof(fc.constantFrom(0, 0.1, 1), fc.double({ min: 0, max: 1, noNaN: true })),
          seed: fc.nat(),
          format: fc.constantFrom(...FORMATS),
        }),
        async (wanted) => {
          const { blocks, made } = generate(wanted);
          const { found } = await read(wanted, blocks);
          const { rows, valid, expected } = made();
          expect(found).toEqual(expected);
          expect(rows).toBe(wanted.rows);
          expect(rows - valid).toBe(Math.round(wanted.rows * wanted.dirtyShare));
        },
      ),
      { numRuns: 60 },
    );
  }, 60_000);

  it('hold their kinds of dirt in known proportions', async () => {
    const contacts = generate(order({ rows: 20_000 }));
    const { found, codes } = await read(order(), contacts.blocks);
    expect(contacts.made()).toEqual({
      rows: 20_000,
      valid: 18_000,
      invalid: 1_000,
      duplicate: 600,
      ragged: 400,
      expected: { succeeded: 18_000, failed: 1_400, skipped: 600 },
    });
    expect(found).toEqual(contacts.made().expected);
    expect([...codes].sort()).toEqual(['csv_ragged_row', 'invalid_item']);
    const products = generate(order({ subject: 'products', rows: 1_000 }));
    await read(order({ subject: 'products' }), products.blocks);
    expect(products.made()).toMatchObject({ valid: 900, invalid: 70, duplicate: 0, ragged: 30 });
  });

  it('are the same for the same seed, byte for byte, and others for another', () => {
    const bytes = (seed: number) => Buffer.concat([...generate(order({ seed })).blocks]);
    expect(bytes(7)).toEqual(bytes(7));
    expect(bytes(7).equals(bytes(8))).toBe(false);
  });

  it('are made no further than somebody reads', () => {
    const { blocks, made } = generate(order({ rows: 1_000_000_000 }));
    const block = blocks.next().value as Buffer;
    expect(block.length).toBeLessThan(256 * 1024);
    expect(made().rows).toBeLessThan(5_000);
  });
});

const root = fileURLToPath(new URL('../../../', import.meta.url));
const run = promisify(execFile);
const script = (...args: string[]) => run(process.execPath, ['scripts/generate.ts', ...args], { cwd: root });

describe('npm run generate', () => {
  it('writes the file and says on stderr what a service must come to', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tranche-generate-'));
    try {
      const out = join(folder, 'contacts.csv');
      const { stdout, stderr } = await script(
        'contacts',
        '--rows',
        '500',
        '--dirty',
        '10',
        '--seed',
        '3',
        '--out',
        out,
      );
      const bytes = await readFile(out);
      expect(stdout).toBe('');
      const said = JSON.parse(stderr);
      expect(said).toMatchObject({ subject: 'contacts', format: 'csv', seed: 3, rows: 500, bytes: bytes.length });
      expect((await read(order(), [bytes])).found).toEqual(said.expected);
      // A share below 1 means the same as per cent.
      const again = await script('contacts', '--rows', '500', '--dirty', '0.1', '--seed', '3');
      expect(again.stdout).toBe(bytes.toString());
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it.each([
    [[]],
    [['people', '--rows', '1', '--dirty', '0']],
    [['contacts', '--dirty', '0']],
    [['contacts', '--rows', '1']],
    [['contacts', '--rows', '-1', '--dirty', '0']],
    [['contacts', '--rows', '1e3', '--dirty', '0']],
    [['contacts', '--rows', '1000000001', '--dirty', '0']],
    [['contacts', '--rows', '1', '--dirty', '101']],
    [['contacts', '--rows', '1', '--dirty', 'NaN']],
    [['contacts', '--rows', '1', '--dirty', '0', '--format', 'xml']],
    [['contacts', 'products', '--rows', '1', '--dirty', '0']],
    [['contacts', '--rows', '1', '--dirty', '0', '--sead', '1']],
  ])('refuses %j with its usage', async (args) => {
    await expect(script(...args)).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('usage: npm run generate'),
    });
  });

  it('ends quietly where its reader has had enough', async () => {
    const args = ['scripts/generate.ts', 'contacts', '--rows', '1000000000', '--dirty', '0'];
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    const exited = new Promise((resolve) => child.once('exit', resolve));
    let stderr = '';
    child.stderr.on('data', (bytes) => {
      stderr += bytes;
    });
    child.stdout.once('data', () => child.stdout.destroy());
    expect(await exited).toBe(0);
    expect(stderr).toBe('');
  });
});
