/** Bearer tokens as attackers and clumsy issuers make them. */
import { createHmac, generateKeyPairSync, type KeyObject, sign as signWith } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, importJWK, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createTokens, type TokenOptions } from '../../../src/api/sign-in/tokens.ts';
import { noLog } from '../../../src/model/log.ts';

const SECRET = 'a-secret-of-more-than-32-bytes-for-tests';
const OPTIONS: TokenOptions = {
  secret: SECRET,
  jwksUrl: null,
  issuer: null,
  audience: null,
  accountClaim: 'account',
  rolesClaim: 'roles',
  log: noLog,
};
const CLAIMS = { sub: 'user-1', account: 'acme', roles: ['operator'] };
const nowSeconds = () => Math.floor(Date.now() / 1_000);

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** By hand, so that a test can make what no library would. */
function token(claims: object, { header = { alg: 'HS256', typ: 'JWT' } as object, secret = SECRET } = {}): string {
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

const refused = (code = 'unauthenticated') => expect.objectContaining({ code });

describe('a token signed by the secret', () => {
  const { verify } = createTokens(OPTIONS);

  it('names its caller', async () => {
    const caller = await verify(token({ ...CLAIMS, exp: nowSeconds() + 60 }));
    expect(caller).toEqual({ account: 'acme', subject: 'user-1', roles: ['operator'] });
  });

  it('may say its roles as words, and those that are not ours count for nothing', async () => {
    expect((await verify(token({ ...CLAIMS, roles: 'viewer root,admin' }))).roles).toEqual(['viewer', 'admin']);
    expect((await verify(token({ ...CLAIMS, roles: ['root', 7, 'viewer'] }))).roles).toEqual(['viewer']);
    expect((await verify(token({ sub: 'user-1', account: 'acme' }))).roles).toEqual([]);
    expect((await verify(token({ ...CLAIMS, roles: { admin: true } }))).roles).toEqual([]);
  });

  it('maps an account name of any form, never onto another one', async () => {
    const mapped = (await verify(token({ ...CLAIMS, account: 'Acme Inc.' }))).account;
    expect(mapped).toMatch(/^h-[0-9a-f]{32}$/);
    expect((await verify(token({ ...CLAIMS, account: mapped }))).account).not.toBe(mapped);
  });

  it('takes its claims from where the settings say', async () => {
    const own = createTokens({ ...OPTIONS, accountClaim: 'https://x.example/tenant', rolesClaim: 'groups' });
    const caller = await own.verify(token({ sub: 'u', 'https://x.example/tenant': 't1', groups: ['admin'] }));
    expect(caller).toEqual({ account: 't1', subject: 'u', roles: ['admin'] });
  });

  it.each([
    ['signed by another secret', () => token(CLAIMS, { secret: `${SECRET}!` })],
    ['with claims changed after signing', () => swapClaims(token(CLAIMS), { ...CLAIMS, account: 'other' })],
    ['without a signature', () => `${token(CLAIMS).split('.').slice(0, 2).join('.')}.`],
    ['of alg none', () => `${part({ alg: 'none' })}.${part(CLAIMS)}.`],
    ['of alg NONE with a signature', () => token(CLAIMS, { header: { alg: 'NONE' } })],
    ['of alg HS512', () => token(CLAIMS, { header: { alg: 'HS512' } })],
    ['of alg RS256 where there is no key set', () => token(CLAIMS, { header: { alg: 'RS256' } })],
    ['whose subject holds a NUL', () => token({ ...CLAIMS, sub: 'user\u0000-1' })],
    ['whose subject holds a line break', () => token({ ...CLAIMS, sub: 'user\n-1' })],
    ['whose subject is half a character', () => token({ ...CLAIMS, sub: '\ud800' })],
    ['without an alg', () => token(CLAIMS, { header: {} })],
    ['with a critical header that nobody knows', () => token(CLAIMS, { header: { alg: 'HS256', crit: ['x'], x: 1 } })],
    ['that has expired', () => token({ ...CLAIMS, exp: nowSeconds() - 60 })],
    ['that is not valid yet', () => token({ ...CLAIMS, nbf: nowSeconds() + 60 })],
    ['whose exp is no number', () => token({ ...CLAIMS, exp: 'tomorrow' })],
    ['without an account', () => token({ sub: 'user-1', roles: ['admin'] })],
    ['whose account is empty', () => token({ ...CLAIMS, account: '' })],
    ['whose account is an array', () => token({ ...CLAIMS, account: ['acme'] })],
    ['without a subject', () => token({ account: 'acme', roles: ['admin'] })],
    ['of which the payload is no object', () => token([])],
    ['that is no token', () => 'hello'],
    ['of dots', () => '..'],
    ['that is a JWE', () => 'a.b.c.d.e'],
  ])('is refused %s', async (_, make) => {
    await expect(verify(make())).rejects.toEqual(refused());
  });

  it('is not taken beyond its expiry although it was seen to be valid just before', async () => {
    const own = createTokens(OPTIONS);
    const short = token({ ...CLAIMS, exp: nowSeconds() + 2 });
    await own.verify(short);
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      vi.setSystemTime(Date.now() + 6_000);
      await expect(own.verify(short), 'within the leeway').resolves.toBeDefined();
      vi.setSystemTime(Date.now() + 3_000);
      await expect(own.verify(short)).rejects.toEqual(refused());
    } finally {
      vi.useRealTimers();
    }
  });

  it('is held against issuer and audience where they are set', async () => {
    const own = createTokens({ ...OPTIONS, issuer: 'https://issuer.example', audience: 'tranche' });
    const claims = { ...CLAIMS, iss: 'https://issuer.example', aud: ['other', 'tranche'] };
    await expect(own.verify(token(claims))).resolves.toMatchObject({ account: 'acme' });
    await expect(own.verify(token({ ...claims, aud: 'other' }))).rejects.toEqual(refused());
    await expect(own.verify(token({ ...claims, iss: 'https://issuer.example.evil' }))).rejects.toEqual(refused());
    await expect(own.verify(token(CLAIMS))).rejects.toEqual(refused());
  });
});

function swapClaims(signed: string, claims: object): string {
  const [header, , signature] = signed.split('.');
  return `${header}.${part(claims)}.${signature}`;
}

describe('a token signed by a key of the key set', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ed = generateKeyPairSync('ed25519');
  const strange = generateKeyPairSync('rsa', { modulusLength: 2048 });
  let server: Server;
  let jwksUrl: string;
  let answer: { readonly status: number; readonly body: string };

  beforeAll(async () => {
    const keys = [
      { ...(await exportJWK(rsa.publicKey)), kid: 'rsa' },
      { ...(await exportJWK(ec.publicKey)), kid: 'ec' },
      { ...(await exportJWK(ed.publicKey)), kid: 'ed' },
      { kty: 'oct', k: Buffer.from(SECRET).toString('base64url'), kid: 'oct' },
    ];
    answer = { status: 200, body: JSON.stringify({ keys }) };
    server = createServer((_, response) => {
      response.writeHead(answer.status, { 'Content-Type': 'application/json' }).end(answer.body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  });

  afterAll(() => new Promise((resolve) => server.close(resolve)));

  const signed = (alg: string, key: KeyObject, kid?: string) =>
    new SignJWT(CLAIMS).setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) }).sign(key);

  it.each([
    ['RS256', rsa.privateKey, 'rsa'],
    ['ES256', ec.privateKey, 'ec'],
    ['EdDSA', ed.privateKey, 'ed'],
    ['RS256', rsa.privateKey, undefined],
  ] as const)('names its caller by %s', async (alg, key, kid) => {
    const { verify } = createTokens({ ...OPTIONS, secret: null, jwksUrl });
    await expect(verify(await signed(alg, key, kid))).resolves.toMatchObject({ account: 'acme' });
  });

  it('is refused where another key has signed it, under a known id or an unknown one', async () => {
    const { verify } = createTokens({ ...OPTIONS, secret: null, jwksUrl });
    await expect(verify(await signed('RS256', strange.privateKey, 'rsa'))).rejects.toEqual(refused());
    await expect(verify(await signed('RS256', strange.privateKey, 'nobody'))).rejects.toEqual(refused());
    await expect(verify(await signed('PS256', rsa.privateKey, 'rsa'))).rejects.toEqual(refused());
  });

  it.each([null, SECRET])(
    'never takes HS256 by a public key or by a shared key of the set (secret: %s)',
    async (secret) => {
      const { verify } = createTokens({ ...OPTIONS, secret: secret === null ? null : `${secret}-another`, jwksUrl });
      const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString();
      const jwk = JSON.stringify(await exportJWK(rsa.publicKey));
      for (const confused of [pem, pem.trim(), jwk]) {
        const header = { alg: 'HS256', kid: 'rsa' };
        await expect(verify(token(CLAIMS, { header, secret: confused }))).rejects.toEqual(refused());
      }
      await expect(verify(token(CLAIMS, { header: { alg: 'HS256', kid: 'oct' } }))).rejects.toEqual(refused());
    },
  );

  it('never takes a key that the token brings along', async () => {
    const { verify } = createTokens({ ...OPTIONS, secret: null, jwksUrl });
    const jwk = await exportJWK(strange.publicKey);
    const header = part({ alg: 'RS256', jwk, kid: 'rsa' });
    const body = `${header}.${part(CLAIMS)}`;
    const forged = `${body}.${signWith('sha256', Buffer.from(body), strange.privateKey).toString('base64url')}`;
    await expect(importJWK(jwk, 'RS256')).resolves.toBeDefined();
    await expect(verify(forged)).rejects.toEqual(refused());
  });

  it.each([
    ['does not answer', { status: 500, body: '' }],
    ['is no key set', { status: 200, body: '{"no":"keys"}' }],
    ['is no JSON', { status: 200, body: '<html>' }],
  ])('cannot be judged where the key set %s: 503, not 401', async (_, bad) => {
    const good = answer;
    answer = bad;
    try {
      const { verify } = createTokens({ ...OPTIONS, secret: null, jwksUrl });
      await expect(verify(await signed('RS256', rsa.privateKey, 'rsa'))).rejects.toEqual(refused('unavailable'));
    } finally {
      answer = good;
    }
  });

  it('cannot be judged where nobody listens', async () => {
    const { verify } = createTokens({ ...OPTIONS, secret: null, jwksUrl: 'http://127.0.0.1:1/jwks' });
    await expect(verify(await signed('RS256', rsa.privateKey, 'rsa'))).rejects.toEqual(refused('unavailable'));
  });
});
