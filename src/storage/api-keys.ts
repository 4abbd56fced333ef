/** API keys as rows: of a key's secret only its hash is kept. */
import type { Migration, Sql } from '../model/database.ts';

export interface ApiKeyRow {
  readonly id: string;
  readonly account: string;
  readonly name: string;
  readonly roles: readonly string[];
  /** SHA-256 of the secret, hex: the secret has 256 random bits, so nothing slower is needed. */
  readonly secretHash: string;
  readonly createdBy: string | null;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  /** Some minutes behind. */
  readonly lastUsedAt: Date | null;
  readonly revokedAt: Date | null;
}

export type NewApiKey = Omit<ApiKeyRow, 'createdAt' | 'lastUsedAt' | 'revokedAt'>;
export type ApiKeyRows = ReturnType<typeof createApiKeyRows>;

const COLUMNS = `id, account, name, roles, secret_hash AS "secretHash", created_by AS "createdBy",
  created_at AS "createdAt", expires_at AS "expiresAt", last_used_at AS "lastUsedAt", revoked_at AS "revokedAt"`;

export function createApiKeyRows(sql: Sql) {
  return {
    async create({ id, account, name, roles, secretHash, createdBy, expiresAt }: NewApiKey): Promise<ApiKeyRow> {
      const { rows } = await sql.query<ApiKeyRow>(
        `INSERT INTO tranche_api_keys (id, account, name, roles, secret_hash, created_by, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ${COLUMNS}`,
        [id, account, name, roles, secretHash, createdBy, expiresAt],
      );
      if (rows[0] === undefined) throw new Error('the insert answered no row');
      return rows[0];
    },
    async find(id: string): Promise<ApiKeyRow | null> {
      const { rows } = await sql.query<ApiKeyRow>(`SELECT ${COLUMNS} FROM tranche_api_keys WHERE id = $1`, [id]);
      return rows[0] ?? null;
    },
    /** Newest first. */
    async list(account: string, limit: number): Promise<readonly ApiKeyRow[]> {
      const text = `SELECT ${COLUMNS} FROM tranche_api_keys WHERE account = $1 ORDER BY created_at DESC, id LIMIT $2`;
      return (await sql.query<ApiKeyRow>(text, [account, limit])).rows;
    },
    /** null where the account has no such key. The first revocation's time stays. */
    async revoke(account: string, id: string): Promise<ApiKeyRow | null> {
      const text = `UPDATE tranche_api_keys SET revoked_at = coalesce(revoked_at, now())
        WHERE account = $1 AND id = $2 RETURNING ${COLUMNS}`;
      return (await sql.query<ApiKeyRow>(text, [account, id])).rows[0] ?? null;
    },
    /** Writes at most once in `everyMs` and key, over all processes. */
    async touch(id: string, everyMs: number): Promise<void> {
      await sql.query(
        `UPDATE tranche_api_keys SET last_used_at = now()
         WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - $2 * interval '1 millisecond')`,
        [id, everyMs],
      );
    },
  };
}

export const API_KEY_MIGRATION: Migration = {
  id: 'api-keys-1',
  sql: `
CREATE TABLE tranche_api_keys (
  id text PRIMARY KEY,
  account text NOT NULL,
  name text NOT NULL,
  roles text[] NOT NULL,
  secret_hash text NOT NULL,
  created_by text,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz
);
CREATE INDEX tranche_api_keys_account ON tranche_api_keys (account, created_at DESC);
`,
};
