import type { Client } from '@temporalio/client';
import { describe, expect, it, vi } from 'vitest';
import { createAmend } from '../../../src/operations/amend.ts';
import { createControl } from '../../../src/operations/control.ts';
import type { OperationView } from '../../../src/operations/operations.ts';
import type { Status } from '../../../src/operations/status/status.ts';
import { viewOf } from '../../fixtures/fake-operations.ts';

const FAR = '2099-01-01T00:00:00.000Z';
const FARTHER = '2999-01-01T00:00:00.000Z';

/** An operation as it is shown before and after a signal. */
function amending(before: Partial<OperationView>, after: Partial<OperationView> = before) {
  const signal = vi.fn(async (_name: string, _amendment?: unknown) => undefined);
  const client = { workflow: { getHandle: () => ({ signal }) } } as unknown as Client;
  const link = { call: <T>(_: number, call: () => Promise<T>) => call(), probe: async () => true, isDown: () => false };
  const status = {
    get: async () => viewOf({ id: 'op', ...before }),
    fresh: async () => viewOf({ id: 'op', ...after }),
  } as unknown as Status;
  const deps = { client, link, status, callDeadlineMs: 1_000 };
  return { signal, amend: createAmend(deps), control: createControl(deps) };
}

describe('to amend', () => {
  it('is settled once the workflow has said so', async () => {
    const { amend, signal } = amending({ state: 'running' });
    expect(await amend('default', 'op', { concurrency: 3, callsPerSecond: null })).toMatchObject({ settled: true });
    expect(signal).toHaveBeenCalledWith('amend', { concurrency: 3, callsPerSecond: null });
  });

  it('is in transition where nobody answers', async () => {
    const { amend } = amending({ state: 'queued', live: false });
    expect(await amend('default', 'op', { priority: 1 })).toMatchObject({ settled: false });
  });

  it('moves what is scheduled, also to a time that has come', async () => {
    const scheduled = { state: 'scheduled', scheduledAt: FAR } as const;
    const later = amending(scheduled, { ...scheduled, scheduledAt: FARTHER });
    expect(await later.amend('default', 'op', { scheduledAt: '2999-01-01T01:00:00+01:00' })).toMatchObject({
      settled: true,
    });
    expect(later.signal).toHaveBeenCalledWith('amend', { scheduledAt: FARTHER });
    const past = '2001-01-01T00:00:00.000Z';
    const now = amending(scheduled, { state: 'running', scheduledAt: past, startedAt: FAR });
    expect(await now.amend('default', 'op', { scheduledAt: past })).toMatchObject({ settled: true });
  });

  it('refuses another time for what has begun, before the signal or because of it', async () => {
    const refused = { code: 'illegal_transition', facts: { currentState: 'running' } };
    const begun = amending({ state: 'running', startedAt: FAR });
    await expect(begun.amend('default', 'op', { scheduledAt: FARTHER })).rejects.toMatchObject(refused);
    expect(begun.signal).not.toHaveBeenCalled();
    const late = amending(
      { state: 'scheduled', scheduledAt: FAR },
      { state: 'running', scheduledAt: FAR, startedAt: FAR },
    );
    await expect(late.amend('default', 'op', { scheduledAt: FARTHER })).rejects.toMatchObject(refused);
  });

  it.each(['ended', 'cancelling'] as const)('refuses what is %s', async (state) => {
    const { amend, signal } = amending({ state });
    await expect(amend('default', 'op', { priority: 1 })).rejects.toMatchObject({
      code: 'illegal_transition',
      facts: { currentState: state },
    });
    expect(signal).not.toHaveBeenCalled();
  });

  it('refuses what is out of bounds before anything else', async () => {
    const { amend } = amending({ state: 'ended' });
    await expect(amend('default', 'op', { priority: 9 })).rejects.toMatchObject({ code: 'invalid_policy' });
  });

  it('refuses a deadline that has passed, or that the work would not begin before', async () => {
    const refused = { code: 'invalid_policy', facts: { errors: [expect.objectContaining({ parameter: 'deadline' })] } };
    const past = '2001-01-01T00:00:00.000Z';
    const scheduled = amending({ state: 'scheduled', scheduledAt: FAR, deadline: FARTHER });
    await expect(scheduled.amend('default', 'op', { deadline: past })).rejects.toMatchObject(refused);
    await expect(scheduled.amend('default', 'op', { deadline: FAR })).rejects.toMatchObject(refused);
    await expect(scheduled.amend('default', 'op', { scheduledAt: FARTHER })).rejects.toMatchObject(refused);
    expect(scheduled.signal).not.toHaveBeenCalled();
    expect(await scheduled.amend('default', 'op', { deadline: null })).toMatchObject({ settled: true });
    expect(scheduled.signal).toHaveBeenCalledWith('amend', { deadline: null });
  });

  it('takes other changes of what has begun, whatever its deadline', async () => {
    const begun = amending({
      state: 'running',
      startedAt: FAR,
      scheduledAt: FAR,
      deadline: '2001-01-01T00:00:00.000Z',
    });
    expect(await begun.amend('default', 'op', { maxFailures: 3 })).toMatchObject({ settled: true });
    expect(await begun.amend('default', 'op', { deadline: FAR })).toMatchObject({ settled: true });
  });

  it('changes nothing where nothing is said', async () => {
    const { amend, signal } = amending({ state: 'running' });
    expect(await amend('default', 'op', {})).toMatchObject({ settled: true });
    expect(signal).not.toHaveBeenCalled();
  });
});

describe('what is scheduled', () => {
  it.each(['pause', 'resume'] as const)('takes %s at once', async (verb) => {
    const { control } = amending({ state: 'scheduled', scheduledAt: FAR });
    expect(await control(verb, 'default', 'op')).toMatchObject({ settled: true });
  });
});

describe('what ends while a verb is on its way', () => {
  it.each(['pause', 'cancel'] as const)('is not said to have taken %s', async (verb) => {
    const { control, signal } = amending({ state: 'running' }, { state: 'ended', outcome: 'succeeded' });
    await expect(control(verb, 'default', 'op')).rejects.toMatchObject({
      code: 'illegal_transition',
      facts: { currentState: 'ended' },
    });
    expect(signal).toHaveBeenCalledOnce();
  });

  it('has taken a cancel where it ended by it', async () => {
    const { control } = amending({ state: 'running' }, { state: 'ended', outcome: 'cancelled' });
    expect(await control('cancel', 'default', 'op')).toMatchObject({ settled: true });
  });
});
