/** Changes in what was done: calls, keys, budgets, faults. */
import {
  callOfPaused,
  cancelledTrace,
  changed,
  executed,
  flipped,
  kill,
  lastCall,
  lines,
  type Mutation,
  named,
  pausedAt,
  resumed,
  retriedWith,
} from './sample.ts';

export const MUTATIONS_OF_CALLS: readonly Mutation[] = [
  [
    'an effect is doubled',
    'effects once',
    () => changed('call', executed, (each) => [each, { ...each, at: each.at + 1 }]),
  ],
  [
    'an effect is doubled under another key',
    'effects once',
    () => changed('call', executed, (each) => [each, { ...each, key: `${each.key}:r2` }]),
  ],
  [
    'a call is of no item',
    'effects once',
    () => changed('call', executed, (each) => [each, { ...each, key: 'somebody' }]),
  ],
  [
    'a call is repeated for nothing',
    'repeats explained',
    () =>
      changed(
        'call',
        ({ at, status }) => status === 200 && at < (kill?.kind === 'fault' ? kill.fromMs : 0) - 2_000,
        (each) => [each, { ...each, at: each.at + 500, applied: false, replayed: true }],
      ),
  ],
  ['the kill that explains repeats never was', 'repeats explained', () => lines.filter((line) => line !== kill)],
  [
    'a call leaves while all is paused',
    'quiet when paused',
    () =>
      changed(
        'call',
        (each) => each === callOfPaused,
        (each) => [{ ...each, sentAtMs: (pausedAt?.seenAtMs ?? 0) + 50, at: (pausedAt?.seenAtMs ?? 0) + 51 }],
      ),
  ],
  ['nobody asked to go on', 'quiet when paused', () => lines.filter((line) => line !== resumed)],
  [
    'a call leaves long after a cancel',
    'controls obeyed',
    () =>
      changed(
        'call',
        (each) => each.traceId === cancelledTrace(),
        (each) => [each, { ...each, at: (lastCall?.at ?? 0) + 60_000, sentAtMs: (lastCall?.at ?? 0) + 60_000 }],
      ),
  ],
  [
    'the cancelled one ends as if it were not',
    'controls obeyed',
    () =>
      lines.map((line) =>
        line.kind === 'reading' && line.state === 'ended' && named('.cancelled')(line)
          ? {
              ...line,
              outcome: 'partially_succeeded',
              seenAtMs: line.seenAtMs + 20_000,
              beganAtMs: line.beganAtMs + 20_000,
            }
          : line,
      ),
  ],
  [
    'all calls come in one second',
    'windows kept',
    () =>
      lines.map((line, n) =>
        line.kind === 'call'
          ? { ...line, at: 5e11 + n / 10, sentAtMs: 5e11 + n / 10 }
          : line.kind === 'budget'
            ? { ...line, fromMs: 0 }
            : line,
      ),
  ],
  [
    'the budget was one call less',
    'windows kept',
    () =>
      changed(
        'budget',
        () => true,
        (each) => [{ ...each, windows: each.windows.map((window) => ({ ...window, calls: 40 })) }],
      ),
  ],
  ['a retry changes another outcome', 'retry touches what it chose', () => retriedWith(flipped)],
  [
    'a retry calls what it did not choose',
    'retry touches what it chose',
    () =>
      changed(
        'call',
        ({ key }) => key?.endsWith(':r2') === true,
        (each) => [{ ...each, key: each.key?.replace(/:\d+:r2$/, ':0') ?? null }],
      ),
  ],
  [
    'a retry keeps the key of a failure',
    'retry touches what it chose',
    () =>
      changed(
        'call',
        ({ key }) => key?.endsWith(':r2') === true,
        (each) => [{ ...each, key: each.key?.replace(':r2', '') ?? null }],
      ),
  ],
];
