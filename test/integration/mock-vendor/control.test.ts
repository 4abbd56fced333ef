import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createCallLimit, createFaultPlan } from '../../../src/mock-vendor/fault-plan.ts';
import { DEFAULT_SETTINGS } from '../../../src/mock-vendor/settings.ts';
import { eventually, startVendorUnderTest, type VendorUnderTest } from './vendor-under-test.ts';

let vendor: VendorUnderTest;
beforeEach(async () => {
  vendor = await startVendorUnderTest();
});
afterEach(() => vendor.close());

const patch = (key: string) => vendor.call('PATCH', '/products/1', key, '{"a":1}');
const settings = async () => (await fetch(`${vendor.url}/control`)).json();

describe('settings', () => {
  test('a change merges with what was set, and a reset brings the defaults back', async () => {
    await vendor.control({ latencyMs: 5 });
    const answer = await vendor.control({ strict: true });
    expect(await answer.json()).toEqual({ ...DEFAULT_SETTINGS, latencyMs: 5, strict: true });
    await fetch(`${vendor.url}/control/reset`, { method: 'POST' });
    expect(await settings()).toEqual(DEFAULT_SETTINGS);
  });

  test.each([
    [{ latencyMs: 5, latency: 1 }, 'latency'],
    [{ latencyMs: 5, hangRate: 1.5 }, 'hangRate'],
    [{ latencyMs: -1 }, 'latencyMs'],
    [{ latencyMs: 5, errors: { 200: 0.5 } }, 'errors.200'],
    [{ latencyMs: 5, errors: { 500: 0.6, 503: 0.6 } }, 'errors'],
    [{ latencyMs: 5, down: 'maybe' }, 'down'],
    [{ latencyMs: 5, callsPerSecond: 0 }, 'callsPerSecond'],
  ])('%j is refused as a whole and %s is named', async (change, setting) => {
    const refused = await vendor.control(change);
    expect(refused.status).toBe(400);
    expect(((await refused.json()) as { errors: { setting: string }[] }).errors.map((fault) => fault.setting)).toEqual([
      setting,
    ]);
    expect(await settings()).toEqual(DEFAULT_SETTINGS);
  });

  test('a body that is no JSON object is refused', async () => {
    for (const body of ['', '[]', '{']) {
      expect((await fetch(`${vendor.url}/control`, { method: 'POST', body })).status).toBe(400);
    }
  });
});

describe('faults', () => {
  test('a reset after the effect leaves the effect, no status, and a key that replays', async () => {
    await vendor.control({ resetAfterEffectRate: 1 });
    await expect(patch('k1')).rejects.toThrow();
    await vendor.control({ resetAfterEffectRate: 0 });
    expect((await patch('k1')).headers.get('idempotent-replayed')).toBe('true');
    expect(await vendor.ledger()).toMatchObject([
      { status: null, applied: true, replayed: false },
      { status: 200, applied: false, replayed: true },
    ]);
  });

  test('a reset before the effect leaves nothing', async () => {
    await vendor.control({ resetBeforeEffectRate: 1 });
    await expect(patch('k1')).rejects.toThrow();
    expect(await vendor.ledger()).toMatchObject([{ status: null, applied: false }]);
    expect(await vendor.products()).toEqual([]);
  });

  test.each([false, true])('a hanging call is never answered; its effect is applied: %s', async (hangAppliesEffect) => {
    await vendor.control({ hangRate: 1, hangAppliesEffect });
    const abort = new AbortController();
    const hanging = fetch(`${vendor.url}/products/1`, { method: 'DELETE', signal: abort.signal });
    const rows = await eventually(async () => {
      const found = await vendor.ledger();
      return found.length > 0 ? found : null;
    });
    expect(rows).toMatchObject([{ status: null, applied: hangAppliesEffect }]);
    abort.abort();
    await expect(hanging).rejects.toThrow();
  });

  test('a vendor that is down answers 503, or resets', async () => {
    await vendor.control({ down: true, retryAfterSeconds: 2 });
    const answer = await patch('k1');
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2']);
    await vendor.control({ down: 'reset' });
    await expect(patch('k1')).rejects.toThrow();
    await vendor.control({ down: false });
    expect((await patch('k1')).status).toBe(200);
  });

  test('over its calls per second the vendor answers 429 with Retry-After and applies nothing', async () => {
    await vendor.control({ callsPerSecond: 0.01 });
    const answers = [await patch('k1'), await patch('k2')];
    expect(answers.map((answer) => answer.status)).toEqual([200, 429]);
    expect(Number(answers[1]?.headers.get('retry-after'))).toBeGreaterThan(90);
    expect((await vendor.ledger()).map((row) => row.applied)).toEqual([true, false]);
  });

  test('latency delays effect and answer', async () => {
    await vendor.control({ latencyMs: 100, jitterMs: 10 });
    const began = performance.now();
    await patch('k1');
    expect(performance.now() - began).toBeGreaterThanOrEqual(99);
  });

  test('a seed gives the same fates again', () => {
    const fates = () => {
      const plan = createFaultPlan({ ...DEFAULT_SETTINGS, errors: { 500: 0.3, 503: 0.2 }, hangRate: 0.1, seed: 7 });
      return Array.from({ length: 1_000 }, () => plan.draw());
    };
    expect(fates()).toEqual(fates());
    const failed = fates().filter((fate) => fate.kind === 'error' && fate.status === 500).length;
    expect(failed).toBeGreaterThan(250);
    expect(failed).toBeLessThan(350);
  });

  test('any window of a second admits the limit and no more', () => {
    const overLimit = createCallLimit(3);
    expect([0, 100, 200, 999, 1000, 1050, 1100].map(overLimit)).toEqual([null, null, null, 1, null, 1, null]);
  });
});

describe('ledger', () => {
  test('a row has every column', async () => {
    const before = Date.now() - 1;
    await patch('k1');
    await vendor.call('DELETE', '/products/2', null);
    const [row, keyless] = await vendor.ledger();
    expect(row).toEqual({
      seq: 1,
      traceId: null,
      at: expect.any(Number),
      key: 'k1',
      method: 'PATCH',
      path: '/products/1',
      status: 200,
      applied: true,
      replayed: false,
      bodyHash: expect.any(Number),
      lagMs: expect.any(Number),
      sentAtMs: null,
    });
    expect(row?.at).toBeGreaterThan(before);
    expect(keyless).toMatchObject({ seq: 2, key: null, method: 'DELETE', path: '/products/2', bodyHash: null });
  });

  test('since gives only later rows, and clearing forgets rows, keys and products but no seq', async () => {
    for (const key of ['a', 'b', 'c']) await patch(key);
    expect((await vendor.ledger(2)).map((row) => row.key)).toEqual(['c']);
    await fetch(`${vendor.url}/ledger`, { method: 'DELETE' });
    expect([await vendor.ledger(), await vendor.products()]).toEqual([[], []]);
    expect((await patch('a')).headers.get('idempotent-replayed')).toBeNull();
    expect((await vendor.ledger()).map((row) => row.seq)).toEqual([4]);
  });

  test('the calls log holds every row once the vendor is closed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'calls-log-'));
    try {
      const logged = await startVendorUnderTest({ callsLogPath: join(folder, 'calls.ndjson') });
      await logged.call('DELETE', '/products/1', 'k1');
      await logged.call('DELETE', '/products/2', 'k2');
      const rows = await logged.ledger();
      await logged.close();
      const text = await readFile(join(folder, 'calls.ndjson'), 'utf8');
      expect(
        text
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line)),
      ).toEqual(rows);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
