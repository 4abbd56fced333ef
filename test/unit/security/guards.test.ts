/** The small guards beside the doors: gzip bombs, formulas, passwords in settings, names that pass for others. */
import { gzipSync } from 'node:zlib';
import { SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { toCsv } from '../../../src/api/native/results-format.ts';
import { createPlaces } from '../../../src/api/places.ts';
import { createTokens } from '../../../src/api/sign-in/tokens.ts';
import { ConfigError, readConfig } from '../../../src/config.ts';
import { createDecoder } from '../../../src/ingest/decode.ts';
import { noLog } from '../../../src/model/log.ts';
import { SETTINGS } from '../../../src/settings.ts';

const MIB = 1024 * 1024;

describe('a body that inflates', () => {
  const inflated = async (pieces: readonly Buffer[]): Promise<number> => {
    const source = async function* () {
      yield* pieces;
    };
    const decoder = createDecoder(source(), 'gzip', null);
    for await (const _ of decoder.bytes);
    return decoder.decodedBytes();
  };
  const likeItems = gzipSync(Buffer.from('{}\n'.repeat(MIB)));

  it('to 60 MiB may be of one item all over', async () => {
    expect(await inflated(Array.from({ length: 20 }, () => likeItems))).toBe(60 * MIB);
  });

  it('to 200 times its size ends there, whatever is still to come', async () => {
    let sent = 0;
    const source = async function* () {
      for (; sent < 100_000; sent++) yield likeItems;
    };
    const decoder = createDecoder(source(), 'gzip', null);
    const drained = (async () => {
      for await (const _ of decoder.bytes);
    })();
    await expect(drained).rejects.toMatchObject({ code: 'content_too_large', facts: { limit: 200, unit: 'times' } });
    expect(decoder.decodedBytes()).toBeLessThan(80 * MIB);
    expect(sent).toBeLessThan(100);
  });

  it('to more than that is taken where its items differ', async () => {
    const lines = Array.from({ length: 400_000 }, (_, n) => `{"type":"delete","id":${n}}\n`).join('');
    const member = gzipSync(Buffer.from(lines));
    expect(await inflated(Array.from({ length: 9 }, () => member))).toBeGreaterThan(70 * MIB);
  });
});

describe('a cell for spreadsheets', () => {
  it.each(['=1', '+1', '-1', '@x', '\t=1', '\r=1', '\n=1', '\uff1d1', '\uff0b1', '\uff0d1', '\uff20x'])(
    'never begins as a formula: %j',
    async (id) => {
      const line = Buffer.from(
        `${JSON.stringify({ index: 0, id, outcome: 'failed', error: { code: 'x', message: id } })}\n`,
      );
      const pieces = async function* () {
        yield line;
      };
      let text = '';
      for await (const piece of toCsv(pieces(), { guarded: true })) text += piece.toString('utf8');
      expect(text.match(/(?:^|,)"?[=+\-@\t\n\uff1d\uff0b\uff0d\uff20]/)).toBeNull();
      expect(text.split(`'${id}`)).toHaveLength(3);
    },
  );
});

describe('a setting', () => {
  const faultsOf = (env: Record<string, string>): string => {
    try {
      readConfig(env);
      return '';
    } catch (error) {
      if (error instanceof ConfigError) return error.message;
      throw error;
    }
  };
  const urls = Object.values(SETTINGS)
    .flatMap((group) => Object.values(group) as { readonly env: string; readonly secret?: true }[])
    .filter(({ env, secret }) => /_URL$/.test(env) && secret === undefined)
    .map(({ env }) => env);

  it.each(urls)('%s takes no password, and the fault does not repeat it', (env) => {
    for (const scheme of ['http', 'https', 's3', 'file']) {
      const fault = faultsOf({ [env]: `${scheme}://user:hunter2@host.example/x` });
      expect(fault).toContain(env);
      expect(fault).not.toContain('hunter2');
    }
  });

  it('that is secret is never repeated, however wrong it is', () => {
    const secrets = Object.values(SETTINGS)
      .flatMap((group) => Object.values(group) as { readonly env: string; readonly secret?: true }[])
      .filter(({ secret }) => secret === true);
    expect(secrets.length).toBeGreaterThan(5);
    for (const { env } of secrets) expect(faultsOf({ [env]: 'hunter2 \n', PORT: 'x' })).not.toContain('hunter2');
  });
});

describe('a token', () => {
  const SECRET = 'a-secret-of-more-than-32-bytes-for-tests';
  const tokens = createTokens({
    ...{ secret: SECRET, jwksUrl: null, issuer: null, audience: null, log: noLog },
    ...{ accountClaim: 'account', rolesClaim: 'roles' },
  });
  const signed = (subject: string) =>
    new SignJWT({ account: 'acme', roles: ['viewer'] })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(subject)
      .setExpirationTime('5m')
      .sign(Buffer.from(SECRET));

  it.each(['admin-api-key', 'key:0123456789abcdefghjk', 'key:'])(
    'cannot act in the name of an API key: %s',
    async (name) => {
      await expect(tokens.verify(await signed(name))).rejects.toMatchObject({ code: 'unauthenticated' });
    },
  );

  it('may have a name that is only like one', async () => {
    expect(await tokens.verify(await signed('keyholder'))).toMatchObject({ subject: 'keyholder' });
  });
});

describe('places', () => {
  it('are so many for all and so many for each, and every one comes back', () => {
    const places = createPlaces(3, 2);
    expect([places.take('a'), places.take('a'), places.take('a')]).toEqual([true, true, false]);
    expect([places.take('b'), places.take('c')]).toEqual([true, false]);
    places.leave('a');
    expect([places.take('c'), places.take('a')]).toEqual([true, false]);
    for (const account of ['a', 'b', 'c']) places.leave(account);
    expect([places.take('d'), places.take('d'), places.take('e')]).toEqual([true, true, true]);
  });
});
