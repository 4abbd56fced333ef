/** Rules about keys, accounts and availability: for everything that they forbid, a history that does it. */
import { describe, expect, it } from 'vitest';
import { accountsApart } from '../../check/rules/accounts-apart.ts';
import { alwaysAnswers } from '../../check/rules/always-answers.ts';
import { sameKeySameOperation } from '../../check/rules/same-key-same-operation.ts';
import { exchange, fault, frame, reading, saidBy, submission, submitted, told } from './story.ts';

const keyed = (sentAtMs: number, over = {}, facts = {}) =>
  submission(sentAtMs, { submitted: submitted({ key: 'k', ...facts }), ...over });
const look = (sentAtMs: number, over = {}) => exchange({ action: 'look', sentAtMs, ...over });
const again = { replayed: true };
const reused = { status: 422, code: 'idempotency_key_reused', operationId: null };

describe('same key, same operation', () => {
  it.each([
    ['a story', told()],
    ['the same request twice', told({ submission: keyed(1_000) }, [keyed(5_000, again)])],
    ['two at once, one of which is first', told({ submission: keyed(1_000) }, [keyed(1_001, again)])],
    ['another payload refused', told({ submission: keyed(1_000) }, [keyed(5_000, reused, { payload: 'q' })])],
    ['no answer, then one', told({ submission: keyed(1_000, { status: null }) }, [keyed(5_000, again)])],
    [
      'another account under the same key',
      told({ submission: keyed(1_000) }, [
        keyed(5_000, { account: 'globex', traceId: 'c'.repeat(32) }, { payload: 'q' }),
      ]),
    ],
    ['nothing there before it was accepted', told({}, [look(990, { status: 404 })])],
    [
      'nothing there after a purge',
      told({}, [
        exchange({ action: 'purge', sentAtMs: 5_000, method: 'DELETE', status: 204 }),
        look(6_000, { status: 410 }),
      ]),
    ],
  ])('takes %s', (_, lines) => {
    expect(saidBy(sameKeySameOperation, lines)).toEqual([]);
  });

  it.each([
    [
      'one key names two operations',
      told({ submission: keyed(1_000) }, [keyed(5_000, { ...again, operationId: 'other' })]),
      /names 2 operations: op, other/,
    ],
    [
      'two payloads are accepted',
      told({ submission: keyed(1_000) }, [keyed(5_000, again, { payload: 'q' })]),
      /accepted with 2 payloads/,
    ],
    [
      'the very payload is refused',
      told({ submission: keyed(1_000) }, [keyed(3_000, reused, { payload: 'q' }), keyed(5_000, reused)]),
      /reused for the very payload/,
    ],
    ['there was no other payload', told({}, [keyed(5_000, reused)]), /no other payload was ever sent/],
    ['it is accepted anew at the same moment', told({ submission: keyed(1_000) }, [keyed(1_001)]), /as new 2 times/],
    ['it is accepted anew', told({ submission: keyed(1_000) }, [keyed(5_000)]), /accepted as new 2 times/],
    ['what was accepted is not there', told({}, [look(5_000, { status: 404 })]), /finds nothing/],
    ['what nobody purged is gone', told({}, [look(5_000, { status: 410 })]), /nobody purged it/],
    [
      'two payloads become one operation',
      told({}, [submission(5_000, { submitted: submitted({ payload: 'q' }) })]),
      /2 payloads became one operation/,
    ],
    [
      'an id is given twice',
      told({}, [reading(5_000, { run: 2, revision: 9, traceId: 'c'.repeat(32), counts: { succeeded: 3 } })]),
      /one id stands for 2 acceptances/,
    ],
  ])('finds that %s', (_, lines, text) => {
    expect(saidBy(sameKeySameOperation, lines)).toContainEqual(expect.stringMatching(text));
  });
});

describe('accounts apart', () => {
  const foreign = (over = {}) => look(5_000, { account: 'globex', status: 404, owners: [], ...over });

  it.each([
    ['a story', told()],
    ['another account that finds nothing', told({}, [foreign()])],
    [
      'an operation of the same name',
      told({}, [
        submission(5_000, { account: 'globex', traceId: 'c'.repeat(32), owners: ['globex'] }),
        foreign({ sentAtMs: 6_000, endedAtMs: 6_010, status: 200, owners: ['globex'] }),
      ]),
    ],
    [
      'an account whose name had to be mapped',
      told(
        {},
        [
          look(5_000, {
            account: 'Acme Inc',
            operationId: null,
            owners: ['h-0ea45fc6c4bc0bd7f0bfbed0c8ca0ed6', 'Acme Inc'],
          }),
        ].map((line) => ({ ...line, owners: ['Acme Inc'] })),
      ),
    ],
  ])('takes %s', (_, lines) => {
    expect(saidBy(accountsApart, lines)).toEqual([]);
  });

  it.each([
    ['an answer holds another’s marks', told({}, [foreign({ owners: ['acme'] })]), /holds what is of acme/],
    ['another’s operation is answered', told({}, [foreign({ status: 200 })]), /globex is answered 200/],
    ['it is said to exist', told({}, [foreign({ status: 403 })]), /globex is answered 403/],
    [
      'another’s operation is listed',
      told({}, [reading(5_000, { via: 'list', account: 'globex', run: 2, counts: { succeeded: 3 } })]),
      /globex is shown acme's operation op \(list\)/,
    ],
    [
      'another’s request is shown under an own name',
      told({}, [reading(5_000, { account: 'globex', owner: 'globex', operationId: 'mine', counts: { succeeded: 3 } })]),
      /globex is shown what acme sent as mine/,
    ],
  ])('finds that %s', (_, lines, text) => {
    expect(saidBy(accountsApart, lines)).toContainEqual(expect.stringMatching(text));
  });
});

describe('always answers', () => {
  const busy = { status: 503, code: 'unavailable', retryAfter: true };
  const slow = look(5_000, { endedAtMs: 10_500 });
  const gone = look(5_000, { status: null, code: 'ECONNREFUSED' });

  it.each([
    ['a story', told()],
    ['503 while the store is away', told({}, [fault('store', 4_000, 6_000), look(5_000, busy)])],
    ['503 for what was found broken before', told({}, [fault('link_store', 1_000, 2_000), look(10_000, busy)])],
    ['silence of a dead process', told({}, [fault('api', 4_000, 5_500), gone])],
    ['silence behind a broken link', told({}, [fault('link_client', 4_000, 5_500), gone])],
    ['slowness of a machine that stood still', told({}, [fault('stall', 6_000, 9_000), slow])],
    ['slowness of a machine on which everybody waits', told({ frame: frame({ machineLagMs: 100 }) }, [slow])],
    ['a stream that takes long', told({}, [look(5_000, { endedAtMs: 60_000, path: '/v1/operations/op/events' })])],
    [
      'a slow upload',
      told({ submission: submission(1_000, { endedAtMs: 1_000, owners: ['acme'] }) }, [
        exchange({ action: 'download', sentAtMs: 5_000, endedAtMs: 30_000 }),
      ]),
    ],
  ])('takes %s', (_, lines) => {
    expect(saidBy(alwaysAnswers, lines)).toEqual([]);
  });

  it.each([
    ['500', told({}, [fault('store', 4_000, 6_000), look(5_000, { status: 500, code: 'internal' })]), /answered 500/],
    ['502', told({}, [look(5_000, { status: 502 })]), /answered 502/],
    [
      '503 that does not say when',
      told({}, [fault('store', 4_000, 6_000), look(5_000, { ...busy, retryAfter: false })]),
      /without Retry-After/,
    ],
    ['503 for nothing', told({}, [look(5_000, busy)]), /nothing was down/],
    [
      '503 because of workers',
      told({}, [fault('worker', 4_000, 6_000, 'worker'), look(5_000, busy)]),
      /nothing was down/,
    ],
    ['503 long after', told({}, [fault('store', 4_000, 6_000), look(60_000, busy)]), /nothing was down/],
    ['a status that hangs', told({}, [slow]), /answered after 5500 ms/],
    ['silence', told({}, [gone]), /is not answered \(ECONNREFUSED\)/],
    ['silence while another process was dead', told({}, [fault('api', 4_000, 6_000, 'other'), gone]), /not answered/],
  ])('finds %s', (_, lines, text) => {
    expect(saidBy(alwaysAnswers, lines)).toContainEqual(expect.stringMatching(text));
  });
});
