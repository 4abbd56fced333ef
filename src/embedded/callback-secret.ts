/** The secret that signs callback URLs where nobody set one: made once, kept in the data folder, so that URLs outlive a restart. */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const SECRET_BYTES = 32;

/** For who holds the folder's lock. */
export async function provideCallbackSecret(dataDir: string): Promise<string> {
  const path = join(dataDir, 'callback-secret');
  const kept = await readFile(path, 'utf8').catch(() => '');
  // A torn write leaves less: nothing was signed with it yet.
  if (kept.trim().length >= SECRET_BYTES) return kept.trim();
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  await writeFile(path, `${secret}\n`, { mode: 0o600, flush: true });
  return secret;
}
