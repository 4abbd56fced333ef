/** Settings are read strictly: a fault is never a default, and all faults are told at once. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { generatedFiles } from '../../../scripts/generate-docs.ts';
import { ConfigError, type Mode, readConfig } from '../../../src/config.ts';
import { SETTINGS } from '../../../src/settings.ts';

function faultsOf(env: Record<string, string>, mode: Mode | null = null): readonly string[] {
  try {
    readConfig(env, mode);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}

describe('configuration', () => {
  it('starts with nothing set', () => {
    const config = readConfig({});
    expect(config.server).toMatchObject({ port: 3000, host: '127.0.0.1' });
    expect(config.blobUrl).toMatch(/^file:\/\/\/.*\.data\/blobs$/);
    expect(config.embeddedTemporal).toBe(true);
    expect(config.vendorUrls['products']).toBe('http://127.0.0.1:4010');
  });

  it.each([
    ['PORT', '80a'],
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', ' 80'],
    ['PORT', '1e3'],
    ['LOG_LEVEL', 'loud'],
    ['TEMPORAL_TLS', 'yes please'],
    ['TEMPORAL_ADDRESS', 'localhost'],
    ['BLOB_URL', 'ftp://somewhere'],
    ['BLOB_URL', './blobs'],
    ['PRODUCTS_VENDOR_URL', 'localhost:4010'],
    ['VENDOR_BUDGETS', 'products'],
    ['VENDOR_BUDGETS', 'products=0/s'],
    ['RETRY_BACKOFF_COEFFICIENT', '0.5'],
    ['RETENTION_DAYS', '0'],
  ])('refuses %s=%s and names both', (name, value) => {
    const faults = faultsOf({ [name]: value });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(`${name}=${JSON.stringify(value)} must be`);
  });

  it('lists every fault at once', () => {
    expect(faultsOf({ PORT: '80a', LOG_LEVEL: 'loud', BOX_MS: 'short' })).toHaveLength(3);
  });

  it('refuses settings that contradict each other', () => {
    expect(faultsOf({ S3_ACCESS_KEY_ID: 'a' })).toEqual([
      'S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY must be set both or neither',
    ]);
    expect(faultsOf({ BOX_MS: '5000', BOX_MAX_MS: '4000' })).toHaveLength(1);
    expect(faultsOf({ RETRY_INITIAL_INTERVAL_MS: '500', RETRY_MAXIMUM_INTERVAL_MS: '100' })).toHaveLength(1);
  });

  it('takes an empty variable as not set', () => {
    expect(readConfig({ PORT: '', HOST: '' }).server).toMatchObject({ port: 3000, host: '127.0.0.1' });
  });

  it('follows the mock vendor to its port, and a vendor of your own instead of it', () => {
    expect(readConfig({ MOCK_VENDOR_PORT: '4999' }).vendorUrls['products']).toBe('http://127.0.0.1:4999');
    const own = readConfig({ PRODUCTS_VENDOR_URL: 'https://vendor.example/api' });
    expect(own.vendorUrls['products']).toBe('https://vendor.example/api');
  });

  it('gives every variable to one setting only', () => {
    const names = Object.values(SETTINGS).flatMap((group) => Object.values(group).map((setting) => setting.env));
    expect(new Set(names).size).toBe(names.length);
  });

  it('keeps the generated pages current (else: npm run docs)', () => {
    for (const [path, content] of Object.entries(generatedFiles())) {
      expect(readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8')).toBe(content);
    }
  });
});

describe('who may come in', () => {
  const SECRET = { JWT_SECRET: 'x'.repeat(32) };
  const AWAY = { TEMPORAL_ADDRESS: 'temporal:7233' };
  const ANYWHERE = { HOST: '0.0.0.0' };
  const DATABASE = { DATABASE_URL: 'postgres://u@db/tranche' };

  it.each<[string, Mode, Record<string, string>]>([
    ['the embedded stack on this machine', 'all', {}],
    ['the embedded stack on this machine, said in words', 'all', { AUTH: 'none' }],
    ['the embedded stack by IPv6', 'all', { HOST: '::1' }],
    ['the embedded stack everywhere, with sign-in', 'all', { ...ANYWHERE, ...SECRET }],
    ['an API on this machine', 'api', {}],
    ['an API with a secret', 'api', { ...AWAY, ...ANYWHERE, ...SECRET }],
    ['an API with a key set', 'api', { ...AWAY, JWT_JWKS_URL: 'https://issuer.example/jwks' }],
    ["an API with the operator's key", 'api', { ...AWAY, ADMIN_API_KEY: 'k'.repeat(32) }],
    ['an API with API keys alone', 'api', { ...AWAY, AUTH: 'on', ...DATABASE }],
    ['an API without sign-in, said in words', 'api', { ...AWAY, ...ANYWHERE, AUTH: 'none' }],
    ['an API with limits and a database', 'api', { ACCOUNT_ITEMS_MAX: '5', ...DATABASE }],
    ['the embedded stack with limits', 'all', { RATE_LIMIT_MAX: '5' }],
  ])('lets %s start', (_, mode, env) => {
    expect(faultsOf(env, mode)).toEqual([]);
  });

  it.each<[string, Mode, Record<string, string>]>([
    ['the embedded stack everywhere', 'all', ANYWHERE],
    ['the embedded stack everywhere, even in words', 'all', { ...ANYWHERE, AUTH: 'none' }],
    ['the embedded stack on a name that only begins like a local one', 'all', { HOST: '127.0.0.1.example' }],
    ['an API of a cluster', 'api', AWAY],
    ['an API everywhere', 'api', ANYWHERE],
    ['an API that is to sign in, without a way to', 'api', { AUTH: 'on' }],
    ['an API that is told both', 'api', { ...SECRET, AUTH: 'none' }],
    ['an API with limits and nothing to count them in', 'api', { ACCOUNT_SUBMISSIONS_MAX: '5' }],
  ])('refuses %s, in words', (_, mode, env) => {
    const faults = faultsOf(env, mode);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(/JWT_SECRET|DATABASE_URL/);
  });

  it.each([
    ['JWT_SECRET', 'x'.repeat(31)],
    ['ADMIN_API_KEY', 'short'],
    ['ADMIN_API_KEY', `${'k'.repeat(32)} with spaces`],
    ['JWT_JWKS_URL', 'file:///etc/keys'],
    ['AUTH', 'off'],
    ['ACCOUNT_ITEMS_MAX', '-1'],
    ['RATE_LIMIT_WINDOW_MS', '0'],
  ])('refuses a wrong %s and never prints a secret', (name, value) => {
    const faults = faultsOf({ [name]: value });
    expect(faults).toHaveLength(1);
    if (name === 'JWT_SECRET' || name === 'ADMIN_API_KEY') expect(faults[0]).not.toContain(value);
  });

  it('signs in as soon as there is a way to', () => {
    expect(readConfig({}).signIn).toBe(false);
    expect(readConfig(SECRET).signIn).toBe(true);
    expect(readConfig({ AUTH: 'on' }).signIn).toBe(true);
    expect(readConfig({ AUTH: 'none' }).signIn).toBe(false);
  });
});
