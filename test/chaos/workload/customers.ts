/** Several accounts at once, each with a few operations in hand at every moment. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RecordedClient } from '../../check/recorded-client.ts';
import type { Random } from '../random.ts';
import { type LifeDeps, liveOneOperation } from './life.ts';

export interface CustomersDeps extends Omit<LifeDeps, 'clients' | 'random'> {
  /** By account: a client at each API process. */
  readonly accounts: ReadonlyMap<string, readonly RecordedClient[]>;
  readonly random: Random;
  /** Operations that one account has in hand. */
  readonly inHandMax: number;
}

const PAUSE_MS = { from: 100, to: 2_500 };

/** Resolves once `closing` is aborted and every life that began has come to its end. */
export async function serveCustomers(deps: CustomersDeps): Promise<void> {
  await Promise.all([...deps.accounts].map(([account, clients]) => serveOne(deps, account, clients)));
}

async function serveOne(deps: CustomersDeps, account: string, clients: readonly RecordedClient[]): Promise<void> {
  const random = deps.random.fork(account);
  const lives = new Set<Promise<void>>();
  for (let number = 1; !deps.closing.aborted; number += 1) {
    const life = liveOneOperation({ ...deps, clients, random: random.fork(`${number}`) }).finally(() =>
      lives.delete(life),
    );
    lives.add(life);
    while (lives.size >= deps.inHandMax && !deps.closing.aborted) await Promise.race([...lives, aborted(deps.closing)]);
    await sleep(random.between(PAUSE_MS.from, PAUSE_MS.to), undefined, { signal: deps.closing }).catch(() => undefined);
  }
  await Promise.all(lives);
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
