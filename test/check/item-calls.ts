/** Finds out of which item of which operation a vendor was called: by the idempotency key and the trace of each call. */
import { toAccountId } from '../../src/model/account.ts';
import type { OperationPart } from './arrange.ts';
import type { VendorCall } from './history.ts';

/** `<uid>:<index>`, `:r<run>` where a retry of a definite failure was meant, `:poll` where the vendor was only asked. */
const KEY = /^([0-9A-HJKMNP-TV-Z]{26}):(\d+)(?::r(\d+))?(:poll)?$/;

export interface ItemCall extends VendorCall {
  readonly uid: string;
  readonly index: number;
  /** The run that the key names. */
  readonly keyRun: number;
  /** It only asked what had become of the item. */
  readonly isPoll: boolean;
}

/** Of one operation, by index, each by arrival. */
export type ItemCalls = ReadonlyMap<number, readonly ItemCall[]>;

export function readKey(key: string | null): Pick<ItemCall, 'uid' | 'index' | 'keyRun' | 'isPoll'> | null {
  const [, uid, index, run, poll] = KEY.exec(key ?? '') ?? [];
  if (uid === undefined) return null;
  return { uid, index: Number(index), keyRun: run === undefined ? 1 : Number(run), isPoll: poll !== undefined };
}

export interface CallsByOperation {
  readonly byName: ReadonlyMap<string, ItemCalls>;
  /** Calls of no known operation, or with a key that no item has. */
  readonly strays: readonly VendorCall[];
}

/** `calls` by arrival. A uid belongs to the operation whose trace its calls carry. */
export function callsByOperation(
  calls: readonly VendorCall[],
  parts: ReadonlyMap<string, OperationPart>,
): CallsByOperation {
  const nameOfTrace = tracesOf(parts);
  const read = calls.map((call) => ({ call, key: readKey(call.key) }));
  const nameOfUid = new Map<string, string>();
  const known = new Set<string>();
  for (const { call, key } of read) {
    const name = nameOfTrace.get(call.traceId ?? '');
    // An operation has one uid for ever: calls under a second one are nobody's.
    if (key === null || name === undefined || known.has(name)) continue;
    known.add(name);
    nameOfUid.set(key.uid, name);
  }
  const byName = new Map<string, Map<number, ItemCall[]>>();
  const strays: VendorCall[] = [];
  for (const { call, key } of read) {
    // A poll is a GET, and the ledger keeps no key of what has no effect.
    if (key === null && call.key === null && call.method === 'GET') continue;
    const name = key === null ? undefined : nameOfUid.get(key.uid);
    if (key === null || name === undefined) {
      strays.push(call);
      continue;
    }
    const items = byName.get(name) ?? new Map<number, ItemCall[]>();
    byName.set(name, items);
    const own = items.get(key.index);
    if (own === undefined) items.set(key.index, [{ ...call, ...key }]);
    else own.push({ ...call, ...key });
  }
  return { byName, strays };
}

function tracesOf(parts: ReadonlyMap<string, OperationPart>): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const { name, account, readings } of parts.values()) {
    const own = readings.filter(({ owner }) => owner === null || owner === toAccountId(account));
    for (const { traceId } of own) if (traceId !== null) names.set(traceId, name);
  }
  // Who sent it knows best.
  for (const { name, submissions, requests } of parts.values()) {
    for (const { traceId } of submissions) if (traceId !== null) names.set(traceId, name);
    for (const { traceId, retried } of requests) if (traceId !== null && retried !== null) names.set(traceId, name);
  }
  return names;
}
