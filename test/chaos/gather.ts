/** Reads what was really done: the vendors' ledgers, and the writes that a trigger saw on the table of contacts. */
import type { Database } from '../../src/model/database.ts';
import type { Recorder } from '../check/recorder.ts';
import { createVendor } from '../fixtures/stack/vendor.ts';
import { VENDORS } from './stack/stack.ts';

export interface ContactsOperation {
  readonly account: string;
  readonly id: string;
  readonly tag: string;
}

/** Returns the calls made, and how many of them repeated a key. */
export async function gatherCalls(recorder: Recorder, vendorUrl: string): Promise<{ calls: number; repeats: number }> {
  let calls = 0;
  let repeats = 0;
  for (const name of VENDORS) {
    const rows = await createVendor(vendorUrlOf(vendorUrl, name)).ledger();
    recorder.calls(name, rows);
    calls += rows.length;
    repeats += rows.length - new Set(rows.map(({ key }) => key)).size;
  }
  return { calls, repeats };
}

export function vendorUrlOf(vendorUrl: string, name: (typeof VENDORS)[number]): string {
  return name === 'products' ? vendorUrl : `${vendorUrl}/${name}`;
}

/** `database` is that of the service, watched since before the first contact. */
export async function gatherEffects(
  recorder: Recorder,
  database: Database,
  operations: readonly ContactsOperation[],
): Promise<void> {
  for (const { account, id, tag } of operations) {
    const { rows } = await database.query<{ row: number; times: number }>(EFFECTS, [tag]);
    const once = rows.filter(({ times }) => times === 1).map(({ row }) => row);
    const more = rows.filter(({ times }) => times > 1).map(({ row, times }) => [row, times] as const);
    recorder.effects({ account, operationId: id, once: stretchesOf(once), more });
  }
}

const EFFECTS = `SELECT split_part(email, '.', 1)::integer AS row, count(*)::integer AS times FROM contact_effects
  WHERE email LIKE '%.' || $1 || '@example.com' GROUP BY email ORDER BY 1`;

/** Rising whole numbers as `[first, last]` of each stretch without a gap. */
export function stretchesOf(indexes: readonly number[]): readonly (readonly [number, number])[] {
  const stretches: [number, number][] = [];
  for (const index of indexes) {
    const last = stretches.at(-1);
    if (last !== undefined && index === last[1] + 1) last[1] = index;
    else stretches.push([index, index]);
  }
  return stretches;
}
