/** At start-up: shows that a store keeps what it is given and refuses a second exclusive create, on which every promise rests. */
import { randomUUID } from 'node:crypto';
import type { BlobStore } from './blob-store.ts';

const RACING_WRITERS = 8;

/** `remedy` tells the operator what to look at. Leaves nothing behind. */
export async function checkExclusiveCreate(store: BlobStore, remedy: string): Promise<void> {
  const key = `self-check/${randomUUID()}`;
  try {
    await raceForKey(store, key);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`the blob store cannot be used: ${reason}. ${remedy}.`, { cause: error });
  } finally {
    // A failure to clean up says no more than the failure above, and must not hide it.
    await store.delete(key).catch(() => {});
  }
}

async function raceForKey(store: BlobStore, key: string): Promise<void> {
  const bodies = Array.from({ length: RACING_WRITERS }, (_, writer) => Buffer.from(`writer ${writer}`));
  const races = await Promise.allSettled(bodies.map((body) => store.create(key, body)));
  const broken = races.find((race) => race.status === 'rejected');
  if (broken !== undefined) throw broken.reason;
  const won = bodies.filter((_, writer) => races[writer]?.status === 'fulfilled' && races[writer].value);
  if (won.length !== 1 || (await store.create(key, Buffer.from('late')))) {
    throw new Error('it does not refuse a second exclusive create, so operations could be lost or run twice');
  }
  const [winner] = won;
  const kept = await store.get(key);
  if (winner === undefined || kept === null || !kept.equals(winner)) {
    throw new Error('it does not give back what was written');
  }
}
