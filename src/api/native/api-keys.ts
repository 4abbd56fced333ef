/** API keys over HTTP, for administrators: made, listed, revoked. */
import { z } from 'zod';
import { ROLES } from '../../model/access.ts';
import { toAccountId } from '../../model/account.ts';
import { TrancheError } from '../../model/errors.ts';
import type { ApiKeys } from '../../operations/api-keys.ts';
import type { ApiApp, ApiContext, AppDeps } from '../context.ts';
import { readQuery } from '../query.ts';
import { addRoute, type Handler, needs } from '../routes.ts';
import { readSmallJson } from '../small-json.ts';

export function addApiKeys(app: ApiApp, deps: AppDeps): void {
  addRoute(app, '/v1/api-keys', { GET: needs('keys', listHandler(deps)), POST: needs('keys', createHandler(deps)) });
  addRoute(app, '/v1/api-keys/:id', { DELETE: needs('keys', revokeHandler(deps)) });
}

/** Secrets pass through here, and who has keys is nobody else's business. */
const NO_STORE = { 'Cache-Control': 'no-store' } as const;

/** `account`: as a token would name it; absent = the one that the request acts for. */
const NewKey = z.strictObject({
  name: z
    .string()
    .min(1)
    .max(100)
    .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), 'must not hold control characters'),
  roles: z.array(z.enum(ROLES)).min(1).max(ROLES.length),
  account: z.string().min(1).max(255).optional(),
  expiresAt: z.iso
    .datetime({ offset: true })
    .refine((text) => Date.parse(text) > Date.now(), 'must lie in the future')
    .optional(),
});

function createHandler(deps: AppDeps): Handler {
  return async (c) => {
    readQuery(c, []);
    const keys = keysOf(deps);
    const asked = NewKey.safeParse(await readSmallJson(c));
    if (!asked.success) throw refusal(asked.error);
    const { name, roles, account, expiresAt } = asked.data;
    const { key, secret } = await keys.create({
      account: account === undefined ? c.get('account') : toAccountId(account),
      name,
      roles,
      expiresAt: expiresAt === undefined ? null : new Date(expiresAt),
      createdBy: c.get('caller').subject,
    });
    return c.json({ ...key, key: secret }, 201, { ...NO_STORE, Location: `/v1/api-keys/${key.id}` });
  };
}

function listHandler(deps: AppDeps): Handler {
  return async (c) => {
    readQuery(c, []);
    return c.json({ data: await keysOf(deps).list(c.get('account')) }, 200, NO_STORE);
  };
}

function revokeHandler(deps: AppDeps): Handler {
  return async (c) => {
    readQuery(c, []);
    return c.json(await keysOf(deps).revoke(c.get('account'), keyId(c)), 200, NO_STORE);
  };
}

function keysOf({ apiKeys }: AppDeps): ApiKeys {
  if (apiKeys !== null) return apiKeys;
  throw new TrancheError('not_found', 'API keys are kept in a database, and there is none: set DATABASE_URL.');
}

function keyId(c: ApiContext): string {
  const id = c.req.param('id');
  if (id !== undefined && /^[0-9a-z]{20}$/.test(id)) return id;
  throw new TrancheError('not_found', 'There is no such API key.');
}

function refusal({ issues }: z.ZodError): TrancheError {
  const errors = issues.map(({ path, message }) => {
    return { code: 'malformed_request', detail: message, parameter: path.join('.') };
  });
  const told = errors.map(({ parameter, detail }) => (parameter === '' ? detail : `${parameter}: ${detail}`));
  return new TrancheError('malformed_request', told.join('; '), { errors });
}
