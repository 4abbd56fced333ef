/** The issuer of tokens changes its keys: the new one is taken soon, the old one no longer once it is gone from the set. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { exportJWK, SignJWT } from 'jose';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createTokens } from '../../../src/api/sign-in/tokens.ts';
import { noLog } from '../../../src/model/log.ts';

const before = generateKeyPairSync('ed25519');
const after = generateKeyPairSync('ed25519');
let server: Server;
let jwksUrl: string;
let keys: readonly { readonly kid: string; readonly publicKey: KeyObject }[];
let asked = 0;

beforeEach(async () => {
  asked = 0;
  keys = [{ kid: 'before', publicKey: before.publicKey }];
  server = createServer(async (_, response) => {
    asked++;
    const set = await Promise.all(keys.map(async ({ kid, publicKey }) => ({ ...(await exportJWK(publicKey)), kid })));
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ keys: set }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  jwksUrl = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/keys`;
});
afterEach(() => {
  vi.useRealTimers();
  server.closeAllConnections();
  server.close();
});

const tokensOf = () =>
  createTokens({
    ...{ secret: null, jwksUrl, issuer: null, audience: null, log: noLog },
    ...{ accountClaim: 'account', rolesClaim: 'roles' },
  });

let serial = 0;
/** Each is another one, so that none is known from before. */
const signedBy = (kid: string, key: KeyObject) =>
  new SignJWT({ account: 'acme', jti: `${serial++}` })
    .setProtectedHeader({ alg: 'EdDSA', kid })
    .setSubject('u')
    .sign(key);

const refused = { code: 'unauthenticated' };

it('takes the new key within half a minute, beside the old one', async () => {
  const { verify } = tokensOf();
  await verify(await signedBy('before', before.privateKey));
  keys = [...keys, { kid: 'after', publicKey: after.publicKey }];
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 31_000 });
  await expect(verify(await signedBy('after', after.privateKey))).resolves.toMatchObject({ account: 'acme' });
  await expect(verify(await signedBy('before', before.privateKey))).resolves.toMatchObject({ account: 'acme' });
});

it('takes the old key no longer than ten minutes after it was taken out of the set', async () => {
  const { verify } = tokensOf();
  const old = await signedBy('before', before.privateKey);
  await verify(old);
  keys = [{ kid: 'after', publicKey: after.publicKey }];
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 601_000 });
  await expect(verify(await signedBy('before', before.privateKey))).rejects.toMatchObject(refused);
  await expect(verify(old), 'verified before').rejects.toMatchObject(refused);
});

it('asks for the set no more often than twice a minute, however many unknown keys tokens name', async () => {
  const { verify } = tokensOf();
  for (let n = 0; n < 50; n++) {
    await expect(verify(await signedBy(`unknown-${n}`, after.privateKey))).rejects.toMatchObject(refused);
  }
  expect(asked).toBeLessThanOrEqual(2);
});
