/** The recorded run, and how a test changes one thing in it. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { Download, Exchange, HistoryLine, Reading, VendorCall } from '../../check/history.ts';
import { parseHistory } from '../../check/history.ts';
import { packRows, type Row, rowsOf } from '../../check/rows.ts';

const SAMPLE = new URL('../../check/samples/short-run.ndjson.gz', import.meta.url);
export const { lines } = parseHistory(gunzipSync(readFileSync(SAMPLE)).toString('utf8'));

type Kind = HistoryLine['kind'];
type Line<K extends Kind> = Extract<HistoryLine, { kind: K }>;

/** The sample with the first line of a kind for which `wanted` holds put into other words (`[]`: left out). */
export function changed<K extends Kind>(
  kind: K,
  wanted: (line: Line<K>) => boolean,
  change: (line: Line<K>) => readonly HistoryLine[],
): readonly HistoryLine[] {
  const at = lines.findIndex((line) => line.kind === kind && wanted(line as Line<K>));
  if (at === -1) throw new Error(`the sample has no such ${kind}`);
  return lines.toSpliced(at, 1, ...change(lines[at] as Line<K>));
}

export const named =
  (name: string) =>
  ({ operationId }: Pick<Download | Reading, 'operationId'>): boolean =>
    operationId.endsWith(name);
export const finalOf = (name: string) => (each: Download) => each.complete && named(name)(each);
export const withRows = (change: (rows: readonly Row[]) => readonly Row[]) => (each: Download) => [
  { ...each, ...packRows(change(rowsOf(each).inOrder)) },
];
export const swapped = ([first, second, ...rest]: readonly Row[]): readonly Row[] =>
  first === undefined || second === undefined ? [] : [second, first, ...rest];
export const flipped = (rows: readonly Row[]): readonly Row[] =>
  rows.map((each, at) => (at === 3 ? { ...each, outcome: 'unknown' } : each));
export const executed = ({ applied, key }: VendorCall) => applied && key !== null;
export const live = (each: Reading) => each.live && each.state === 'running' && (each.counts.succeeded ?? 0) > 10;
export const answered = (action: Exchange['action']) => (each: Exchange) =>
  each.action === action && (each.status ?? 999) < 300;

export const ended = lines.find((line): line is Reading => line.kind === 'reading' && line.state === 'ended');
export const lastCall = lines.filter((line) => line.kind === 'call').at(-1);
export const pausedAt = lines.find((line): line is Reading => line.kind === 'reading' && line.state === 'paused');
export const resumed = lines.find((line): line is Exchange => line.kind === 'exchange' && line.action === 'resume');
export const callOfPaused = lines.find(
  (line): line is VendorCall =>
    line.kind === 'call' && line.traceId === pausedAt?.traceId && line.at < (pausedAt?.seenAtMs ?? 0),
);
export const kill = lines.find((line) => line.kind === 'fault' && line.what === 'worker');

export function cancelledTrace(): string | null {
  return lines.find((line): line is Reading => line.kind === 'reading' && named('.cancelled')(line))?.traceId ?? null;
}

/** The results of the second run, in other words. */
export function retriedWith(change: (rows: readonly Row[]) => readonly Row[]): readonly HistoryLine[] {
  const isSecond = (line: HistoryLine): line is Download =>
    line.kind === 'download' && finalOf('.retried')(line) && line.beganAtMs > retriedAt();
  return lines.flatMap((line): readonly HistoryLine[] => (isSecond(line) ? withRows(change)(line) : [line]));
}

function retriedAt(): number {
  return lines.find((line): line is Exchange => line.kind === 'exchange' && line.action === 'retry')?.endedAtMs ?? 0;
}

/** What is changed, the rule that must find it, the history then. */
export type Mutation = readonly [what: string, rule: string, lines: () => readonly HistoryLine[]];
