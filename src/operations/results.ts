/** What became of every item, in input order: the segments' lines, and after the end a line for each item never begun. */
import type { OperationRecord } from '../model/operation.ts';
import type { ItemOutcome } from '../model/outcome.ts';
import { outcomeInLine, renderResultLine } from '../model/result-line.ts';
import { indexOfLine, joinLines, splitLines } from '../storage/segments.ts';
import { firstIndexes, inOrder, readChunk } from './chunk-walk.ts';
import { unavailable, within } from './deadline.ts';
import type { OperationsStorage, TargetRegistry } from './deps.ts';
import type { Results, ResultsRequest } from './operations.ts';
import type { Status } from './status.ts';

export interface ResultsDeps {
  readonly storage: OperationsStorage;
  readonly targets: TargetRegistry;
  readonly status: Status;
  readonly storeDeadlineMs: number;
}

export function createResults(deps: ResultsDeps): (request: ResultsRequest) => Promise<Results> {
  const { storage, status, storeDeadlineMs } = deps;
  return async ({ account, id, outcome }) => {
    // The state first: an operation that had ended by then has all its lines.
    const operation = await status.get(account, id);
    const complete = operation.state === 'ended';
    const record = await readRecord(storage, { account, id, storeDeadlineMs });
    const lines = resultLines(deps, record, { run: operation.run, complete });
    return { operation, complete, lines: outcome === undefined ? lines : filterLines(lines, outcome) };
  };
}

/** The whole record: status keeps only what views need. */
export async function readRecord(
  { records }: Pick<OperationsStorage, 'records'>,
  { account, id, storeDeadlineMs }: { readonly account: string; readonly id: string; readonly storeDeadlineMs: number },
): Promise<OperationRecord> {
  try {
    const record = await within(storeDeadlineMs, 'the record', records.readRecord(account, id));
    if (record !== null) return record;
  } catch (cause) {
    throw unavailable('the operation cannot be read now; ask again', cause);
  }
  throw unavailable('the operation cannot be read now; ask again', new Error('a known record is gone'));
}

interface Reading {
  readonly run: number;
  readonly complete: boolean;
}

async function* resultLines(
  { storage, targets }: Pick<ResultsDeps, 'storage' | 'targets'>,
  record: OperationRecord,
  { run, complete }: Reading,
): AsyncGenerator<Buffer, void, void> {
  const { uid, chunkItems } = record;
  const firsts = firstIndexes(chunkItems);

  async function read(ordinal: number): Promise<Buffer> {
    const items = chunkItems[ordinal] ?? 0;
    const { lines, count } = await storage.segments.readLines({ uid, run, ordinal }, items);
    if (!complete || count >= items) return lines;
    const chunk = await readChunk(storage.store, record, ordinal);
    const labelOf = targets.labelsOf(record.target, chunk);
    return fillGaps(lines, { firstIndex: firsts[ordinal] ?? 0, items }, (index, position) =>
      renderResultLine({
        index,
        line: chunk.lines[position] ?? 0,
        label: labelOf(position),
        outcome: 'cancelled',
        attempts: 0,
      }),
    );
  }

  for await (const lines of inOrder(chunkItems.length, read)) if (lines.length > 0) yield lines;
}

/** Lines of a chunk in index order, with one rendered for each index that has none. */
function fillGaps(
  lines: Buffer,
  { firstIndex, items }: { readonly firstIndex: number; readonly items: number },
  render: (index: number, position: number) => string,
): Buffer {
  const all: Buffer[] = [];
  const standing = splitLines(lines);
  let next = standing.next();
  for (let position = 0; position < items; position++) {
    const index = firstIndex + position;
    if (next.done !== true && indexOfLine(next.value) === index) {
      all.push(next.value);
      next = standing.next();
    } else all.push(Buffer.from(render(index, position)));
  }
  return joinLines(all);
}

async function* filterLines(chunks: AsyncIterable<Buffer>, outcome: ItemOutcome): AsyncGenerator<Buffer, void, void> {
  for await (const lines of chunks) {
    const kept: Buffer[] = [];
    let all = true;
    for (const line of splitLines(lines)) {
      if (outcomeInLine(line) === outcome) kept.push(line);
      else all = false;
    }
    if (all) yield lines;
    else if (kept.length > 0) yield joinLines(kept);
  }
}
