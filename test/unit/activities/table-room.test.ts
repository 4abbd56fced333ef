import { describe, expect, it } from 'vitest';
import { createTableRoom } from '../../../src/activities/duplicates/table-room.ts';

const M = 1_000_000;
const never = () => new AbortController().signal;

/** What became of a request for room so far. */
function watch(entering: Promise<() => void>) {
  const seen = { leave: null as (() => void) | null, error: null as unknown };
  entering.then(
    (leave) => {
      seen.leave = leave;
    },
    (error) => {
      seen.error = error;
    },
  );
  return seen;
}

const settled = () => new Promise(setImmediate);

describe('the room for tables', () => {
  it('is shared until it is full; then they wait in their order, and none is passed over', async () => {
    const room = createTableRoom(12 * M);
    const first = watch(room.enter(10 * M, never()));
    const second = watch(room.enter(2 * M, never()));
    const third = watch(room.enter(10 * M, never()));
    const fourth = watch(room.enter(1 * M, never()));
    await settled();
    expect([first.leave, second.leave, third.leave, fourth.leave].map((leave) => leave !== null)).toEqual([
      true,
      true,
      false,
      false,
    ]);
    second.leave?.();
    await settled();
    expect(fourth.leave).toBeNull();
    first.leave?.();
    await settled();
    expect(third.leave).not.toBeNull();
    expect(fourth.leave).not.toBeNull();
  });

  it('small tables never wait', async () => {
    const room = createTableRoom(1 * M);
    await room.enter(1 * M, never());
    await room.enter(20_000, never());
  });

  it('who gives up waiting lets the next one in, and takes nothing', async () => {
    const room = createTableRoom(10 * M);
    const first = watch(room.enter(6 * M, never()));
    const wish = new AbortController();
    const second = watch(room.enter(10 * M, wish.signal));
    const third = watch(room.enter(4 * M, never()));
    await settled();
    expect(third.leave).toBeNull();
    wish.abort(new Error('no longer wanted'));
    await settled();
    expect(second.error).toEqual(new Error('no longer wanted'));
    expect(third.leave).not.toBeNull();
    first.leave?.();
    third.leave?.();
    const whole = watch(room.enter(10 * M, never()));
    await settled();
    expect(whole.leave).not.toBeNull();
  });

  it('nobody enters who has been called off before', () => {
    expect(() => createTableRoom(M).enter(1, AbortSignal.abort(new Error('off')))).toThrow('off');
  });
});
