/** Names an operation: by the client's key where there is one, so that a key finds its operation for ever. */
import { createHash } from 'node:crypto';
import { ulid } from 'ulid';

const PLAIN_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;
const ACCOUNT = /^[a-z0-9-]{1,40}$/;
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** Never reused: one per attempt to submit. Rises with time. */
export function newUid(): string {
  return ulid();
}

/** The key itself where it may stand in a path and in a workflow id, else a name made from its hash. */
export function operationIdOf(key: string): string {
  return PLAIN_ID.test(key) ? key : `k_${base32(createHash('sha256').update(key, 'utf8').digest())}`;
}

/** False for what can never name an operation: nothing is looked up then. */
export function mayNameOperation(account: string, id: string): boolean {
  return ACCOUNT.test(account) && PLAIN_ID.test(id);
}

export function workflowIdOf(account: string, id: string): string {
  return `${account}/${id}`;
}

/** RFC 4648 without padding, lower case. */
function base32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let pending = 0;
  for (const byte of bytes) {
    pending = (pending << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += BASE32[(pending >>> (bits - 5)) & 31];
    pending &= (1 << bits) - 1;
  }
  return bits > 0 ? text + BASE32[(pending << (5 - bits)) & 31] : text;
}
