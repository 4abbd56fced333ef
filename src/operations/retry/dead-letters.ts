/** Items that did not go well, with what they failed of and their payload: to be corrected and sent back by a retry. */
import { orUnavailable, piecesOrUnavailable, within } from '../deadline.ts';
import type { OperationsStorage, TargetRegistry } from '../deps.ts';
import type { DeadLetters, DeadLettersRequest } from '../operations.ts';
import { readChunk } from '../results/chunk-walk.ts';
import { readRecord, readRetries } from '../results/results.ts';
import type { Status } from '../status/status.ts';
import { createBreather } from './breather.ts';
import { createCsvLetters } from './dead-letters-csv.ts';
import { createItemTextCursor } from './item-texts.ts';
import { type LettersSource, lettersOf } from './letters.ts';

export interface DeadLettersDeps {
  readonly storage: OperationsStorage;
  readonly targets: TargetRegistry;
  readonly status: Status;
  readonly storeDeadlineMs: number;
}

/**
 * One line or row an item, streamed, in input order. A CSV input keeps its columns, cell for cell; a JSON input's items
 * are given by their members. Throws `content_too_large` where those are more than a CSV may have.
 */
export function createDeadLetters(deps: DeadLettersDeps) {
  const { storage, status, storeDeadlineMs } = deps;
  return async ({ account, id, outcomes, format }: DeadLettersRequest): Promise<DeadLetters> => {
    // The state first: an operation that had ended by then has all its lines.
    const operation = await status.latest(account, id);
    const record = await readRecord(storage, { account, id, storeDeadlineMs });
    const runs = await readRetries(storage, record, { upTo: operation.run, storeDeadlineMs });
    const complete = operation.state === 'ended';
    const source = { record, runs, complete, outcomes: outcomes.length === 0 ? DEAD : outcomes };
    if (format === 'ndjson') {
      const body = piecesOrUnavailable(UNREADABLE, renderLines(deps, source));
      return { operation, mediaType: 'application/x-ndjson', body };
    }
    const reading = within(storeDeadlineMs, 'the first chunk', readChunk(storage.store, record, 0));
    const { header } = await orUnavailable(UNREADABLE, reading);
    const rows = await orUnavailable(UNREADABLE, createCsvLetters(deps, source, header.format));
    return { operation, mediaType: 'text/csv; charset=utf-8', body: piecesOrUnavailable(UNREADABLE, rows) };
  };
}

const UNREADABLE = 'the items cannot be read now; ask again';
const DEAD = ['failed', 'unknown'] as const;

async function* renderLines(deps: DeadLettersDeps, source: LettersSource): AsyncGenerator<Buffer, void, void> {
  const texts = createItemTextCursor(deps, source.record, source.runs);
  const breathe = createBreather();
  for await (const letters of lettersOf(deps, source)) {
    const lines: string[] = [];
    for (const { index, line, outcome, error = null } of letters) {
      const turn = breathe();
      if (turn !== null) await turn;
      const finding = texts.at(index);
      const found = finding instanceof Promise ? await finding : finding;
      const read = found?.opened(found.position);
      const item = read?.ok === true ? itemMember(read.text.toString('utf8')) : '';
      lines.push(`{"index":${index},"line":${line},"outcome":"${outcome}","error":${JSON.stringify(error)}${item}}\n`);
    }
    yield Buffer.from(lines.join(''));
  }
}

/** An item that is no JSON is given as text, in `raw`: sent back as it is, it would be no correction. */
function itemMember(text: string): string {
  try {
    JSON.parse(text);
  } catch {
    return `,"raw":${JSON.stringify(text)}`;
  }
  // Inside strings JSON has no line breaks, and outside them they are white space.
  return `,"item":${text.replaceAll(/[\r\n]/g, ' ')}`;
}
