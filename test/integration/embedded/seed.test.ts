/** `npm run seed` on the running service: operations of every surface, once, however often it is run. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Stack, startStack } from '../../fixtures/stack/stack.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const seed = (url: string) => promisify(execFile)(process.execPath, ['scripts/seed.ts', '--url', url], { cwd: root });

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack?.stop());

it('leaves products and contacts to look at, and makes nothing twice', async () => {
  const first = await seed(stack.url);
  expect(first.stderr).toBe('');
  const steps = await stack.client.ended('seed-products-first-steps');
  expect(steps.counts).toMatchObject({ total: 4, succeeded: 3, failed: 1 });
  const contacts = await stack.client.ended('seed-contacts-2000');
  // 10 % of 2,000: half invalid, 30 % duplicates, 20 % ragged.
  expect(contacts.counts).toMatchObject({ total: 2_000, succeeded: 1_800, failed: 140, skipped: 60 });
  expect((await stack.client.get('seed-contacts-scheduled')).state).toBe('scheduled');

  const again = await seed(stack.url);
  const lines = again.stdout.trim().split('\n').slice(0, -1);
  expect(lines.length).toBeGreaterThan(3);
  expect(lines.filter((line) => !line.endsWith('(was there already)'))).toEqual([]);
});
