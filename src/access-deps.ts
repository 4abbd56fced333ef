/** The part of the wiring that is about accounts: sign-in, API keys, limits. */
import { createNoSignIn, createSignIn, type SignIn } from './api/sign-in/sign-in.ts';
import { createTokens } from './api/sign-in/tokens.ts';
import { type Config, isLimited, isLoopback } from './config.ts';
import type { Database } from './model/database.ts';
import type { Log } from './model/log.ts';
import { type ApiKeys, createApiKeys } from './operations/api-keys.ts';
import { createAccountLimits } from './operations/limits/account-limits.ts';
import type { QuotaLimits } from './operations/limits/quotas.ts';
import { createApiKeyRows } from './storage/api-keys.ts';
import { createQuotaRows } from './storage/quotas.ts';
import type { Records } from './storage/records.ts';

/** A key that was not seen for a while is looked up on the path of its request. */
const KEYS_DEADLINE_MS = 3_000;

/** Who may come in; keys are there as soon as there is a database to keep them in. */
export function createAccess(config: Config, database: Database | null, log: Log) {
  const apiKeys =
    database === null ? null : createApiKeys({ rows: createApiKeyRows(database), deadlineMs: KEYS_DEADLINE_MS, log });
  return { apiKeys, signIn: signInOf(config, apiKeys, log) };
}

function signInOf({ access, server, signIn }: Config, apiKeys: ApiKeys | null, log: Log): SignIn {
  if (!signIn) {
    // Who says AUTH=none answers for who can reach us, and by which names.
    const isLocal = isLoopback(server.host) && access.auth !== 'none';
    return createNoSignIn({ publicUrl: orNull(server.publicUrl), isLocal });
  }
  const { jwtSecret, jwksUrl, jwtIssuer, jwtAudience, accountClaim, rolesClaim, adminApiKey } = access;
  const tokens = createTokens({
    secret: orNull(jwtSecret),
    jwksUrl: orNull(jwksUrl),
    issuer: orNull(jwtIssuer),
    audience: orNull(jwtAudience),
    ...{ accountClaim, rolesClaim, log },
  });
  const takesTokens = jwtSecret !== '' || jwksUrl !== '';
  return createSignIn({ tokens: takesTokens ? tokens : null, apiKeys, adminKey: orNull(adminApiKey) });
}

interface LimitsDeps {
  readonly database: Database | null;
  readonly records: Records;
  readonly log: Log;
}

/** Nothing where no limit is set: then no submit asks the database. */
export function createLimits({ limits, blobs }: Config, { database, records, log }: LimitsDeps) {
  if (!isLimited(limits) || database === null) return {};
  const { bulkActionsMax, bulkActionsWindowMs, submissionsMax, submissionsWindowMs } = limits;
  const window = (max: number, windowMs: number) => (max === 0 ? null : { max, windowMs });
  const bulkActions = window(bulkActionsMax, bulkActionsWindowMs);
  const quotaLimits: QuotaLimits = {
    surfaces: bulkActions === null ? {} : { 'bulk-actions': bulkActions },
    submissions: window(submissionsMax, submissionsWindowMs),
    operationsMax: limits.operationsMax || null,
    itemsMax: limits.itemsMax || null,
    bytesMax: limits.bytesMax || null,
  };
  const { deadlineMs: storeDeadlineMs } = blobs;
  return { limits: createAccountLimits({ sql: database, records, limits: quotaLimits, storeDeadlineMs, log }) };
}

/** Only where something in flight is limited: else no operation's end asks the database. */
export function placesOf({ limits }: Config, database: Database | null) {
  const isInFlightLimited = [limits.operationsMax, limits.itemsMax, limits.bytesMax].some((max) => max > 0);
  if (database === null || !isInFlightLimited) return {};
  const rows = createQuotaRows(database);
  return { freePlaces: (uid: string) => rows.free(uid) };
}

function orNull(text: string): string | null {
  return text === '' ? null : text;
}
