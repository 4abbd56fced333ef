/** Bearer tokens: a signed JWT of an issuer that the operator trusts says who is asking. */
import { createHash } from 'node:crypto';
import {
  createRemoteJWKSet,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose';
import { type Caller, readRoles } from '../../model/access.ts';
import { toAccountId } from '../../model/account.ts';
import { TrancheError } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import { createLru } from '../../operations/lru.ts';
import { ADMIN_KEY_SUBJECT, invalidCredential } from './sign-in.ts';

export interface TokenOptions {
  /** HS256, at least 32 bytes; null: no such token is taken. */
  readonly secret: string | null;
  /** Public keys for RS256, ES256 and EdDSA; null: no such token is taken. */
  readonly jwksUrl: string | null;
  /** What `iss` must be; null: anything. */
  readonly issuer: string | null;
  /** What `aud` must hold; null: anything. */
  readonly audience: string | null;
  readonly accountClaim: string;
  readonly rolesClaim: string;
  readonly log: Log;
}

export interface Tokens {
  /** Throws `unauthenticated` where the token is not valid, `unavailable` where its keys cannot be had now. */
  verify(token: string): Promise<Caller>;
}

/** A key set's keys never verify HS256, and the secret verifies nothing else: no token can choose how it is judged. */
const SECRET_ALGORITHMS = ['HS256'];
const KEY_SET_ALGORITHMS = ['RS256', 'ES256', 'EdDSA'];
/** Clocks of issuers are seldom further off. */
const LEEWAY_SECONDS = 5;
const JWKS_TIMEOUT_MS = 5_000;
/** What was verified is not verified again for so long, or until it expires. */
const CACHE_MS = 60_000;
const CACHED_MAX = 10_000;
/** A name in a claim, for logs and the audit trail. */
const CLAIM_CHARS_MAX = 255;

export function createTokens(options: TokenOptions): Tokens {
  const cache = createLru<{ readonly caller: Caller; readonly until: number }>(CACHED_MAX);
  const verifySignature = createVerifier(options);
  return {
    async verify(token) {
      // By hash: a token must not lie around in memory as a key.
      const name = createHash('sha256').update(token).digest('base64');
      const known = cache.get(name);
      if (known !== undefined && Date.now() < known.until) return known.caller;
      const payload = await verifySignature(token).catch((error: unknown) => refuse(error, options.log));
      const caller = callerOf(payload, options);
      const expiresAt = payload.exp === undefined ? Infinity : (payload.exp + LEEWAY_SECONDS) * 1_000;
      cache.set(name, { caller, until: Math.min(Date.now() + CACHE_MS, expiresAt) });
      return caller;
    },
  };
}

function createVerifier({ secret, jwksUrl, issuer, audience }: TokenOptions): (token: string) => Promise<JWTPayload> {
  const checks: JWTVerifyOptions = {
    clockTolerance: LEEWAY_SECONDS,
    ...(issuer === null ? {} : { issuer }),
    ...(audience === null ? {} : { audience }),
  };
  const secretKey = secret === null ? null : Buffer.from(secret, 'utf8');
  const keySet = jwksUrl === null ? null : createRemoteJWKSet(new URL(jwksUrl), { timeoutDuration: JWKS_TIMEOUT_MS });
  return async (token) => {
    const alg = algorithmOf(token);
    if (secretKey !== null && alg !== undefined && SECRET_ALGORITHMS.includes(alg)) {
      return (await jwtVerify(token, secretKey, { ...checks, algorithms: SECRET_ALGORITHMS })).payload;
    }
    if (keySet !== null && alg !== undefined && KEY_SET_ALGORITHMS.includes(alg)) {
      return await verifyByKeySet(token, keySet, { ...checks, algorithms: KEY_SET_ALGORITHMS });
    }
    throw new errors.JOSEAlgNotAllowed('this algorithm is not taken');
  };
}

/** A token without a key id may be any key's: each that fits is tried. */
async function verifyByKeySet(token: string, keySet: JWTVerifyGetKey, checks: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, keySet, checks)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      try {
        return (await jwtVerify(token, key, checks)).payload;
      } catch (fault) {
        if (!(fault instanceof errors.JWSSignatureVerificationFailed)) throw fault;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

/** What the token itself is at fault for; everything else is the key set's or ours. */
const TOKEN_FAULTS: Readonly<Record<string, string>> = {
  ERR_JWT_EXPIRED: 'The token has expired.',
  ERR_JWT_INVALID: 'The token is not a valid JWT.',
  ERR_JWS_INVALID: 'The token is not a valid JWT.',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: "The token's signature is not valid.",
  ERR_JWKS_NO_MATCHING_KEY: 'The token is signed by an unknown key.',
  ERR_JOSE_ALG_NOT_ALLOWED: "The token's algorithm is not taken here.",
  ERR_JOSE_NOT_SUPPORTED: "The token's algorithm is not taken here.",
};

function refuse(error: unknown, log: Log): never {
  if (error instanceof errors.JWTClaimValidationFailed) throw invalidCredential(claimFault(error), error);
  const code = error instanceof errors.JOSEError ? error.code : '';
  const known = TOKEN_FAULTS[code];
  if (known !== undefined) throw invalidCredential(known, error);
  log('warn', 'a token could not be verified: the key set does not answer as one', { error });
  throw new TrancheError('unavailable', 'The token cannot be verified now; try again.', {}, { cause: error });
}

/** What the header claims, only to choose the key that then judges it. */
function algorithmOf(token: string): string | undefined {
  try {
    return decodeProtectedHeader(token).alg;
  } catch (error) {
    throw new errors.JWTInvalid('there is no readable header', { cause: error });
  }
}

function claimFault({ claim, reason }: errors.JWTClaimValidationFailed): string {
  if (reason === 'missing') return `The token lacks the claim ${claim}.`;
  return claim === 'nbf' ? 'The token is not valid yet.' : `The token's claim ${claim} is not the one wanted here.`;
}

function callerOf(payload: JWTPayload, { accountClaim, rolesClaim }: TokenOptions): Caller {
  return {
    account: toAccountId(textClaim(payload, accountClaim)),
    subject: readSubject(payload),
    roles: readRoles(ownClaim(payload, rolesClaim)),
  };
}

function textClaim(payload: JWTPayload, name: string): string {
  const value = ownClaim(payload, name);
  if (typeof value === 'string' && value !== '' && value.length <= CLAIM_CHARS_MAX) return value;
  throw invalidCredential(`The token's claim ${name} must be a text of 1 to ${CLAIM_CHARS_MAX} characters.`);
}

/** It goes into records, logs and rows; a database takes no NUL, and nobody reads control characters. */
function readSubject(payload: JWTPayload): string {
  const subject = textClaim(payload, 'sub');
  // In the audit trail they stand for API keys: whoever may choose a name must not pass for one.
  if (subject === ADMIN_KEY_SUBJECT || subject.startsWith('key:')) {
    throw invalidCredential("The token's claim sub is the name of an API key.");
  }
  if (subject.isWellFormed() && !/\p{Cc}/u.test(subject)) return subject;
  throw invalidCredential("The token's claim sub must not hold control characters.");
}

/** Never `constructor` or the like, whatever the setting says. */
function ownClaim(payload: JWTPayload, name: string): unknown {
  return Object.hasOwn(payload, name) ? payload[name] : undefined;
}
