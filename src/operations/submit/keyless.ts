/** Finds the operation that an identical body without a key belongs to, exactly, over all API processes. */
import type { BlobStore } from '../../storage/blob-store.ts';
import { keylessKey } from '../../storage/keys.ts';
import type { Records } from '../../storage/records.ts';
import { unavailable } from '../deadline.ts';

/** Each lost race means that somebody else has just claimed: the next reading finds that claim. */
const ROUNDS_MAX = 8;

export interface KeylessRequest {
  readonly account: string;
  readonly fingerprint: string;
  readonly windowMs: number;
  /** The id that a new claim names. */
  readonly freshId: string;
}

/**
 * The id of the operation claimed within the window, else `freshId`, claimed by this call. A claim whose record was
 * never made is completed by whoever comes next: the record's exclusive create decides.
 */
export async function claimKeyless(store: BlobStore, records: Records, request: KeylessRequest): Promise<string> {
  const { account, fingerprint, windowMs, freshId } = request;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const newest = await newestGeneration(store, account, fingerprint);
    const standing = newest === null ? null : await records.readKeyless(account, fingerprint, newest);
    const now = Date.now();
    if (standing !== null && now - standing.at < windowMs) return standing.operationId;
    const claim = { version: 1, operationId: freshId, at: now } as const;
    if (await records.createKeyless(account, fingerprint, (newest ?? -1) + 1, claim)) return freshId;
  }
  throw unavailable('too many identical requests at once; send it again', null);
}

/** By listing, not by counting up: a request that comes every minute for a month has thousands of generations. */
async function newestGeneration(store: BlobStore, account: string, fingerprint: string): Promise<number | null> {
  const first = keylessKey(account, fingerprint, 0);
  const prefix = first.slice(0, first.lastIndexOf('/') + 1);
  let newest: number | null = null;
  for await (const { key } of store.list(prefix)) {
    const generation = Number(key.slice(prefix.length));
    if (Number.isInteger(generation)) newest = Math.max(newest ?? 0, generation);
  }
  return newest;
}
