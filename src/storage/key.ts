/** Which keys a store takes, and the names beside them that no key can ever be. */

/** Characters; S3 allows 1,024 bytes for store prefix, key and log part together. */
export const KEY_CHARS_MAX = 800;
/** Characters of one segment; file systems allow 255 bytes, and a log's file name is a little longer than its key. */
export const SEGMENT_CHARS_MAX = 200;

/** `!` is outside of the key alphabet, so a name that holds it is never a blob. */
const RESERVED = '!';
/** Behind the key of a log. */
export const LOG_MARK = `${RESERVED}log`;
/** Where unfinished writes of the fs driver stand. */
export const TEMP_FOLDER = `${RESERVED}tmp`;

const SEGMENT = /^[A-Za-z0-9._:~-]+$/;

/** Throws where `key` is none: empty, too long, of other characters, or with a segment that is empty, `.` or `..`. */
export function assertKey(key: string): void {
  const fault = faultOf(key);
  if (fault !== null) throw new Error(`invalid blob key ${JSON.stringify(key.slice(0, KEY_CHARS_MAX))}: ${fault}`);
}

/** A prefix is a key with a `/` behind it: never empty, so that nothing deletes a whole store by mistake. */
export function assertPrefix(prefix: string): void {
  if (!prefix.endsWith('/')) throw new Error(`invalid blob prefix ${JSON.stringify(prefix)}: it must end in "/"`);
  assertKey(prefix.slice(0, -1));
}

export function isReserved(name: string): boolean {
  return name.includes(RESERVED);
}

function faultOf(key: string): string | null {
  if (key.length > KEY_CHARS_MAX) return `longer than ${KEY_CHARS_MAX} characters`;
  for (const segment of key.split('/')) {
    if (segment === '') return 'it has an empty segment';
    if (segment === '.' || segment === '..') return `it has a segment "${segment}"`;
    if (segment.length > SEGMENT_CHARS_MAX) return `it has a segment longer than ${SEGMENT_CHARS_MAX} characters`;
    if (!SEGMENT.test(segment)) return 'its characters must be of A-Z a-z 0-9 . _ : ~ -';
  }
  return null;
}
