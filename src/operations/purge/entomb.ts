/** The one step that makes an operation gone: decided against retries and other purges by the seal, then said by the tombstone. */
import type { AuditEntry } from '../../model/audit.ts';
import type { OperationRecord, Progress, RunRecord } from '../../model/operation.ts';
import { sumItems } from '../../model/operation.ts';
import type { GoneCause, Tombstone } from '../../model/tombstone.ts';
import type { Records } from '../../storage/records.ts';

export interface Burial {
  readonly cause: GoneCause;
  readonly by: string | null;
  readonly nowMs: number;
  /** Whether an operation that ended so may go. */
  readonly mayGo: (summary: Progress) => boolean;
  /** Written before the seal, so that somebody finishes what is begun. */
  readonly prepare: (run: number) => Promise<unknown>;
}

export type Buried =
  /** `tombstone`: what stands now; another's where that one came first. */
  | { readonly kind: 'gone'; readonly tombstone: Tombstone }
  /** Nothing stands under the id, or another operation does. */
  | { readonly kind: 'absent' }
  /** It goes on, or `mayGo` said no. Nothing was done. */
  | { readonly kind: 'kept' };

/** `record`: as it was read. Rejects where the store does not answer: what was begun then is finished by the sweep. */
export async function entomb(records: Records, record: OperationRecord, burial: Burial): Promise<Buried> {
  const runs = await readAllRuns(records, record);
  const run = runs.length + 1;
  const summary = await records.readSummary(record.account, record.id, run);
  if (summary === null || !burial.mayGo(summary)) return await standingOf(records, record);
  await burial.prepare(run);
  const ours = tombstoneOf(record, runs, summary, burial);
  const sealed = await records.createSeal(ours);
  const seal = sealed ? ours : await records.readSeal(record.account, record.id, run + 1);
  const standing = await standingOf(records, record);
  if (standing.kind !== 'kept') {
    // Another purge was over, its seal taken away, before ours was there.
    if (sealed) await records.deleteRun(record.account, record.id, run + 1);
    return standing;
  }
  if (seal === null) return standing;
  await records.putTombstone(seal);
  return { kind: 'gone', tombstone: seal };
}

async function standingOf(records: Records, { account, id, uid }: OperationRecord): Promise<Buried> {
  const standing = await records.readStanding(account, id);
  if (standing?.tombstone?.uid === uid) return { kind: 'gone', tombstone: standing.tombstone };
  return { kind: standing?.record?.uid === uid ? 'kept' : 'absent' };
}

async function readAllRuns(records: Records, { account, id }: OperationRecord): Promise<readonly RunRecord[]> {
  const runs: RunRecord[] = [];
  for (let run = 2; ; run++) {
    const next = await records.readRun(account, id, run);
    if (next === null) return runs;
    runs.push(next);
  }
}

function tombstoneOf(
  record: OperationRecord,
  runs: readonly RunRecord[],
  summary: Progress,
  { cause, by, nowMs }: Burial,
): Tombstone {
  const { id, account, uid, key, fingerprint, surface, target, total, createdAt } = record;
  const { outcome, tally, run } = summary;
  const purgedAt = new Date(nowMs).toISOString();
  const history = [submittedEntry(record), ...runs.map(retriedEntry)];
  const whose = { id, account, uid, key, fingerprint, surface, target };
  const end = { run, outcome, total, tally, createdAt, endedAt: summary.endedAt ?? summary.asOf };
  return { version: 1, gone: cause, ...whose, ...end, purgedAt, by, history };
}

/** The record is the acceptance, so it is the entry of the audit trail, too. */
export function submittedEntry(record: OperationRecord): AuditEntry {
  const { surface, target, total: items, createdAt: at, submittedBy: by, traceId } = record;
  return { at, action: 'submitted', by, traceId, detail: { surface, target, items } };
}

/** As is that of a run. */
export function retriedEntry({ run, createdAt: at, requestedBy: by, traceId, chunkItems }: RunRecord): AuditEntry {
  return { at, action: 'retried', by, traceId, detail: { run, items: sumItems(chunkItems) } };
}
