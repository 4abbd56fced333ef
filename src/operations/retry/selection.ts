/** Which items a retry takes up, and as what: one walk over the results, with memory for a few chunks. */
import { TrancheError } from '../../model/errors.ts';
import { EMPTY_TALLY, type OperationRecord, type RunLayer, type RunRecord, type Tally } from '../../model/operation.ts';
import type { ItemOutcome } from '../../model/outcome.ts';
import { outcomeInLine } from '../../model/result-line.ts';
import { indexOfLine, splitLines } from '../../storage/segments.ts';
import type { OperationsStorage, TargetRegistry } from '../deps.ts';
import type { RetryRequest } from '../operations.ts';
import type { Found } from '../results/layers.ts';
import { mergedLines } from '../results/merged-lines.ts';
import { createBreather } from './breather.ts';
import type { ChosenItem } from './chosen-chunks.ts';
import { type Complaints, createComplaints } from './complaints.ts';
import { type CorrectedItems, openCorrectedItems } from './corrected-items.ts';
import { createItemTextCursor, type TextOf } from './item-texts.ts';

export const RETRYABLE = ['failed', 'unknown', 'cancelled'] as const satisfies readonly ItemOutcome[];

export interface SelectionDeps {
  readonly storage: OperationsStorage;
  readonly targets: TargetRegistry;
}

export interface Selection {
  readonly record: OperationRecord;
  /** The retries before this one. */
  readonly runs: readonly RunRecord[];
  readonly request: Pick<RetryRequest, 'outcomes' | 'codes' | 'indexes'>;
  readonly corrections: RunLayer | null;
  readonly itemBytesMax: number;
}

/**
 * Calls `choose` with each chosen item, ascending; answers the outcomes of the others. Throws `invalid_selection`,
 * which lists what cannot be chosen or corrected, and `illegal_transition` where nothing is left to choose.
 */
export async function select(
  deps: SelectionDeps,
  selection: Selection,
  choose: (item: ChosenItem) => Promise<void> | null,
): Promise<Tally> {
  const { record, runs } = selection;
  const complaints = createComplaints();
  const wanted = createFilter(selection, complaints);
  const corrected = await openCorrectedItems({ ...deps.storage, ...deps }, record, selection.corrections);
  const texts = createItemTextCursor(deps, record, runs);
  const toChosen = createChooser({ corrected, complaints, run: runs.length + 2, itemBytesMax: selection.itemBytesMax });
  const breathe = createBreather();
  const base = { ...EMPTY_TALLY } as { -readonly [K in keyof Tally]: number };
  let chosen = 0;

  for await (const lines of mergedLines(deps, { record, runs, complete: true })) {
    for (const line of splitLines(lines)) {
      const turn = breathe();
      if (turn !== null) await turn;
      const index = indexOfLine(line);
      const outcome = outcomeInLine(line) as ItemOutcome;
      const asked = corrected.cursor.at(index);
      const correction = asked instanceof Promise ? await asked : asked;
      if (!wanted(index, outcome, line) && correction === null) {
        base[outcome]++;
        continue;
      }
      const finding = texts.at(index);
      const found = finding instanceof Promise ? await finding : finding;
      if (found === null) throw new Error(`no chunk of ${record.uid} holds index ${index}`);
      const item = toChosen({ index, outcome, found, correction });
      if (item === null || !complaints.none()) continue;
      chosen++;
      const full = choose(item);
      if (full !== null) await full;
    }
  }
  complaints.check('this choice cannot be retried');
  if (chosen === 0) throw nothingChosen();
  return base;
}

type Wanted = (index: number, outcome: ItemOutcome, line: Buffer) => boolean;

/** Corrections alone choose exactly what they correct. Indexes are asked about in rising order. */
function createFilter({ record, request, corrections }: Selection, complaints: Complaints): Wanted {
  const { codes, indexes } = request;
  if (corrections !== null && request.outcomes.length === 0 && codes === null && indexes === null) return () => false;
  const outcomes = new Set<ItemOutcome>(request.outcomes.length === 0 ? RETRYABLE : request.outcomes);
  for (const index of indexes ?? []) {
    if (!isIndexBelow(record.total, index)) complaints.add(`there is no index ${index}; the items are ${record.total}`);
  }
  const known = indexes?.filter((index) => isIndexBelow(record.total, index));
  const named = known === undefined ? null : Uint32Array.from(new Set(known)).sort();
  const hasCode = codes === null ? () => true : codeIn(new Set(codes));
  let next = 0;
  return (index, outcome, line) => {
    if (named !== null) {
      if (named[next] !== index) return false;
      next++;
      if (!isRetryable(outcome)) return true;
    }
    return outcomes.has(outcome) && hasCode(line);
  };
}

function isIndexBelow(total: number, index: number): boolean {
  return Number.isInteger(index) && index >= 0 && index < total;
}

function isRetryable(outcome: ItemOutcome): boolean {
  return RETRYABLE.some((retryable) => retryable === outcome);
}

function codeIn(codes: ReadonlySet<string>): (line: Buffer) => boolean {
  return (line) => {
    const { error } = JSON.parse(line.toString('utf8')) as { readonly error?: { readonly code: string } };
    return error !== undefined && codes.has(error.code);
  };
}

interface Candidate {
  readonly index: number;
  readonly outcome: ItemOutcome;
  readonly found: Found<TextOf>;
  readonly correction: Found<null> | null;
}

interface ChooserParts {
  readonly corrected: CorrectedItems;
  readonly complaints: Complaints;
  readonly run: number;
  readonly itemBytesMax: number;
}

/** null: it cannot be chosen, and why is among the complaints. */
function createChooser(parts: ChooserParts): (candidate: Candidate) => ChosenItem | null {
  const { corrected, complaints, run, itemBytesMax } = parts;
  return ({ index, outcome, found, correction }) => {
    if (!isRetryable(outcome)) {
      complaints.add(`index ${index} is ${outcome}; only failed, unknown and cancelled items are retried`);
      return null;
    }
    const { chunk, position, opened } = found;
    const original = opened(position);
    const inDoubt = outcome === 'unknown';
    const { item, changed } =
      correction === null ? { item: original, changed: false } : corrected.correct(original, correction);
    if (changed && inDoubt) {
      complaints.add(`index ${index} is unknown: what was sent may have taken effect, so it takes no correction`);
      return null;
    }
    if (changed && item.ok && item.text.length > itemBytesMax) {
      complaints.add(`index ${index}: the corrected item is larger than ${itemBytesMax} bytes`);
      return null;
    }
    // Vendors replay a stored failure under its key; where the effect is in doubt only the same key is safe.
    const keyRun = outcome === 'failed' ? run : (chunk.chosen?.keyRuns[position] ?? 1);
    const content = item.ok ? item.text : item.fault;
    return { index, line: chunk.lines[position] ?? 0, keyRun, inDoubt, content };
  };
}

function nothingChosen(): TrancheError {
  const message = 'there is nothing to retry: no failed, unknown or cancelled item fits outcomes, codes and indexes';
  return new TrancheError('illegal_transition', message, { currentState: 'ended' });
}
