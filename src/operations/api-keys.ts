/** API keys: made once and shown once, found at every request, revoked within seconds everywhere. */
import { createHash, randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import { type Caller, isRole, type Role } from '../model/access.ts';
import { TrancheError } from '../model/errors.ts';
import type { Log } from '../model/log.ts';
import type { ApiKeyRow, ApiKeyRows } from '../storage/api-keys.ts';
import { orUnavailable, within } from './deadline.ts';
import { createLru } from './lru.ts';

/** A key as its administrators see it; the secret is never among it. */
export interface ApiKeyView {
  readonly id: string;
  readonly account: string;
  readonly name: string;
  readonly roles: readonly Role[];
  readonly createdBy: string | null;
  readonly createdAt: string;
  readonly expiresAt: string | null;
  readonly lastUsedAt: string | null;
  readonly revokedAt: string | null;
}

export interface NewKeyRequest {
  readonly account: string;
  readonly name: string;
  readonly roles: readonly Role[];
  readonly expiresAt: Date | null;
  readonly createdBy: string | null;
}

/** Every verb throws `unavailable` where the database does not answer. */
export interface ApiKeys {
  /** `secret` is the whole key, `trk_<id>_<secret>`: nobody can read it again. */
  create(request: NewKeyRequest): Promise<{ readonly key: ApiKeyView; readonly secret: string }>;
  /** Newest first, revoked ones too; 1,000 at most. */
  list(account: string): Promise<readonly ApiKeyView[]>;
  /** Throws `not_found`. Revoking twice changes nothing. */
  revoke(account: string, id: string): Promise<ApiKeyView>;
  /** The caller that a key stands for; null where it is forged, revoked or expired. */
  find(key: string): Promise<Caller | null>;
}

export interface ApiKeysDeps {
  readonly rows: ApiKeyRows;
  readonly deadlineMs: number;
  readonly log: Log;
}

/** A revocation takes hold in every process after this long. */
const CACHE_MS = 5_000;
const CACHED_MAX = 10_000;
const LISTED_MAX = 1_000;
const TOUCH_MS = 5 * 60_000;
const KEY = /^trk_([0-9a-z]{20})_([A-Za-z0-9_-]{43})$/;
const ID_ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const ID_CHARS = 20;
const SECRET_BYTES = 32;

export function createApiKeys({ rows, deadlineMs, log }: ApiKeysDeps): ApiKeys {
  const cache = createLru<{ readonly at: number; readonly finding: Promise<ApiKeyRow | null> }>(CACHED_MAX);
  const touched = createLru<number>(CACHED_MAX);

  const ask = <T>(work: Promise<T>): Promise<T> =>
    orUnavailable('API keys cannot be read now; try again', within(deadlineMs, 'the database', work));

  /** One reading for all who ask at once; what is not there is remembered, too, so that guessing costs us nothing. */
  function read(id: string): Promise<ApiKeyRow | null> {
    const known = cache.get(id);
    if (known !== undefined && Date.now() - known.at < CACHE_MS) return known.finding;
    const finding = ask(rows.find(id));
    cache.set(id, { at: Date.now(), finding });
    finding.catch(() => cache.delete(id));
    return finding;
  }

  /** For people to see which keys are still in use; nothing waits for it. */
  function touch(id: string): void {
    const now = Date.now();
    if (now - (touched.get(id) ?? 0) < TOUCH_MS) return;
    touched.set(id, now);
    rows.touch(id, TOUCH_MS).catch((error: unknown) => log('debug', 'the use of an API key was not noted', { error }));
  }

  return {
    async create({ account, name, roles, expiresAt, createdBy }) {
      const id = Array.from({ length: ID_CHARS }, () => ID_ALPHABET[randomInt(ID_ALPHABET.length)]).join('');
      const secret = randomBytes(SECRET_BYTES).toString('base64url');
      const secretHash = hashOf(secret).toString('hex');
      const row = await ask(rows.create({ id, account, name, roles, secretHash, createdBy, expiresAt }));
      log('info', 'an API key was made', { id, account, roles, createdBy });
      return { key: viewOf(row), secret: `trk_${id}_${secret}` };
    },
    async list(account) {
      return (await ask(rows.list(account, LISTED_MAX))).map(viewOf);
    },
    async revoke(account, id) {
      const row = await ask(rows.revoke(account, id));
      if (row === null) throw new TrancheError('not_found', 'There is no such API key.');
      cache.delete(id);
      log('info', 'an API key was revoked', { id, account });
      return viewOf(row);
    },
    async find(key) {
      const [, id, secret] = KEY.exec(key) ?? [];
      if (id === undefined || secret === undefined) return null;
      const row = await read(id);
      if (row === null || !isSecretOf(row, secret) || !isInForce(row)) return null;
      touch(id);
      return { account: row.account, subject: `key:${id}`, roles: row.roles.filter(isRole) };
    },
  };
}

/** In constant time: how long it takes tells nothing about the hash. */
function isSecretOf(row: ApiKeyRow, secret: string): boolean {
  const [kept, sent] = [Buffer.from(row.secretHash, 'hex'), hashOf(secret)];
  return kept.length === sent.length && timingSafeEqual(kept, sent);
}

function isInForce({ revokedAt, expiresAt }: ApiKeyRow): boolean {
  return revokedAt === null && (expiresAt === null || Date.now() < expiresAt.getTime());
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret, 'utf8').digest();
}

function viewOf(row: ApiKeyRow): ApiKeyView {
  const { id, account, name, createdBy } = row;
  return {
    id,
    account,
    name,
    roles: row.roles.filter(isRole),
    createdBy,
    createdAt: row.createdAt.toISOString(),
    expiresAt: row.expiresAt?.toISOString() ?? null,
    lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
    revokedAt: row.revokedAt?.toISOString() ?? null,
  };
}
