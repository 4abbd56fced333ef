/** Duplicates over many chunks on the whole service: exact by an independent count, also where a worker is killed. */
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from '../../../scripts/generator/blocks.ts';
import type { OperationView } from '../../../src/operations/operations.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { type Stack, startStack } from '../../fixtures/stack/stack.ts';

const ROWS = 40_000;
const ENDS_WITHIN_MS = 170_000;

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ HEARTBEAT_TIMEOUT_MS: '4000' });
});
afterAll(() => stack?.stop());

interface Line {
  readonly index: number;
  readonly outcome: string;
  readonly attempts: number;
  readonly email?: string;
  readonly reason?: string;
  readonly duplicateOf?: number;
}

async function linesOf(id: string): Promise<Line[]> {
  const { body } = await fetch(`${stack.url}/v1/operations/${id}/results`);
  if (body === null) throw new Error('the results have no body');
  const lines: Line[] = [];
  for await (const line of createInterface({ input: Readable.fromWeb(body) })) lines.push(JSON.parse(line));
  return lines;
}

/** Submits contacts of which 30 % are dirty: 9 % duplicates, spread over all chunks. */
async function submit(seed: number): Promise<{ operation: OperationView; expected: Record<string, number> }> {
  const { blocks, made } = generate({ subject: 'contacts', rows: ROWS, dirtyShare: 0.3, seed, format: 'csv' });
  const body = Buffer.concat([...blocks]);
  return {
    operation: await stack.client.accept({ body, target: 'contacts', type: 'text/csv' }),
    expected: made().expected,
  };
}

async function judge(id: string, expected: Record<string, number>): Promise<void> {
  const { counts } = await stack.client.ended(id, ENDS_WITHIN_MS);
  expect(counts).toMatchObject({ ...expected, total: ROWS, unknown: 0, cancelled: 0, pending: 0, running: 0 });
  const first = new Map<string, number>();
  const wrong: Line[] = [];
  for (const [at, line] of (await linesOf(id)).entries()) {
    expect(line.index).toBe(at);
    const { email = '', outcome, reason, duplicateOf, attempts } = line;
    if (outcome === 'succeeded' && first.has(email)) wrong.push(line);
    if (outcome === 'succeeded') first.set(email, at);
    if (outcome !== 'skipped') continue;
    if (reason !== 'duplicate' || attempts !== 0 || duplicateOf !== first.get(email)) wrong.push(line);
  }
  expect(wrong).toEqual([]);
  expect(first.size).toBe(expected['succeeded']);
}

describe('duplicates', () => {
  it('are skipped, each with the first one named, over all chunks', async () => {
    const { operation, expected } = await submit(1);
    await judge(operation.id, expected);
  });

  it('are the same where the worker is killed while they are looked for, and again while rows are applied', async () => {
    const { operation, expected } = await submit(2);
    process.kill(stack.pidOf('worker'), 'SIGKILL');
    await eventually('a first row', async () => (await stack.client.get(operation.id)).counts.succeeded > 0);
    process.kill(stack.pidOf('worker'), 'SIGKILL');
    await judge(operation.id, expected);
  });

  it('are the same after a pause in the middle', async () => {
    const { operation, expected } = await submit(3);
    await stack.client.send('POST', `/v1/operations/${operation.id}/pause`);
    await eventually('paused', async () => (await stack.client.get(operation.id)).state === 'paused');
    await stack.client.send('POST', `/v1/operations/${operation.id}/resume`);
    await judge(operation.id, expected);
  });
});
