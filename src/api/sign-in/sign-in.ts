/** Who is asking: from the credentials of a request to its caller, before anything else of the request is looked at. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createMiddleware } from 'hono/factory';
import { type Caller, isAllowed, type Permission } from '../../model/access.ts';
import { DEFAULT_ACCOUNT, toAccountId } from '../../model/account.ts';
import { TrancheError } from '../../model/errors.ts';
import type { ApiKeys } from '../../operations/api-keys.ts';
import type { ApiContext, ApiEnv } from '../context.ts';
import { type OwnNames, refuseCrossSite } from './same-origin.ts';
import type { Tokens } from './tokens.ts';

/**
 * Answers the caller, for the account that the request acts for.
 * Throws `unauthenticated`, `forbidden` (another's account), `malformed_request`, `unavailable` (nobody can tell now).
 */
export type SignIn = (c: ApiContext) => Promise<Caller>;

export const ACCOUNT_HEADER = 'Tranche-Account';
const API_KEY_HEADER = 'X-API-Key';
const ACCOUNT_NAME = /^[\x20-\x7e]{1,255}$/;
export const ADMIN_KEY_SUBJECT = 'admin-api-key';

/** Hands every route its `enter`: routes.ts calls it with what the route asks for. */
export function enterBy(signIn: SignIn) {
  return createMiddleware<ApiEnv>(async (c, next) => {
    c.set('enter', async (context, access) => {
      if (access === 'public') return;
      const caller = await signIn(context);
      if (!mayEnter(caller, access)) throw refused(caller, access);
      context.set('caller', caller);
      context.set('account', caller.account);
    });
    await next();
  });
}

/** Where nobody signs in, budgets are everybody's, too: what is set can be set back. */
function mayEnter({ roles, subject }: Caller, permission: Permission): boolean {
  return isAllowed(roles, permission) || (subject === null && permission === 'budgets');
}

/**
 * Everybody may do everything in whichever account the header names, but make keys: those would still open the door
 * after sign-in was turned on. For one machine, and for networks that let in nobody else.
 */
export function createNoSignIn(names: OwnNames): SignIn {
  return async (c) => {
    refuseCrossSite(c, names);
    return { account: accountNamed(c) ?? DEFAULT_ACCOUNT, subject: null, roles: ['operator'] };
  };
}

export interface SignInOptions {
  /** null: no bearer token is taken. */
  readonly tokens: Tokens | null;
  /** null: there is no database to keep keys in. */
  readonly apiKeys: Pick<ApiKeys, 'find'> | null;
  /** The operator's own key, from the settings; null where there is none. */
  readonly adminKey: string | null;
}

export function createSignIn(options: SignInOptions): SignIn {
  const adminHash = options.adminKey === null ? null : hashOf(options.adminKey);
  return async (c) => {
    const credential = readCredential(c);
    const own = await identify(options, adminHash, credential);
    const account = accountNamed(c) ?? own.account;
    if (account !== own.account && !isAllowed(own.roles, 'any_account')) {
      throw new TrancheError('forbidden', `${ACCOUNT_HEADER} names another account than the one signed in.`, {
        challenge: 'insufficient_scope',
      });
    }
    return { ...own, account };
  };
}

async function identify(options: SignInOptions, adminHash: Buffer | null, credential: string): Promise<Caller> {
  if (adminHash !== null && timingSafeEqual(hashOf(credential), adminHash)) {
    return { account: DEFAULT_ACCOUNT, subject: ADMIN_KEY_SUBJECT, roles: ['admin'] };
  }
  if (credential.startsWith('trk_')) {
    const caller = await options.apiKeys?.find(credential);
    if (caller === null || caller === undefined) throw invalidCredential('The API key is not valid.');
    return caller;
  }
  if (options.tokens === null) throw invalidCredential('The credential is not valid.');
  return await options.tokens.verify(credential);
}

/** `Authorization: Bearer …` or `X-API-Key: …`, exactly one of them. */
function readCredential(c: ApiContext): string {
  const authorization = c.req.header('Authorization');
  const apiKey = c.req.header(API_KEY_HEADER);
  if (authorization !== undefined && apiKey !== undefined) {
    throw new TrancheError('malformed_request', `Send either Authorization or ${API_KEY_HEADER}, not both.`);
  }
  const credential = apiKey?.trim() ?? /^Bearer +([^\s,]+) *$/i.exec(authorization ?? '')?.[1];
  if (credential !== undefined && credential !== '') return credential;
  throw new TrancheError('unauthenticated', `Sign in: send Authorization: Bearer <token>, or ${API_KEY_HEADER}.`);
}

/** The id of the account that the header names; null where there is no header. */
function accountNamed(c: ApiContext): string | null {
  const header = c.req.header(ACCOUNT_HEADER);
  if (header === undefined) return null;
  if (ACCOUNT_NAME.test(header)) return toAccountId(header);
  throw new TrancheError('malformed_request', `${ACCOUNT_HEADER} must be 1 to 255 printable ASCII characters`);
}

export function invalidCredential(message: string, cause?: unknown): TrancheError {
  return new TrancheError('unauthenticated', message, { challenge: 'invalid_token' }, { cause });
}

function refused({ subject }: Caller, permission: Permission): TrancheError {
  if (subject === null) {
    return new TrancheError(
      'forbidden',
      'Not while nobody signs in: turn sign-in on first (see AUTH in the settings).',
    );
  }
  return new TrancheError('forbidden', `Your roles do not permit this; it takes the permission ${permission}.`, {
    challenge: 'insufficient_scope',
  });
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}
