/** A client of the native surface that costs little beside what it measures: streams in, polls, streams out. */
import { Agent, type IncomingMessage, request } from 'node:http';
import type { OperationView } from '../src/operations/operations.ts';
import type { ItemSource } from './items.ts';
import { createResultScan } from './result-scan.ts';

export interface Submission {
  readonly target: string;
  readonly source: ItemSource;
  readonly items: number;
  readonly callsPerSecond?: number;
  /** Absent = the default one. */
  readonly account?: string;
}

export interface Submitted {
  readonly operation: OperationView;
  /** Epoch ms of the first byte, and ms from there to the end of the answer. */
  readonly sentAt: number;
  readonly submitMs: number;
}

export interface Client {
  /** Throws where the answer is not 202. */
  submit(submission: Submission): Promise<Submitted>;
  get(id: string, account?: string): Promise<OperationView>;
  /** Asks every `everyMs` until it has ended; throws after `maxMs`. */
  untilEnded(id: string, everyMs: number, maxMs: number, account?: string): Promise<OperationView>;
  /** Reads all results and checks that they hold every index once, in order. */
  readResults(id: string, items: number): Promise<{ readonly bytes: number; readonly readMs: number }>;
  close(): void;
}

const CALL_MAX_MS = 30_000;

export function createClient(baseUrl: string, signal: AbortSignal): Client {
  const agent = new Agent({ keepAlive: true });

  async function get(id: string, account?: string): Promise<OperationView> {
    const answer = await send('GET', `/v1/operations/${id}`, AbortSignal.timeout(CALL_MAX_MS), account);
    return asOperation(await jsonOf(answer, 200));
  }

  function send(method: string, path: string, deadline?: AbortSignal, account?: string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const ended = deadline === undefined ? signal : AbortSignal.any([signal, deadline]);
      const outgoing = request(new URL(path, baseUrl), { method, agent, signal: ended, headers: headersOf(account) });
      outgoing.once('error', reject);
      outgoing.once('response', resolve);
      outgoing.end();
    });
  }

  return {
    get,
    submit: (submission) => submit(baseUrl, agent, submission, signal),
    async untilEnded(id, everyMs, maxMs, account) {
      const deadline = performance.now() + maxMs;
      for (;;) {
        signal.throwIfAborted();
        const operation = await get(id, account);
        if (operation.state === 'ended') return operation;
        if (performance.now() > deadline) {
          throw new Error(`operation ${id} has not ended in ${maxMs} ms: ${JSON.stringify(operation)}`);
        }
        await new Promise((wake) => setTimeout(wake, everyMs));
      }
    },
    async readResults(id, items) {
      const startedAt = performance.now();
      const answer = await send('GET', `/v1/operations/${id}/results`);
      if (answer.statusCode !== 200 || answer.headers['results-complete'] !== '?1') {
        throw new Error(`results: status ${answer.statusCode}, complete ${answer.headers['results-complete']}`);
      }
      const scan = createResultScan(items);
      for await (const bytes of answer) scan.push(asBuffer(bytes));
      return { bytes: scan.end().bytes, readMs: performance.now() - startedAt };
    },
    close: () => agent.destroy(),
  };
}

async function submit(
  baseUrl: string,
  agent: Agent,
  { target, source, items, callsPerSecond, account }: Submission,
  signal: AbortSignal,
): Promise<Submitted> {
  const url = new URL(`/v1/operations?target=${target}`, baseUrl);
  if (callsPerSecond !== undefined) url.searchParams.set('callsPerSecond', String(callsPerSecond));
  const headers = { 'content-type': 'application/x-ndjson', ...headersOf(account) };
  const sentAt = Date.now();
  const startedAt = performance.now();
  const outgoing = request(url, { method: 'POST', agent, headers, signal });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('error', reject);
    outgoing.once('response', resolve);
  });
  // An answer may come before all is sent (a refusal); then there is nothing more to send.
  let over = false;
  answered.then(
    () => (over = true),
    () => (over = true),
  );
  for (const block of source.blocks(items)) {
    if (over) break;
    if (!outgoing.write(block)) await Promise.race([new Promise((go) => outgoing.once('drain', go)), answered]);
  }
  outgoing.end();
  const operation = asOperation(await jsonOf(await answered, 202));
  return { operation, sentAt, submitMs: performance.now() - startedAt };
}

function headersOf(account: string | undefined): Record<string, string> {
  return account === undefined ? {} : { 'tranche-account': account };
}

async function jsonOf(answer: IncomingMessage, wanted: number): Promise<unknown> {
  let text = '';
  answer.setEncoding('utf8');
  for await (const part of answer) text += part;
  if (answer.statusCode !== wanted) throw new Error(`status ${answer.statusCode} instead of ${wanted}: ${text}`);
  return JSON.parse(text);
}

/** Holds for every 2xx of `/v1/operations` and `/v1/operations/{id}` (SURFACES: the operation). */
function asOperation(value: unknown): OperationView {
  return value as OperationView;
}

/** Holds because no encoding was set on the stream. */
function asBuffer(bytes: unknown): Buffer {
  return bytes as Buffer;
}
