import { expect, test } from 'vitest';
import { readConfig } from '../../../src/config.ts';

const SECRET = 'x'.repeat(32);
const CLUSTER = { TEMPORAL_ADDRESS: 'temporal:7233' };

test('a secret must be long enough, and is never shown', () => {
  expect(() => readConfig({ CALLBACK_SECRET: 'too short' })).toThrow(
    /CALLBACK_SECRET=\(secret\) must have at least 32 bytes/,
  );
  expect(readConfig({ CALLBACK_SECRET: SECRET }).callbacks.secret).toBe(SECRET);
  // Bytes, not characters.
  expect(readConfig({ CALLBACK_SECRET: 'é'.repeat(16) }).callbacks.secret).toHaveLength(16);
});

test('against a cluster a vendor that calls back needs a secret, and a secret a way back', () => {
  const asyncVendor = { ...CLUSTER, ASYNC_VENDOR_URL: 'https://vendor.example.com' };
  expect(() => readConfig(asyncVendor)).toThrow(/CALLBACK_SECRET must be set/);
  expect(() => readConfig({ ...asyncVendor, CALLBACK_SECRET: SECRET })).toThrow(/CALLBACK_BASE_URL or PUBLIC_URL/);
  const whole = { ...asyncVendor, CALLBACK_SECRET: SECRET };
  expect(readConfig({ ...whole, PUBLIC_URL: 'https://bulk.example.com' }).callbackBaseUrl).toBe(
    'https://bulk.example.com',
  );
  const both = { ...whole, PUBLIC_URL: 'https://bulk.example.com', CALLBACK_BASE_URL: 'http://10.0.0.1:3000' };
  expect(readConfig(both).callbackBaseUrl).toBe('http://10.0.0.1:3000');
});

test('the embedded stack needs neither, and its vendors are the mock ones', () => {
  const { vendorUrls, callbacks } = readConfig({ MOCK_VENDOR_PORT: '4999' });
  expect(callbacks.secret).toBe('');
  expect(vendorUrls).toMatchObject({ sync: 'http://127.0.0.1:4999/sync', async: 'http://127.0.0.1:4999/async' });
  expect(readConfig({ SYNC_VENDOR_URL: 'https://v.example.com/api' }).vendorUrls['sync']).toBe(
    'https://v.example.com/api',
  );
});
