/** The result lines of items that did not go well, a batch at a time. */
import type { OperationRecord, RunRecord } from '../../model/operation.ts';
import { outcomeInLine } from '../../model/result-line.ts';
import { indexOfLine, splitLines } from '../../storage/segments.ts';
import { type LinesDeps, mergedLines } from '../results/merged-lines.ts';
import { createBreather } from './breather.ts';

/** What is read for one download. */
export interface LettersSource {
  readonly record: OperationRecord;
  readonly runs: readonly RunRecord[];
  readonly complete: boolean;
  readonly outcomes: readonly string[];
}

/** A result line, parsed, of an item that is wanted. */
export interface Letter {
  readonly index: number;
  readonly line: number;
  readonly outcome: string;
  readonly error?: { readonly code: string; readonly message: string };
}

/** Batches of wanted lines, as many as come at once. */
export async function* lettersOf(
  deps: LinesDeps,
  source: LettersSource,
): AsyncGenerator<readonly Letter[], void, void> {
  const wanted = new Set(source.outcomes);
  const breathe = createBreather();
  for await (const lines of mergedLines(deps, source)) {
    const letters: Letter[] = [];
    for (const line of splitLines(lines)) {
      const turn = breathe();
      if (turn !== null) await turn;
      if (wanted.has(outcomeInLine(line))) letters.push(letterOf(line));
    }
    if (letters.length > 0) yield letters;
  }
}

function letterOf(text: Buffer): Letter {
  const { line, outcome, error } = JSON.parse(text.toString('utf8')) as Letter;
  return { index: indexOfLine(text), line, outcome, ...(error === undefined ? {} : { error }) };
}
