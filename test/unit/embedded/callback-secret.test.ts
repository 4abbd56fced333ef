import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { provideCallbackSecret } from '../../../src/embedded/callback-secret.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tranche-secret-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('is made once for a folder, and for its owner’s eyes only', async () => {
  const secret = await provideCallbackSecret(folder);
  expect(Buffer.from(secret, 'base64url')).toHaveLength(32);
  expect(await provideCallbackSecret(folder)).toBe(secret);
  expect((await stat(join(folder, 'callback-secret'))).mode & 0o777).toBe(0o600);
});

test('one that was torn while it was written is made again', async () => {
  await writeFile(join(folder, 'callback-secret'), 'abc');
  const secret = await provideCallbackSecret(folder);
  expect(secret.length).toBeGreaterThanOrEqual(43);
  expect(await provideCallbackSecret(folder)).toBe(secret);
});
