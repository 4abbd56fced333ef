/** The settings that say who may come in, and how much each account may have going on. */
import { z } from 'zod';
import { setting, text, url, whole } from './setting.ts';

const DAY_MS = 86_400_000;
const SECRET_BYTES_MIN = 32;

/** Short ones can be guessed offline from a single token. */
const longSecret = () =>
  z
    .string()
    .refine(
      (it) => it === '' || Buffer.byteLength(it, 'utf8') >= SECRET_BYTES_MIN,
      `must have ${SECRET_BYTES_MIN} bytes or more`,
    );

/** What can stand in a header. */
const longKey = () =>
  z
    .string()
    .refine((it) => it === '' || /^[\x21-\x7e]{32,255}$/.test(it), 'must be 32 to 255 visible ASCII characters');

const claim = () => z.string().min(1).max(255, 'must have at most 255 characters');

export const ACCESS_SETTINGS = {
  access: {
    auth: setting(
      'AUTH',
      '',
      z.enum(['', 'on', 'none'], 'must be on or none'),
      '`on`: everybody signs in. `none`: nobody does, and whoever reaches the port may do everything. Empty: on as soon as `JWT_SECRET`, `JWT_JWKS_URL` or `ADMIN_API_KEY` is set. See [accounts](accounts.md).',
    ),
    jwtSecret: {
      ...setting(
        'JWT_SECRET',
        '',
        longSecret(),
        `Secret of bearer tokens signed with HS256, ${SECRET_BYTES_MIN} bytes or more. Empty: no such token is taken.`,
      ),
      secret: true as const,
    },
    jwksUrl: setting(
      'JWT_JWKS_URL',
      '',
      url('https:', 'http:'),
      "Where the token issuer's public keys are, for bearer tokens signed with RS256, ES256 or EdDSA. Empty: no such token is taken.",
    ),
    jwtIssuer: setting('JWT_ISSUER', '', text(), 'What the claim `iss` of a token must be. Empty: anything.'),
    jwtAudience: setting('JWT_AUDIENCE', '', text(), 'What the claim `aud` of a token must hold. Empty: anything.'),
    accountClaim: setting('JWT_ACCOUNT_CLAIM', 'account', claim(), "The claim that names the caller's account."),
    rolesClaim: setting(
      'JWT_ROLES_CLAIM',
      'roles',
      claim(),
      "The claim that holds the caller's roles: an array, or words separated by spaces or commas.",
    ),
    adminApiKey: {
      ...setting(
        'ADMIN_API_KEY',
        '',
        longKey(),
        'A key of the operator’s own, 32 characters or more: its bearer is admin of every account. For the first days, and for making API keys.',
      ),
      secret: true as const,
    },
  },
  limits: {
    bulkActionsMax: setting(
      'RATE_LIMIT_MAX',
      '0',
      whole(0, 100_000),
      'Submissions to `/bulk-actions` that one account may make in a sliding window. 0 = no limit.',
    ),
    bulkActionsWindowMs: setting(
      'RATE_LIMIT_WINDOW_MS',
      '60000',
      whole(100, 31 * DAY_MS),
      'Milliseconds of the window of `RATE_LIMIT_MAX`.',
    ),
    submissionsMax: setting(
      'ACCOUNT_SUBMISSIONS_MAX',
      '0',
      whole(0, 100_000),
      'Submissions, over all surfaces, that one account may make in a sliding window. 0 = no limit.',
    ),
    submissionsWindowMs: setting(
      'ACCOUNT_SUBMISSIONS_WINDOW_MS',
      '60000',
      whole(100, 31 * DAY_MS),
      'Milliseconds of the window of `ACCOUNT_SUBMISSIONS_MAX`.',
    ),
    operationsMax: setting(
      'ACCOUNT_OPERATIONS_MAX',
      '0',
      whole(0, 1_000_000),
      'Operations of one account that are accepted and have not ended. 0 = no limit. Workers need it, too.',
    ),
    itemsMax: setting(
      'ACCOUNT_ITEMS_MAX',
      '0',
      whole(0, Number.MAX_SAFE_INTEGER),
      'Items of all these operations together. 0 = no limit. Workers need it, too.',
    ),
    bytesMax: setting(
      'ACCOUNT_BYTES_MAX',
      '0',
      whole(0, Number.MAX_SAFE_INTEGER),
      'Decoded bytes of all these operations together. 0 = no limit. Workers need it, too.',
    ),
  },
} as const;
