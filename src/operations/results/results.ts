/** What became of every item, in input order: the lines of its latest run, and after the end a line for each never begun. */
import { TrancheError } from '../../model/errors.ts';
import type { OperationRecord, RunRecord } from '../../model/operation.ts';
import type { ItemOutcome } from '../../model/outcome.ts';
import { outcomeInLine } from '../../model/result-line.ts';
import { joinLines, splitLines } from '../../storage/segments.ts';
import { orUnavailable, piecesOrUnavailable, unavailable, within } from '../deadline.ts';
import type { OperationsStorage, TargetRegistry } from '../deps.ts';
import type { Results, ResultsRequest } from '../operations.ts';
import { goneError, refuseGone } from '../purge/gone.ts';
import type { Status } from '../status/status.ts';
import { mergedLines } from './merged-lines.ts';
import { readRuns } from './runs.ts';

export interface ResultsDeps {
  readonly storage: OperationsStorage;
  readonly targets: TargetRegistry;
  readonly status: Status;
  readonly storeDeadlineMs: number;
}

export function createResults(deps: ResultsDeps): (request: ResultsRequest) => Promise<Results> {
  const { storage, status, storeDeadlineMs } = deps;
  return async ({ account, id, outcome, fromIndex = 0 }) => {
    // The state first: an operation that had ended by then has all its lines.
    const operation = await status.latest(account, id);
    const complete = operation.state === 'ended';
    const record = await readRecord(storage, { account, id, storeDeadlineMs });
    const runs = await readRetries(storage, record, { upTo: operation.run, storeDeadlineMs });
    const merged = mergedLines(deps, { record, runs, complete, fromIndex: complete ? fromIndex : 0 });
    const lines = piecesOrUnavailable('the results cannot be read now; ask again', unlessGone(storage, record, merged));
    return { operation, complete, lines: outcome === undefined ? lines : filterLines(lines, outcome) };
  };
}

/** The whole record: status keeps only what views need. Throws `gone` where it was purged meanwhile. */
export async function readRecord(
  { records }: Pick<OperationsStorage, 'records'>,
  { account, id, storeDeadlineMs }: { readonly account: string; readonly id: string; readonly storeDeadlineMs: number },
): Promise<OperationRecord> {
  const reading = within(storeDeadlineMs, 'the record', records.readStanding(account, id));
  const standing = await orUnavailable('the operation cannot be read now; ask again', reading);
  if (standing === null) throw new TrancheError('not_found', 'there is no such operation');
  if (standing.tombstone !== null) throw goneError(standing.tombstone);
  return standing.record;
}

/** The retries up to the run that was shown. */
export async function readRetries(
  { records }: Pick<OperationsStorage, 'records'>,
  record: OperationRecord,
  { upTo, storeDeadlineMs }: { readonly upTo: number; readonly storeDeadlineMs: number },
): Promise<readonly RunRecord[]> {
  if (upTo === 1) return [];
  try {
    return await within(storeDeadlineMs, 'the runs', readRuns(records, record, upTo));
  } catch (cause) {
    throw unavailable('the operation cannot be read now; ask again', cause);
  }
}

/** What cannot be read any more, because the operation was purged meanwhile, is no fault of the store. */
async function* unlessGone(
  { records }: OperationsStorage,
  record: OperationRecord,
  lines: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void, void> {
  try {
    yield* lines;
  } catch (error) {
    await refuseGone(records, record);
    throw error;
  }
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
