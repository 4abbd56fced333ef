/** Rules about pause, cancel, retry and the end: for everything that they forbid, a history that does it. */
import { describe, expect, it } from 'vitest';
import type { Action } from '../../check/history.ts';
import { controlsObeyed } from '../../check/rules/controls-obeyed.ts';
import { lifeEnds } from '../../check/rules/life-ends.ts';
import { quietWhenPaused } from '../../check/rules/quiet-when-paused.ts';
import { retryTouchesChosen } from '../../check/rules/retry-touches-chosen.ts';
import { call, download, exchange, fault, reading, row, saidBy, story, submission, submitted, told } from './story.ts';

const control = (action: Action, sentAtMs: number, over = {}) =>
  exchange({ action, sentAtMs, method: 'POST', status: 202, ...over });
const paused = (seenAtMs: number, over = {}) =>
  reading(seenAtMs, { state: 'paused', revision: 3, counts: { pending: 2, succeeded: 1 }, ...over });
const stripped = { retry: null, retrying: null, again: null, endedAgain: null, finalAgain: null } as const;

describe('quiet when paused', () => {
  const late = call(1_800, '1');

  it.each([
    ['a story', told()],
    ['a call that left before', told({}, [paused(1_349.5)])],
    ['a call after a resume', told({}, [paused(1_400), control('resume', 1_700), late])],
    [
      'a call after a resume that nobody answered',
      told({}, [control('resume', 900, { status: null }), paused(1_400), late]),
    ],
    ['a call after a resume that a stale answer hides', told({}, [control('resume', 1_380), paused(1_400), late])],
    ['a state from memory after a resume', told({}, [control('resume', 1_300), paused(1_450, { live: false }), late])],
    [
      'a call that a link held up',
      told({}, [...[paused(1_400), fault('link_vendor', 1_350, 1_900, 'worker→vendor'), { ...late, sentAtMs: null }]]),
    ],
  ])('takes %s', (_, lines) => {
    expect(saidBy(quietWhenPaused, lines)).toEqual([]);
  });

  it.each([
    ['after paused', told({}, [paused(1_400), late]), /index 1 left 399 ms after paused/],
    ['after paused, judged by its arrival', told({}, [paused(1_400), { ...late, sentAtMs: null }]), /after paused/],
    [
      'after paused, though it was resumed long before',
      told({ ...stripped, ended: null, final: null }, [...[control('resume', 1_010), paused(8_000), call(8_200, '1')]]),
      /after paused/,
    ],
    [
      'after paused, though a resume was refused',
      told({}, [...[paused(1_400), control('resume', 1_450, { status: 409 }), late]]),
      /after paused/,
    ],
    ['after the end', told({}, [call(2_500, '1')]), /after ended/],
    ['after the end of the retry', told({}, [call(4_500, '2:r2')]), /after ended/],
  ])('finds a call %s', (_, lines, text) => {
    expect(saidBy(quietWhenPaused, lines)).toContainEqual(expect.stringMatching(text));
  });
});

describe('controls obeyed', () => {
  const cancel = control('cancel', 1_400);
  const answered = reading(1_410, {
    ...{ via: 'control', state: 'cancelling', revision: 3, beganAtMs: 1_400, counts: { pending: 2, succeeded: 1 } },
  });
  const ended = reading(2_000, {
    ...{ revision: 5, state: 'ended', outcome: 'cancelled', counts: { succeeded: 2, cancelled: 1 } },
  });
  const late = call(20_000, '1', { status: 409, applied: false });

  it.each([
    ['a story', told()],
    ['a cancel that came to pass', told({ ...stripped, ended }, [cancel, answered])],
    ['a cancel that came when all was in flight', told({ ...stripped }, [cancel, answered])],
    ['a cancel that was refused', told({}, [control('cancel', 2_500, { status: 409 })])],
    [
      'a call that was on its way',
      told({ ...stripped, ended: null, final: null }, [cancel, answered, call(4_000, '1')]),
    ],
    [
      'a call after a resume',
      told({ ...stripped, ended: null }, [control('pause', 1_400), control('resume', 9_000), late]),
    ],
    [
      'a pause that a resume overtook',
      told({ ...stripped }, [control('resume', 1_395), control('pause', 1_400), late]),
    ],
    [
      'a call that a machine without time let go late',
      told({ ...stripped, ended: null, final: null }, [
        ...[cancel, answered, fault('stall', 2_000, 7_000, 'machine'), call(13_000, '1')],
      ]),
    ],
    [
      'calls while nobody can be told',
      told({ ...stripped }, [
        ...[control('pause', 1_400), fault('link_temporal', 1_000, 15_000, 'worker→temporal'), late],
      ]),
    ],
  ])('takes %s', (_, lines) => {
    expect(saidBy(controlsObeyed, lines)).toEqual([]);
  });

  it.each([
    [
      'a cancel is swallowed on a machine that stands still now and then',
      told({ ...stripped, ended: { ...story().ended, seenAtMs: 9_000, beganAtMs: 8_990 } }, [
        ...[cancel, answered, fault('stall', 1_200, 1_500, 'machine'), fault('stall', 5_000, 5_300, 'machine')],
      ]),
      /ended as partially_succeeded/,
    ],
    [
      'a cancel is swallowed',
      told({ ...stripped, ended: { ...story().ended, seenAtMs: 9_000, beganAtMs: 8_990 } }, [cancel, answered]),
      /ended as partially_succeeded/,
    ],
    [
      'a cancel is said to be done and is not',
      told({ ...stripped }, [{ ...cancel, status: 200 }, answered]),
      /was answered 200/,
    ],
    [
      'calls go on after a cancel',
      told({ ...stripped, ended: null }, [cancel, answered, late]),
      /after cancel was answered/,
    ],
    ['calls go on after a pause', told({ ...stripped, ended: null }, [control('pause', 1_400), late]), /after pause/],
    [
      'a fault long over is no excuse',
      told({ ...stripped }, [
        ...[fault('link_temporal', 100, 200, 'worker→temporal'), control('pause', 1_400), call(40_000, '1')],
      ]),
      /after pause/,
    ],
  ])('finds that %s', (_, lines, text) => {
    expect(saidBy(controlsObeyed, lines)).toContainEqual(expect.stringMatching(text));
  });
});

describe('retry touches what it chose', () => {
  const corrected = { fromRun: 1, outcomes: [], codes: null, indexes: null, corrected: [2] } as const;

  it.each([
    ['a story', told()],
    ['corrected items', told({ retry: { ...story().retry, retried: corrected } })],
    [
      'chosen by code and index',
      told({
        retry: {
          ...story().retry,
          retried: { fromRun: 1, outcomes: [], codes: ['vendor_rejected'], indexes: [1, 2], corrected: null },
        },
      }),
    ],
    [
      'a doubt that keeps its key',
      told({
        final: download(2_100, [row(0), row(1), row(2, 'unknown', 'vendor_timeout')]),
        retry: { ...story().retry, retried: { ...corrected, outcomes: ['unknown'], corrected: null } },
        again: call(3_100, '2'),
      }),
    ],
  ])('takes %s', (_, lines) => {
    expect(saidBy(retryTouchesChosen, lines)).toEqual([]);
  });

  it.each([
    [
      'two retries follow one run',
      told({}, [{ ...story().retry, sentAtMs: 3_001 }]),
      /2 retries were accepted after run 1/,
    ],
    [
      'another outcome changed',
      told({ finalAgain: download(4_100, [row(0), row(1, 'failed', 'x'), row(2)]) }),
      /index 1 was succeeded and is failed/,
    ],
    [
      'another item is gone',
      told({ finalAgain: download(4_100, [row(0), row(2)]) }),
      /index 1 was succeeded and is gone/,
    ],
    ['another item was called', told({}, [call(3_200, '1')]), /index 1 is called in run 2, which did not choose it/],
    ['a failure kept its key', told({ again: call(3_100, '2') }), /under the key of run 1 where that of run 2/],
    [
      'a doubt got another key',
      told({
        final: download(2_100, [row(0), row(1), row(2, 'unknown', 'vendor_timeout')]),
        retry: { ...story().retry, retried: { ...corrected, outcomes: ['unknown'], corrected: null } },
      }),
      /under the key of run 2 where that of run 1/,
    ],
    [
      'an item of another code was taken up',
      told({ retry: { ...story().retry, retried: { ...corrected, codes: ['other'], corrected: null } } }),
      /index 2 was failed and is succeeded/,
    ],
  ])('finds that %s', (_, lines, text) => {
    expect(saidBy(retryTouchesChosen, lines)).toContainEqual(expect.stringMatching(text));
  });
});

describe('life ends', () => {
  const late = 90_000;
  const itself = submission(1_000, { submitted: submitted({ mayStopItself: true }) });
  const cancelledEnd = { ...story().ended, outcome: 'cancelled' } as const;
  const open = { ...stripped, ended: null, final: null } as const;

  it.each([
    ['a story', told()],
    ['an outcome of a cancel', told({ ended: cancelledEnd }, [control('cancel', 1_400)])],
    ['an end of its own', told({ ended: cancelledEnd, submission: itself })],
    ['one that rests as it was told', told(open, [control('pause', 1_380), paused(1_400)])],
    ['one that has not had its time', told({ ...open, frame: { ...story().frame, endedAtMs: 20_000 } })],
    ['one that a fault held up', told(open, [fault('temporal', 2_000, 90_000, 'temporal')])],
    ['one that was purged', told(open, [control('purge', 3_000)])],
    [
      'one that is put off',
      told({}, [reading(1_030, { state: 'scheduled', counts: { pending: 3 } }), control('amend', 1_015)]),
    ],
  ])('takes %s', (_, lines) => {
    expect(saidBy(lifeEnds, lines)).toEqual([]);
  });

  it.each([
    ['it does not end', told(open), /it has not ended \(running\)/],
    ['nobody ever saw it', told({ ...open, queued: null, partial: null, running: null }), /never seen/],
    ['it rests and nobody said so', told(open, [paused(1_400)]), /it has not ended \(paused\)/],
    [
      'it ends late',
      told(
        {
          endedAgain: reading(late + 5_000, {
            run: 2,
            revision: 3,
            state: 'ended',
            outcome: 'succeeded',
            counts: { succeeded: 3 },
          }),
        },
        [reading(late, { run: 2, revision: 2, counts: { pending: 1, succeeded: 2 } })],
      ),
      /it was still running/,
    ],
    ['it goes on after its end', told({}, [reading(2_500, { revision: 6 })]), /ended and then running in run 1/],
    ['it goes back', told({}, [reading(1_300, { state: 'queued', revision: 3 })]), /running and then queued/],
    ['it is scheduled again', told({}, [reading(1_030, { state: 'scheduled' })]), /queued and then scheduled/],
    [
      'a cancel is taken back',
      told({}, [reading(1_300, { state: 'cancelling', revision: 3 }), reading(1_400, { revision: 4 })]),
      /cancelling and then running/,
    ],
    [
      'it has an outcome too early',
      told({ running: reading(1_250, { outcome: 'failed' }) }),
      /running with the outcome/,
    ],
    ['it has none at its end', told({ ended: { ...story().ended, outcome: null } }), /ended with the outcome null/],
    [
      'its outcome is not that of its counts',
      told({
        ended: { ...story().ended, outcome: 'succeeded' },
      }),
      /run 1 is called succeeded/,
    ],
    ['it is cancelled by nobody', told({ ended: cancelledEnd }), /is cancelled, and nobody asked for it/],
  ])('finds that %s', (_, lines, text) => {
    expect(saidBy(lifeEnds, lines)).toContainEqual(expect.stringMatching(text));
  });
});
