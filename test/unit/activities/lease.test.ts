import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type LeaseRequest, startLease } from '../../../src/activities/lease.ts';

const TIMEOUT_MS = 4_000;

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date', 'performance'] }));
afterEach(() => void vi.useRealTimers());

function request(over: Partial<LeaseRequest> = {}): LeaseRequest {
  return {
    taskToken: new Uint8Array(),
    heartbeatTimeoutMs: TIMEOUT_MS,
    grantedAtMs: Date.now(),
    beat: async () => false,
    beatSdk: () => undefined,
    onCalledHome: () => undefined,
    onLost: () => undefined,
    onRenewed: () => undefined,
    ...over,
  };
}

test('is held from its grant, and renewed by every heartbeat that the server acknowledges', async () => {
  const lease = startLease(request());
  expect(lease.held()).toBe(true);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(lease.held()).toBe(true);
  lease.stop();
});

test('runs out before the server may replace the slice where no heartbeat is acknowledged', async () => {
  const lease = startLease(request({ beat: () => Promise.reject(new Error('link is down')) }));
  await vi.advanceTimersByTimeAsync(3_200);
  expect(lease.held()).toBe(true);
  await vi.advanceTimersByTimeAsync(200);
  expect(lease.held()).toBe(false);
  lease.stop();
});

test('a heartbeat renews from when it was sent, not from when its answer came', async () => {
  const answers: ((wanted: boolean) => void)[] = [];
  const lease = startLease(request({ beat: () => new Promise((resolve) => answers.push(resolve)) }));
  await vi.advanceTimersByTimeAsync(1_400);
  await vi.advanceTimersByTimeAsync(3_200);
  answers[0]?.(false);
  await vi.advanceTimersByTimeAsync(0);
  expect(lease.held()).toBe(true);
  await vi.advanceTimersByTimeAsync(200);
  expect(lease.held()).toBe(false);
  lease.stop();
});

test('a process that was frozen has lost it when it thaws, by either clock', () => {
  const lease = startLease(request());
  vi.setSystemTime(Date.now() + TIMEOUT_MS);
  expect(lease.held()).toBe(false);
  lease.stop();
});

test('a task that was handed out long ago is asked for before anything is done', async () => {
  let beats = 0;
  const beat = async () => {
    beats++;
    return false;
  };
  const lease = startLease(request({ grantedAtMs: Date.now() - 10_000, beat }));
  expect(lease.held()).toBe(false);
  await vi.advanceTimersByTimeAsync(0);
  expect(beats).toBe(1);
  expect(lease.held()).toBe(true);
  lease.stop();
});

test('a refusal by the server is final; being wanted home is passed on', async () => {
  const told: string[] = [];
  const refused = Object.assign(new Error('not found'), { code: 5 });
  let wanted = true;
  const lease = startLease(
    request({
      beat: () => (wanted ? Promise.resolve(true) : Promise.reject(refused)),
      onCalledHome: () => void told.push('home'),
      onLost: () => void told.push('lost'),
    }),
  );
  await lease.renew();
  expect(told).toEqual(['home']);
  wanted = false;
  await lease.renew();
  expect(told).toEqual(['home', 'lost']);
  expect(lease.held()).toBe(false);
  lease.stop();
});
