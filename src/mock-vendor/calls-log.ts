/** Copies the ledger to a file while it grows, so that its rows outlive the vendor's process. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Ledger } from './ledger.ts';

const FLUSH_EVERY_MS = 100;

export function startCallsLog(path: string, ledger: Ledger): { close(): Promise<void> } {
  const file = createWriteStream(path, { flags: 'a' });
  let copied = ledger.lastSeq();
  let flushing: Promise<void> = Promise.resolve();

  async function flush(): Promise<void> {
    for (const row of ledger.rows(copied)) {
      copied = row.seq;
      if (!file.write(`${JSON.stringify(row)}\n`)) await once(file, 'drain');
    }
  }

  const timer = setInterval(() => {
    flushing = flushing.then(flush);
  }, FLUSH_EVERY_MS);
  timer.unref();
  return {
    async close() {
      clearInterval(timer);
      await flushing.then(flush);
      file.end();
      await once(file, 'close');
    },
  };
}
