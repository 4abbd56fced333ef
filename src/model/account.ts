/** From whatever an account is called outside to the id that names it in workflow ids, blob keys and search attributes. */
import { createHash } from 'node:crypto';

/** The account of everybody where nobody signs in and nobody is named. */
export const DEFAULT_ACCOUNT = 'default';

const ACCOUNT_ID = /^[a-z0-9-]{1,40}$/;
const MAPPED_ID = /^h-[0-9a-f]{32}$/;

/**
 * `[a-z0-9-]{1,40}` stands for itself, any other name for `h-` + 32 hex digits of its SHA-256.
 * A name that only looks mapped is mapped too, so two names never share an id.
 */
export function toAccountId(name: string): string {
  if (ACCOUNT_ID.test(name) && !MAPPED_ID.test(name)) return name;
  return `h-${createHash('sha256').update(name, 'utf8').digest('hex').slice(0, 32)}`;
}
