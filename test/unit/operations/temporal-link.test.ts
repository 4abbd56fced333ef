import type { Client } from '@temporalio/client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createTemporalLink, faultOf } from '../../../src/operations/running/temporal-link.ts';

const unavailable = () => Object.assign(new Error('no connection'), { code: 14 });

/** A server that can be taken away; it counts the probes. */
function server() {
  const state = { away: false, probes: 0 };
  const answer = async () => {
    state.probes++;
    if (state.away) throw unavailable();
  };
  const client = {
    withDeadline: <T>(_: number, call: () => Promise<T>) => call(),
    workflowService: { getSystemInfo: answer },
  };
  return { state, link: createTemporalLink(client as unknown as Client) };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('the link to Temporal', () => {
  it('tries nothing while the server is away, and asks at most once a second whether it is back', async () => {
    const { state, link } = server();
    state.away = true;
    const call = vi.fn(async () => {
      throw unavailable();
    });
    await expect(link.call(1_000, call)).rejects.toThrow();
    await vi.advanceTimersByTimeAsync(0);
    expect(link.isDown()).toBe(true);
    for (let i = 0; i < 50; i++) await expect(link.call(1_000, call)).rejects.toThrow();
    expect(call).toHaveBeenCalledTimes(1);
    expect(state.probes).toBe(1);
    state.away = false;
    await vi.advanceTimersByTimeAsync(1_000);
    await expect(link.call(1_000, call)).rejects.toThrow();
    await vi.advanceTimersByTimeAsync(0);
    expect(state.probes).toBe(2);
    expect(await link.call(1_000, async () => 'answer')).toBe('answer');
  });

  it('ends a call that hangs, and does not take one slow answer for an absence', async () => {
    const { link } = server();
    const hanging = link.call(700, () => new Promise<never>(() => {}));
    const failed = expect(hanging).rejects.toMatchObject({ message: expect.stringContaining('700 ms') });
    await vi.advanceTimersByTimeAsync(700);
    await failed;
    await vi.advanceTimersByTimeAsync(0);
    expect(link.isDown()).toBe(false);
  });

  it('tells absence, refusal and overload apart, wrapped or not', () => {
    expect(faultOf(unavailable())).toBe('unreachable');
    expect(faultOf(new Error('wrapped', { cause: unavailable() }))).toBe('unreachable');
    expect(faultOf(Object.assign(new Error(), { code: 8 }))).toBe('busy');
    expect(faultOf(Object.assign(new Error(), { code: 5 }))).toBe('not_found');
    expect(faultOf(Object.assign(new Error(), { name: 'QueryRejectedError' }))).toBe('not_found');
    expect(faultOf(Object.assign(new Error(), { code: 9 }))).toBe('other');
    expect(faultOf('text')).toBe('other');
  });
});
