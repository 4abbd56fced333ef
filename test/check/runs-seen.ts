/** Tells the runs of an operation apart: which downloads show which of them, and what each retry had chosen. */
import type { ItemOutcome } from '../../src/model/outcome.ts';
import type { OperationPart } from './arrange.ts';
import type { Download, Exchange, Retried } from './history.ts';
import { type Rows, rowsOf } from './rows.ts';

export interface RunSeen {
  readonly run: number;
  /** Complete downloads; the first is what the others are measured by. */
  readonly finals: readonly PlacedDownload[];
  /** Downloads while it ran. */
  readonly partials: readonly PlacedDownload[];
  /** The retry that began it; null for the first run, or where nobody can tell which of several it was. */
  readonly retry: Exchange | null;
  /** When it was first asked for: it cannot have begun before; null for the first run. */
  readonly askedAtMs: number | null;
  /** The items that it took up; null: all of them (run 1), or not to be told. */
  readonly chosen: ReadonlySet<number> | null;
}

export interface PlacedDownload {
  readonly download: Download;
  readonly rows: Rows;
}

export interface RunsSeen {
  readonly runs: readonly RunSeen[];
  readonly unplaced: readonly Download[];
}

export const RETRYABLE: readonly ItemOutcome[] = ['failed', 'unknown', 'cancelled'];

export function runsOf(part: OperationPart): RunsSeen {
  const retries = part.requests.filter(({ retried, status }) => retried !== null && mayHaveBegun(status));
  const placed = new Map<number, PlacedDownload[]>();
  const unplaced: Download[] = [];
  for (const download of [...part.downloads].sort((a, b) => a.endedAtMs - b.endedAtMs)) {
    const run = runOf(download, part, retries);
    if (run === null) unplaced.push(download);
    else placed.set(run, [...(placed.get(run) ?? []), { download, rows: rowsOf(download) }]);
  }
  const last = Math.max(1, ...placed.keys(), ...part.readings.map(({ run }) => run ?? 1));
  const runs: RunSeen[] = [];
  for (let run = 1; run <= last; run++) {
    const downloads = placed.get(run) ?? [];
    const finals = downloads.filter(({ download }) => download.complete);
    const partials = downloads.filter(({ download }) => !download.complete);
    const retry = run === 1 ? null : retryOf(retries, run - 1);
    const before = runs.at(-1)?.finals[0]?.rows ?? null;
    const chosen = retry?.retried == null || before === null ? null : chosenBy(retry.retried, before);
    runs.push({ run, finals, partials, retry, chosen, askedAtMs: run === 1 ? null : askedAt(retries, run - 1) });
  }
  return { runs, unplaced };
}

/** A 5xx and silence may hide a retry that stands. */
export function mayHaveBegun(status: number | null): boolean {
  return status === null || status < 300 || status >= 500;
}

/** null: a retry was under way, so it may be of either. */
function runOf(download: Download, { readings }: OperationPart, retries: readonly Exchange[]): number | null {
  const before = readings.filter(({ seenAtMs }) => seenAtMs <= download.beganAtMs);
  const after = readings.filter(({ beganAtMs, run }) => beganAtMs >= download.endedAtMs && run !== null);
  const least = Math.max(1, ...before.map(({ run }) => run ?? 1));
  const asked = 1 + retries.filter(({ sentAtMs }) => sentAtMs <= download.endedAtMs).length;
  const most = Math.min(asked, ...after.map(({ run }) => run ?? asked));
  return least === most ? least : null;
}

function retryOf(retries: readonly Exchange[], fromRun: number): Exchange | null {
  const candidates = retries.filter(({ retried }) => retried?.fromRun === fromRun);
  const answered = candidates.find(({ status }) => status !== null && status < 300);
  if (answered !== undefined) return answered;
  const wishes = new Set(candidates.map(({ retried }) => JSON.stringify(retried)));
  return wishes.size === 1 ? (candidates[0] ?? null) : null;
}

/** By any of them: one that nobody answered may be the one that counted. */
function askedAt(retries: readonly Exchange[], fromRun: number): number {
  const candidates = retries.filter(({ retried }) => (retried?.fromRun ?? fromRun) === fromRun);
  return Math.min(...candidates.map(({ sentAtMs }) => sentAtMs));
}

/** As SURFACES §1 has it: corrections alone choose what they correct. */
export function chosenBy({ outcomes, codes, indexes, corrected }: Retried, before: Rows): ReadonlySet<number> {
  const chosen = new Set(corrected ?? []);
  if (corrected !== null && outcomes.length === 0 && codes === null && indexes === null) return chosen;
  const wanted = new Set(outcomes.length === 0 ? RETRYABLE : outcomes);
  const named = indexes === null ? null : new Set(indexes);
  for (const { index, outcome, code } of before) {
    const fits = wanted.has(outcome) && (codes === null || (code !== null && codes.includes(code)));
    if (fits && (named === null || named.has(index))) chosen.add(index);
  }
  return chosen;
}
