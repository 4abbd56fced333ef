/** Contacts whose rows were refused: downloaded, corrected, sent back; duplicates are told over the runs. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { OperationView } from '../../../src/operations/operations.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { resultsThatMatch } from '../../fixtures/stack/faults.ts';
import { type Stack, startStack } from '../../fixtures/stack/stack.ts';

let stack: Stack;

beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack?.stop());

async function sendBack(id: string, fromRun: number, csv: string): Promise<OperationView> {
  const url = `${stack.url}/v1/operations/${id}/retry?fromRun=${fromRun}`;
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'text/csv' }, body: csv });
  expect(answer.status).toBe(202);
  const look = async () => {
    const now = await stack.client.get(id);
    return now.run === fromRun + 1 && now.state === 'ended' && now;
  };
  return await eventually('the end of the retry', look, { withinMs: 60_000, everyMs: 100 });
}

const deadLetters = async (id: string) =>
  await (await fetch(`${stack.url}/v1/operations/${id}/dead-letters?format=csv`)).text();

const itemOf = async (id: string, index: number) =>
  (await (await fetch(`${stack.url}/v1/operations/${id}/items/${index}`)).json()) as { readonly result: unknown };

it('a corrected contact is applied, one corrected into a duplicate is skipped, one still wrong fails again', async () => {
  const rows = ['ada@example.org,Ada,36', 'nobody,Bob,40', 'ADA@example.org,Ada again,36', 'eve,Eve,20', 'joe,Joe,1'];
  const body = `email,name,age\r\n${rows.join('\r\n')}\r\n`;
  const { id } = await stack.client.accept({ body, target: 'contacts', type: 'text/csv', key: randomUUID() });
  const first = await stack.client.ended(id);
  expect(first.counts).toMatchObject({ total: 5, succeeded: 1, skipped: 1, failed: 3 });
  const text = await deadLetters(id);
  expect(text.split('\r\n')[1]).toMatch(/^1,3,failed,invalid_item,.*,nobody,Bob,40$/);
  const corrected = text.replace(',nobody,', ',bob@example.org,').replace(',eve,', ',ada@EXAMPLE.org,');
  const second = await sendBack(id, 1, corrected);
  expect(second.counts).toMatchObject({ total: 5, succeeded: 2, skipped: 2, failed: 1 });
  await resultsThatMatch(stack.client, second);
  expect(await itemOf(id, 1)).toMatchObject({ run: 2, outcome: 'succeeded' });
  expect(await itemOf(id, 3)).toMatchObject({ run: 2, result: { outcome: 'skipped', duplicateOf: 0, line: 5 } });
  expect(await itemOf(id, 4)).toMatchObject({ run: 2, outcome: 'failed' });
  const third = await sendBack(id, 2, (await deadLetters(id)).replace(',joe,', ',bob@example.org,'));
  expect(third.counts).toMatchObject({ succeeded: 2, skipped: 3, failed: 0 });
  expect(await itemOf(id, 4)).toMatchObject({ run: 3, result: { outcome: 'skipped', duplicateOf: 1 } });
});
