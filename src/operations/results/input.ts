/** The items as they came, one per line: NDJSON for JSON inputs, CSV with its header for CSV. */
import { type Chunk, type ItemFormat, itemBytes } from '../../model/chunk.ts';
import { unavailable, within } from '../deadline.ts';
import type { OperationsStorage } from '../deps.ts';
import type { Status } from '../status/status.ts';
import { inOrder, readChunk } from './chunk-walk.ts';
import { readRecord } from './results.ts';

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;

export interface InputDeps {
  readonly storage: OperationsStorage;
  readonly status: Status;
  readonly storeDeadlineMs: number;
}

export interface Input {
  readonly mediaType: string;
  readonly body: AsyncIterable<Buffer>;
}

/**
 * Line n belongs to index n (CSV: the header comes first; a quoted cell may span lines). An item that was too large was
 * never kept: it is `null` in NDJSON, an empty line in CSV.
 */
export function createInput({ storage, status, storeDeadlineMs }: InputDeps) {
  return async (account: string, id: string): Promise<Input> => {
    await status.stored(account, id);
    const record = await readRecord(storage, { account, id, storeDeadlineMs });
    const chunks = record.chunkItems.length;
    const first = await within(storeDeadlineMs, 'the first chunk', readChunk(storage.store, record, 0)).catch(
      (cause: unknown) => {
        throw unavailable('the input cannot be read now; ask again', cause);
      },
    );
    const { format } = first.header;
    const rest = inOrder(chunks - 1, (ordinal) => readChunk(storage.store, record, ordinal + 1));
    const mediaType = format.kind === 'csv' ? 'text/csv; charset=utf-8' : 'application/x-ndjson';
    return { mediaType, body: renderInput(format, first, rest) };
  };
}

async function* renderInput(
  format: ItemFormat,
  first: Chunk,
  rest: AsyncIterable<Chunk>,
): AsyncGenerator<Buffer, void, void> {
  const render = format.kind === 'csv' ? csvRows : jsonLines;
  if (format.kind === 'csv') yield headerOf(format);
  yield render(first);
  for await (const chunk of rest) yield render(chunk);
}

/** Outside strings a line break is white space, and inside them JSON has none: a space changes no value. */
function jsonLines(chunk: Chunk): Buffer {
  const lost = Buffer.from('null');
  return withLineEnds(chunk, '\n', (bytes) => {
    if (bytes.length === 0) return lost;
    if (!bytes.includes(LF) && !bytes.includes(CR)) return bytes;
    return Buffer.from(bytes).map((byte) => (byte === LF || byte === CR ? SPACE : byte));
  });
}

function csvRows(chunk: Chunk): Buffer {
  return withLineEnds(chunk, '\r\n', (bytes) => bytes);
}

function withLineEnds(chunk: Chunk, lineEnd: string, render: (bytes: Buffer) => Uint8Array): Buffer {
  const end = Buffer.from(lineEnd);
  const parts: Uint8Array[] = [];
  for (let position = 0; position < chunk.header.items; position++) {
    parts.push(render(itemBytes(chunk, position)), end);
  }
  return Buffer.concat(parts);
}

function headerOf({ columns, delimiter }: Extract<ItemFormat, { kind: 'csv' }>): Buffer {
  const cells = columns.map((name) => (/["\r\n,;\t]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name));
  return Buffer.from(`${cells.join(delimiter)}\r\n`);
}
