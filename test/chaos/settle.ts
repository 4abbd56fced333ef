/** Faults are over: waits until everything that was accepted has ended, then reads what became of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RecordedClient } from '../check/recorded-client.ts';

interface Named {
  readonly account: string;
  readonly id: string;
}

const ROUND_EVERY_MS = 500;
const AT_ONCE = 8;

/** Returns what had not ended by then. What is paused is resumed: nobody else will. */
export async function untilAllEnded(
  operations: readonly Named[],
  clientOf: (account: string) => RecordedClient,
  withinMs: number,
): Promise<readonly Named[]> {
  const deadline = performance.now() + withinMs;
  let open = operations;
  while (open.length > 0 && performance.now() < deadline) {
    const next: Named[] = [];
    await inTurn(open, async (operation) => {
      const client = clientOf(operation.account);
      const { status, sights } = await client.status(operation.id);
      const state = sights[0]?.state ?? null;
      if (state === 'ended' || status === 404 || status === 410) return;
      next.push(operation);
      if (state === 'paused' || state === 'pausing') await client.control('resume', operation.id);
    });
    open = next;
    if (open.length > 0) await sleep(ROUND_EVERY_MS);
  }
  return open;
}

/** The final results of each, and every account's list. */
export async function readEverything(
  operations: readonly Named[],
  clientOf: (account: string) => RecordedClient,
): Promise<void> {
  await inTurn(operations, async ({ account, id }) => {
    const client = clientOf(account);
    const { status } = await client.status(id);
    if (status === 200) await client.download(id);
  });
  for (const account of new Set(operations.map((operation) => operation.account))) {
    await clientOf(account).list('?limit=1000');
  }
}

/** A few at a time. */
export async function inTurn<Value>(values: readonly Value[], act: (value: Value) => Promise<void>): Promise<void> {
  const left = [...values];
  const lane = async (): Promise<void> => {
    for (let value = left.shift(); value !== undefined; value = left.shift()) await act(value);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}
