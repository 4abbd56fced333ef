/** One line of an operation's results: the only place that renders it, for slices and for items never begun. */
import type { ItemError, ItemOutcome } from './outcome.ts';

export interface ResultLine {
  readonly index: number;
  /** 1-based line of the item in the decoded input. */
  readonly line: number;
  /** What the target says of the item beside its outcome, e.g. `{type: 'update', id: 123}`. */
  readonly label: Readonly<Record<string, string | number>>;
  readonly outcome: ItemOutcome;
  readonly attempts: number;
  /** Beside `failed` and `unknown`. */
  readonly error?: ItemError;
  /** Beside `succeeded`, where the target has something to say; must be JSON. */
  readonly result?: unknown;
  /** Beside `skipped`. */
  readonly reason?: string;
  /** Beside the reason `duplicate`: index of the item that was taken instead. */
  readonly duplicateOf?: number;
}

/** A label cannot take these names: a reader must find one `outcome`, the true one. */
const OWN_MEMBERS: ReadonlySet<string> = new Set([
  'index',
  'line',
  'outcome',
  'attempts',
  'error',
  'result',
  'reason',
  'duplicateOf',
]);

/** JSON without a line end. Begins `{"index":<digits>`, which the segment log relies on. */
export function renderResultLine(row: ResultLine): string {
  let text = `{"index":${row.index},"line":${row.line}`;
  for (const name in row.label) {
    const value = row.label[name];
    if (value === undefined || OWN_MEMBERS.has(name)) continue;
    text += `,${JSON.stringify(name)}:${JSON.stringify(value)}`;
  }
  text += `,"outcome":"${row.outcome}","attempts":${row.attempts}`;
  if (row.error !== undefined) return `${text},"error":${JSON.stringify(row.error)}}`;
  if (row.reason !== undefined) {
    const of = row.duplicateOf === undefined ? '' : `,"duplicateOf":${row.duplicateOf}`;
    return `${text},"reason":${JSON.stringify(row.reason)}${of}}`;
  }
  const result = row.result === undefined ? undefined : JSON.stringify(row.result);
  return result === undefined ? `${text}}` : `${text},"result":${result}}`;
}

const OUTCOME_AT = ',"outcome":"';

/**
 * The outcome in a rendered line, without parsing it. The first such member is the true one: labels come before it and
 * cannot be named so, and inside a string its quotes would be escaped.
 */
export function outcomeInLine(line: Buffer): string {
  const start = line.indexOf(OUTCOME_AT, 0, 'latin1') + OUTCOME_AT.length;
  return line.toString('latin1', start, line.indexOf(0x22, start));
}
