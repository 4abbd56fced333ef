/** Changes in what was seen: results, readings, answers. */
import { packRows, rowsOf } from '../../check/rows.ts';
import {
  answered,
  changed,
  ended,
  executed,
  finalOf,
  flipped,
  lines,
  live,
  type Mutation,
  named,
  swapped,
  withRows,
} from './sample.ts';

export const MUTATIONS_OF_ANSWERS: readonly Mutation[] = [
  [
    'a result line is lost',
    'every item once',
    () =>
      changed(
        'download',
        finalOf('.paused'),
        withRows((rows) => rows.slice(1)),
      ),
  ],
  [
    'a result line comes twice',
    'every item once',
    () =>
      changed(
        'download',
        finalOf('.paused'),
        withRows((rows) => [...rows.slice(0, 5), ...rows.slice(4)]),
      ),
  ],
  [
    'two result lines change places',
    'every item once',
    () => changed('download', finalOf('.paused'), withRows(swapped)),
  ],
  ['an outcome is another', 'every item once', () => changed('download', finalOf('.noop'), withRows(flipped))],
  [
    'an item too many is counted',
    'every item once',
    () =>
      changed('reading', live, (each) => [
        { ...each, counts: { ...each.counts, total: each.counts.total + 1, pending: (each.counts.pending ?? 0) + 1 } },
      ]),
  ],
  [
    'an outcome was shown otherwise before',
    'outcomes stay',
    () =>
      changed(
        'download',
        (each) => !each.complete && each.outcomes.length > 4 && named('.paused')(each),
        withRows(flipped),
      ),
  ],
  [
    'an outcome is lost for a while',
    'outcomes stay',
    () =>
      changed(
        'download',
        (each) => each.complete && each.client.startsWith('user') && named('.paused')(each),
        (each) => [
          each,
          {
            ...each,
            beganAtMs: each.endedAtMs,
            endedAtMs: each.endedAtMs + 5,
            ...packRows(rowsOf(each).inOrder.slice(0, 9)),
          },
        ],
      ),
  ],
  [
    'a count is lower',
    'counts rise',
    () =>
      changed('reading', live, (each) => [
        each,
        {
          ...each,
          beganAtMs: each.seenAtMs,
          seenAtMs: each.seenAtMs + 0.01,
          counts: {
            ...each.counts,
            succeeded: (each.counts.succeeded ?? 0) - 1,
            pending: (each.counts.pending ?? 0) + 1,
          },
        },
      ]),
  ],
  [
    'counts do not add up',
    'counts rise',
    () =>
      changed('reading', live, (each) => [
        { ...each, counts: { ...each.counts, failed: (each.counts.failed ?? 0) + 1 } },
      ]),
  ],
  [
    'a revision is older',
    'counts rise',
    () =>
      changed('reading', live, (each) => [
        each,
        { ...each, beganAtMs: each.seenAtMs, seenAtMs: each.seenAtMs + 0.01, revision: (each.revision ?? 0) - 1 },
      ]),
  ],
  [
    'a key names another operation',
    'same key, same operation',
    () =>
      changed(
        'exchange',
        (each) => each.submitted !== null && each.replayed,
        (each) => [{ ...each, operationId: 'another' }],
      ),
  ],
  [
    'another payload is accepted',
    'same key, same operation',
    () =>
      changed(
        'exchange',
        ({ code }) => code === 'idempotency_key_reused',
        (each) => [{ ...each, status: 202 }],
      ),
  ],
  [
    'what was accepted is gone',
    'same key, same operation',
    () =>
      changed(
        'exchange',
        (each) => each.action === 'look' && each.status === 200 && each.operationId?.endsWith('.paused') === true,
        (each) => [{ ...each, status: 404 }],
      ),
  ],
  [
    'an answer holds another account’s marks',
    'accounts apart',
    () => changed('exchange', answered('look'), (each) => [{ ...each, owners: ['acme', 'globex'] }]),
  ],
  [
    'an account finds another’s operation',
    'accounts apart',
    () =>
      changed(
        'exchange',
        ({ status, account, operationId }) =>
          status === 404 && account === 'globex' && operationId?.includes('acme') === true,
        (each) => [{ ...each, status: 200 }],
      ),
  ],
  [
    'a success was never executed',
    'outcomes are true',
    () => changed('call', executed, (each) => [{ ...each, applied: false }]),
  ],
  [
    'a cancelled item was executed',
    'outcomes are true',
    () =>
      changed(
        'download',
        (each) => finalOf('.cancelled')(each) && each.outcomes.startsWith('s'),
        withRows(([first, ...rest]) => (first === undefined ? [] : [{ ...first, outcome: 'cancelled' }, ...rest])),
      ),
  ],
  [
    'a refusal was never given',
    'outcomes are true',
    () =>
      changed(
        'call',
        ({ status }) => status === 422,
        () => [],
      ),
  ],
  [
    'it goes on after its end',
    'life ends',
    () => [
      ...lines,
      ...(ended === undefined
        ? []
        : [
            {
              ...ended,
              state: 'running',
              outcome: null,
              beganAtMs: ended.seenAtMs + 1,
              seenAtMs: ended.seenAtMs + 2,
            } as const,
          ]),
    ],
  ],
  [
    'it never ends',
    'life ends',
    () =>
      lines
        .filter((line) => line.kind !== 'reading' || line.state !== 'ended' || !named('.paused')(line))
        .map((line) => (line.kind === 'frame' ? { ...line, endedAtMs: line.endedAtMs + 60_000 } : line)),
  ],
  [
    'a status is 500',
    'always answers',
    () => changed('exchange', answered('look'), (each) => [{ ...each, status: 500 }]),
  ],
  [
    'a status is unavailable for nothing',
    'always answers',
    () => changed('exchange', answered('look'), (each) => [{ ...each, status: 503, retryAfter: true }]),
  ],
  [
    'a status hangs',
    'always answers',
    () =>
      changed(
        'exchange',
        ({ action, path }) => action === 'look' && !path.includes('events'),
        (each) => [{ ...each, endedAtMs: each.sentAtMs + 6_000 }],
      ),
  ],
];
