/** A sync answers only for what happened before it began. */
import { describe, expect, it } from 'vitest';
import { createGroupSync } from '../../../src/storage/group-sync.ts';

function fakeDisk() {
  const running: { path: string; answer: PromiseWithResolvers<void> }[] = [];
  const begun: string[] = [];
  const sync = createGroupSync((path) => {
    const answer = Promise.withResolvers<void>();
    running.push({ path, answer });
    begun.push(path);
    return answer.promise;
  });
  const end = async (error?: Error) => {
    const first = running.shift();
    if (error === undefined) first?.answer.resolve();
    else first?.answer.reject(error);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { sync, begun, end };
}

function watch(promise: Promise<void>) {
  const state = { now: 'waiting' };
  promise.then(
    () => {
      state.now = 'durable';
    },
    () => {
      state.now = 'failed';
    },
  );
  return state;
}

describe('group sync', () => {
  it('lets all who come while a sync runs wait for the next one, which they share', async () => {
    const { sync, begun, end } = fakeDisk();
    const first = watch(sync('a'));
    const late = [watch(sync('a')), watch(sync('a')), watch(sync('a'))];
    expect(begun).toEqual(['a']);
    await end();
    expect(first.now).toBe('durable');
    expect(late.map(({ now }) => now)).toEqual(['waiting', 'waiting', 'waiting']);
    expect(begun).toEqual(['a', 'a']);
    const later = watch(sync('a'));
    await end();
    expect(late.map(({ now }) => now)).toEqual(['durable', 'durable', 'durable']);
    expect(later.now).toBe('waiting');
    await end();
    expect(later.now).toBe('durable');
    expect(begun).toHaveLength(3);
  });

  it('begins anew when none runs, and lets no folder wait for another', async () => {
    const { sync, begun, end } = fakeDisk();
    sync('a');
    sync('b');
    expect(begun).toEqual(['a', 'b']);
    await end();
    await end();
    sync('a');
    expect(begun).toEqual(['a', 'b', 'a']);
    await end();
  });

  it('tells a failed sync to those who waited for it, and to nobody else', async () => {
    const { sync, end } = fakeDisk();
    const first = watch(sync('a'));
    const late = watch(sync('a'));
    await end(new Error('EIO'));
    expect([first.now, late.now]).toEqual(['failed', 'waiting']);
    await end();
    expect(late.now).toBe('durable');
  });
});
