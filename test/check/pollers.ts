/** Readers beside a workload: statuses at random moments, lists, streams, downloads while it runs. */
import type { RecordedClient } from './recorded-client.ts';

export interface PollersOptions {
  /** Each reads its own account's operations, and now and then asks for another's. */
  readonly clients: readonly RecordedClient[];
  readonly operations: () => readonly { readonly account: string; readonly id: string }[];
  /** 0 ≤ random < 1, of the campaign's seed. */
  readonly random: () => number;
  /** Between two reads of one client. */
  readonly pauseMs: readonly [least: number, most: number];
}

export interface Pollers {
  stop(): Promise<void>;
}

/** Shares of the reads that are no status. */
const LIST = 0.1;
const DOWNLOAD = 0.2;
const EVENTS = 0.25;
const FOREIGN = 0.3;
const STREAMS_MAX = 4;

export function startPollers({ clients, operations, random, pauseMs }: PollersOptions): Pollers {
  const stopping = new AbortController();
  const streams = new Set<Promise<unknown>>();

  function follow(client: RecordedClient, id: string): void {
    if (streams.size >= STREAMS_MAX) return;
    const stream = client.events(id, { signal: stopping.signal }).finally(() => streams.delete(stream));
    streams.add(stream);
  }

  async function read(client: RecordedClient): Promise<void> {
    const [own, others] = [true, false].map((isOwn) =>
      operations().filter(({ account }) => (account === client.account) === isOwn),
    );
    const drawn = random();
    if (drawn < LIST) {
      await client.list('?limit=50');
      return;
    }
    // The latest are those that move.
    const recent = (drawn < FOREIGN && drawn >= EVENTS ? others : own)?.slice(-20) ?? [];
    const id = recent[Math.floor(random() * recent.length)]?.id;
    if (id === undefined) return;
    if (drawn < DOWNLOAD) await client.download(id);
    else if (drawn < EVENTS) follow(client, id);
    else await client.status(id);
  }

  async function loop(client: RecordedClient): Promise<void> {
    while (!stopping.signal.aborted) {
      await read(client);
      const [least, most] = pauseMs;
      await new Promise((wake) => setTimeout(wake, least + random() * (most - least)));
    }
  }
  const loops = clients.map(loop);
  return {
    async stop() {
      stopping.abort();
      await Promise.all([...loops, ...streams]);
    },
  };
}
