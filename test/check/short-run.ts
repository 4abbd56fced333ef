/** Half a minute's work by two accounts that touches every promise, recorded: what samples and planted faults are judged by. */
import { eventually } from '../fixtures/stack/eventually.ts';
import type { Vendor } from '../fixtures/stack/vendor.ts';
import type { FaultKind, History } from './history.ts';
import { startPollers } from './pollers.ts';
import type { RecordedClient } from './recorded-client.ts';
import { createRecorder } from './recorder.ts';
import { markOf } from './sightings.ts';

export interface ShortRunOptions {
  readonly url: string;
  readonly vendor: Vendor;
  /** Keys begin with it: two runs on one stack do not meet. */
  readonly tag: string;
  /** What the stack was told that the vendor `products` allows. */
  readonly callsPerSecond: number;
  /** Done once, while items are applied; the history says that it was. */
  readonly fault?: { readonly what: FaultKind; readonly whom: string; readonly act: () => Promise<void> };
}

export const SHORT_RUN_ACCOUNTS = ['acme', 'globex'] as const;

const ENDS_WITHIN_MS = 40_000;
const REJECTED = 'reject me';

export async function recordShortRun(options: ShortRunOptions): Promise<History> {
  const { url, vendor, tag, callsPerSecond, fault } = options;
  const recorder = createRecorder();
  const startedAtMs = recorder.nowMs();
  const [acme, globex, ...pollingClients] = ['user', 'poller'].flatMap((name) =>
    SHORT_RUN_ACCOUNTS.map((account) =>
      recorder.client({ name: `${name}-${account}`, account, server: 'api', baseUrl: url }),
    ),
  );
  if (acme === undefined || globex === undefined) throw new Error('two accounts');
  const pollers = startPollers({
    clients: pollingClients,
    operations: recorder.operations,
    random: createRandom(7),
    pauseMs: [10, 60],
  });
  try {
    await vendor.configure({ rejectNames: [REJECTED], latencyMs: 20, jitterMs: 20 });
    await Promise.all([
      retried(acme, vendor, tag),
      paused(globex, tag, fault && (() => during(recorder.fault(fault.what, fault.whom), fault.act))),
      cancelled(acme, tag),
      others(globex, tag),
    ]);
    await readAll(acme, globex, recorder.operations());
  } finally {
    await pollers.stop();
  }
  recorder.vendor({ vendor: 'products', honoursKeys: true, isComplete: true, latencyMaxMs: 100 });
  recorder.calls('products', await vendor.ledger());
  const windows = [{ calls: callsPerSecond, seconds: 1 }];
  recorder.budget({ vendor: 'products', fromMs: startedAtMs, toMs: recorder.nowMs(), windows });
  const history = recorder.history({ seed: null, endsWithinMs: ENDS_WITHIN_MS, store: 'fs' });
  await recorder.close();
  return history;
}

async function during(end: () => void, act: () => Promise<void>): Promise<void> {
  await act();
  end();
}

/** Some items are refused; sent again under its key meanwhile, in vain with another body; then those are retried. */
async function retried(client: RecordedClient, vendor: Vendor, tag: string): Promise<void> {
  const key = `${markOf(client.account)}${tag}.retried`;
  const submission = { target: 'products', key, items: 60, body: products(client.account, 60, 7) };
  const metadata = { query: { metadata: JSON.stringify({ note: markOf(client.account) }) } };
  const [first] = await Promise.all([
    client.submit({ ...submission, ...metadata }),
    client.submit({ ...submission, ...metadata }),
  ]);
  await client.submit({ ...submission, ...metadata, items: 3, body: products(client.account, 3, 7) });
  const id = idOf(first.operationId);
  await ended(client, id);
  await client.download(id);
  await vendor.configure({ rejectNames: [] });
  await client.retry(id, { fromRun: 1, outcomes: ['failed'] });
  await client.retry(id, { fromRun: 1, outcomes: ['failed'] });
  await ended(client, id, 2);
  await client.download(id);
}

/** Paused in the middle, left alone for a while, gone on with. */
async function paused(client: RecordedClient, tag: string, fault?: () => Promise<void>): Promise<void> {
  const key = `${markOf(client.account)}${tag}.paused`;
  const { operationId } = await client.submit({
    ...{ target: 'products', key, items: 150, body: products(client.account, 150, 0) },
  });
  const id = idOf(operationId);
  await decided(client, id, 20);
  await client.control('pause', id);
  await state(client, id, ['paused', 'ended']);
  await new Promise((wake) => setTimeout(wake, 800));
  await client.control('resume', id);
  await decided(client, id, 60);
  await fault?.();
  await ended(client, id);
}

/** Cancelled while seconds of it are to come: longer than the news takes. */
async function cancelled(client: RecordedClient, tag: string): Promise<void> {
  const key = `${markOf(client.account)}${tag}.cancelled`;
  const { operationId } = await client.submit({
    ...{ target: 'products', key, items: 900, body: products(client.account, 900, 0) },
  });
  const id = idOf(operationId);
  await decided(client, id, 20);
  await client.control('cancel', id);
  await ended(client, id);
}

/** What needs no vendor, and what came in by another door. */
async function others(client: RecordedClient, tag: string): Promise<void> {
  const note = markOf(client.account);
  const lines = Array.from({ length: 300 }, (_, n) => `{"n":${n},"note":"${note}"}\n`).join('');
  await client.submit({ target: 'noop', key: `${note}${tag}.noop`, items: 300, body: lines });
  const operations = [{ type: 'update', id: 1, product: { note } }];
  const { operationId } = await client.submit({
    ...{ surface: 'product-bulk', target: 'products', key: `${note}${tag}.bulk`, items: 1 },
    body: JSON.stringify({ operations }),
  });
  const id = idOf(operationId);
  await client.ask('GET', `/product/bulk/status/${encodeURIComponent(id)}`, { action: 'look', id });
  await ended(client, id);
}

/** Each its own to the end, and the other's in vain. */
async function readAll(
  acme: RecordedClient,
  globex: RecordedClient,
  operations: readonly { readonly account: string; readonly id: string }[],
): Promise<void> {
  for (const { account, id } of operations) {
    const [own, other] = account === acme.account ? [acme, globex] : [globex, acme];
    await ended(own, id);
    await own.download(id);
    await other.status(id);
    await other.download(id);
  }
  for (const client of [acme, globex]) await client.list();
}

/** Updates; every n-th is one that the vendor refuses. */
function products(account: string, items: number, rejectedEvery: number): string {
  const line = (_: unknown, index: number) => {
    const isRejected = rejectedEvery > 0 && index % rejectedEvery === rejectedEvery - 1;
    const product = { name: isRejected ? REJECTED : `${markOf(account)}${index}`, price: index };
    return `${JSON.stringify({ type: 'update', id: index + 1, product })}\n`;
  };
  return Array.from({ length: items }, line).join('');
}

function idOf(operationId: string | null): string {
  if (operationId === null) throw new Error('the submission named no operation');
  return operationId;
}

async function state(client: RecordedClient, id: string, states: readonly string[]): Promise<void> {
  const look = async () => {
    const { sights } = await client.status(id);
    return states.includes(sights[0]?.state ?? '');
  };
  await eventually(`${states.join(' or ')} of ${id}`, look, { withinMs: ENDS_WITHIN_MS, everyMs: 50 });
}

/** `run`: the one that is to have ended. */
async function ended(client: RecordedClient, id: string, run = 1): Promise<void> {
  const look = async () => {
    const { sights } = await client.status(id);
    return sights.some((sight) => sight.state === 'ended' && (sight.run ?? 0) >= run);
  };
  await eventually(`the end of run ${run} of ${id}`, look, { withinMs: ENDS_WITHIN_MS, everyMs: 100 });
}

async function decided(client: RecordedClient, id: string, items: number): Promise<void> {
  const look = async () => {
    const { sights } = await client.status(id);
    const counts = sights[0]?.counts;
    return counts !== undefined && (counts.succeeded ?? 0) + (counts.failed ?? 0) >= items;
  };
  await eventually(`${items} outcomes of ${id}`, look, { withinMs: ENDS_WITHIN_MS, everyMs: 50 });
}

/** mulberry32. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
