/** `npm run generate -- contacts --rows 1000000 --dirty 10 --out contacts.csv`: input files of any size, the same for the same seed. */
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { FORMATS, type Format, generate, type Order, SUBJECTS, type Subject } from './generator/blocks.ts';

const USAGE = `usage: npm run generate -- ${SUBJECTS.join('|')} --rows N --dirty P [--seed S] [--out FILE] [--format ${FORMATS.join('|')}]
  --rows    0 to 1000000000
  --dirty   how many rows are invalid, duplicate or ragged: per cent (10), or a share below 1 (0.1)
  --seed    a whole number (1): the same one makes the same bytes
  --out     where to; without it to stdout, for which npm needs --silent
What a service must come to is printed to stderr as one line of JSON.`;
const ROWS_MAX = 1_000_000_000;
const BLOCKS_AHEAD = 4;

try {
  const { order, out } = read(process.argv.slice(2));
  const { blocks, made } = generate(order);
  let bytes = 0;
  const counted = function* () {
    for (const block of blocks) {
      bytes += block.length;
      yield block;
    }
  };
  const sink = out === undefined ? process.stdout : createWriteStream(out);
  await pipeline(Readable.from(counted(), { objectMode: true, highWaterMark: BLOCKS_AHEAD }), sink);
  const { subject, format, seed } = order;
  process.stderr.write(`${JSON.stringify({ subject, format, seed, bytes, ...made() })}\n`);
} catch (error) {
  // Who reads may have had enough (`| head`).
  if (!(error instanceof Error && 'code' in error && error.code === 'EPIPE')) {
    process.stderr.write(`generate: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

function read(args: string[]): { readonly order: Order; readonly out: string | undefined } {
  const { values, positionals } = parsed(args);
  const [subject, ...rest] = positionals;
  const { format = 'csv', out } = values;
  if (!isOneOf<Subject>(SUBJECTS, subject) || rest.length > 0 || !isOneOf<Format>(FORMATS, format)) throw usage();
  const rows = wholeNumber(values.rows);
  const seed = wholeNumber(values.seed ?? '1');
  const dirty = /^\d+(\.\d+)?%?$/.test(values.dirty ?? '') ? Number.parseFloat(values.dirty ?? '') : Number.NaN;
  const isShare = dirty < 1 && values.dirty?.endsWith('%') !== true;
  const dirtyShare = isShare ? dirty : dirty / 100;
  if (rows === null || rows > ROWS_MAX || seed === null || !(dirtyShare <= 1)) throw usage();
  return { order: { subject, rows, dirtyShare, seed, format }, out };
}

function parsed(args: string[]) {
  const text = { type: 'string' } as const;
  const options = { rows: text, dirty: text, seed: text, out: text, format: text };
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  }
}

function isOneOf<T extends string>(allowed: readonly T[], value: string | undefined): value is T {
  return allowed.some((candidate) => candidate === value);
}

function wholeNumber(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

function usage(): Error {
  return new Error(USAGE);
}
