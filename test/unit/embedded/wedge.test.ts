import { describe, expect, it, vi } from 'vitest';
import { createWedgeWatch } from '../../../src/embedded/wedge.ts';

const SIGN = Buffer.from(
  '{"level":"ERROR","error":"UpdateShard failed. Failed to start transaction. Error: interrupted (9)"}\n',
);
const OTHER = Buffer.from('{"level":"ERROR","error":"context deadline exceeded"}\n');

/** Feeds lines at seconds of a clock. */
function watching() {
  let nowMs = 0;
  const onWedged = vi.fn();
  const watch = createWedgeWatch(onWedged, () => nowMs);
  return {
    onWedged,
    say(second: number, line = SIGN) {
      nowMs = second * 1_000;
      watch(line);
    },
  };
}

describe('a wedged Temporal server', () => {
  it('is told once, after eight seconds of nothing but interruptions', () => {
    const { say, onWedged } = watching();
    for (let second = 0; second < 8; second += 1) say(second);
    expect(onWedged).not.toHaveBeenCalled();
    for (let second = 8; second < 20; second += 1) say(second);
    expect(onWedged).toHaveBeenCalledOnce();
  });

  it('is none where interruptions pass', () => {
    const { say, onWedged } = watching();
    for (let second = 0; second < 60; second += 4) say(second);
    expect(onWedged).not.toHaveBeenCalled();
  });

  it('is none where it says other things', () => {
    const { say, onWedged } = watching();
    for (let second = 0; second < 60; second += 1) say(second, OTHER);
    expect(onWedged).not.toHaveBeenCalled();
  });
});
